"""``expose --reload``: imports the code again when a file of its project has changed."""

from __future__ import annotations

import importlib
import linecache
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Generic, TypeVar

from lambdamesh.cli.target import ImportFailure, is_of_project

LOOK_S = 0.25
"""Pause between two looks at the files."""

T = TypeVar("T")
Stamps = Mapping[Path, tuple[int, int]]
"""Time of the last change in nanoseconds and size of each file that is there."""


class Project(Generic[T]):
    """What ``make`` makes of code of the user's, and the modules that it imports for that.

    Those are imported anew by ``load``; libraries, and whatever was imported before, stay as they are.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._before = frozenset(sys.modules)
        self._suspects: frozenset[Path] = frozenset()
        # A cached module is taken for fresh as long as its source keeps its size and the second of its change.
        sys.dont_write_bytecode = True

    def load(self) -> T:
        """Return what ``make`` makes, with every module of the project imported anew.

        Raises:
            Failure: as ``make`` does; the modules are then as they were.
        """
        modules = self._modules()
        for name in modules:
            del sys.modules[name]
        importlib.invalidate_caches()
        linecache.checkcache()
        try:
            made = self._make()
        except BaseException as error:
            self._suspects = error.files if isinstance(error, ImportFailure) else frozenset()
            for name in self._modules():
                del sys.modules[name]
            sys.modules.update(modules)
            raise
        self._suspects = frozenset()
        return made

    def files(self) -> frozenset[Path]:
        """The files whose change matters: those of its modules, and those that have failed last."""
        return frozenset(Path(str(module.__file__)) for module in self._modules().values()) | self._suspects

    def _modules(self) -> dict[str, ModuleType]:
        new = {name: module for name, module in sys.modules.items() if name not in self._before}
        return {name: module for name, module in new.items() if is_of_project(getattr(module, "__file__", None) or "<")}


def stamps_of(files: Iterable[Path]) -> Stamps:
    """Look at ``files``; those that are not there, as while an editor replaces them, are left out."""
    stamps = {}
    for file in files:
        try:
            seen = file.stat()
        except OSError:
            continue
        stamps[file] = seen.st_mtime_ns, seen.st_size
    return stamps


class Watch:
    """Decides when a change is worth a reload: when files have changed, and then rested for one look."""

    def __init__(self, stamps: Stamps) -> None:
        self._loaded = stamps
        self._last = stamps

    def look(self, stamps: Stamps) -> list[Path]:
        """Take the files as they are now; return those that have changed since they were loaded and are at rest."""
        is_at_rest = stamps == self._last
        self._last = stamps
        self._loaded = {**stamps, **self._loaded}
        changed = sorted(file for file, stamp in stamps.items() if self._loaded[file] != stamp)
        return changed if is_at_rest else []

    def restart(self, stamps: Stamps) -> None:
        """The files were loaded as they are in ``stamps``."""
        self._loaded = self._last = stamps
