"""What ``lambdamesh expose`` is pointed at: a file, a module, or an object in one of them."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from lambdamesh.cli.failure import USAGE, Failure

FORMS = "give app.py, app.py:object, module or module:object"
_NOT_OF_THE_PROJECT = frozenset({"site-packages", "dist-packages"})


class Target(msgspec.Struct, frozen=True):
    """``place`` is a path that ends in ``.py``, or the dotted name of a module; ``names`` lead to an object in it."""

    place: str
    names: tuple[str, ...] = ()

    @property
    def is_file(self) -> bool:
        """Whether ``place`` is a path."""
        return self.place.endswith(".py")

    @property
    def title(self) -> str:
        """What it is called: ``greeter`` of ``lib/greeter.py``."""
        return Path(self.place).stem if self.is_file else self.place

    def __str__(self) -> str:
        return ":".join([self.place, ".".join(self.names)]) if self.names else self.place


def parse_target(text: str) -> Target:
    """Take a TARGET apart. Raises: Failure (usage)."""
    place, colon, path = (text, "", "") if text.endswith(".py") else text.rpartition(":")
    if not colon:
        place, path = text, ""
    names = tuple(path.split(".")) if colon else ()
    parts = names if place.endswith(".py") else (*place.split("."), *names)
    if not all(part.isidentifier() for part in parts):
        raise Failure(f"TARGET {text}: {FORMS}", USAGE)
    return Target(place, names)


def load(target: Target) -> object:
    """Import what ``target`` names. Raises: Failure, with the part of the traceback that is the user's own."""
    try:
        found: Any = _import_file(Path(target.place)) if target.is_file else _import_module(target.place)
    except Failure:
        raise
    except (Exception, SystemExit) as error:
        raise ImportFailure(target, error) from error
    for name in target.names:
        if not hasattr(found, name):
            public = ", ".join(known for known in dir(found) if not known.startswith("_"))
            raise Failure(f"{target}: there is no {name!r} in it; there is: {public or 'nothing'}", USAGE)
        found = getattr(found, name)
    return found


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise Failure(f"there is no file {path}: {FORMS}", USAGE)
    path = path.resolve()
    package = _package_of(path)
    _prefer(path.parents[len(package)])
    if package:
        return importlib.import_module(".".join((*package, path.stem)))
    # A file may be called like a module of the library, which it shall not replace.
    name = path.stem if path.stem not in sys.modules else f"{path.stem}_exposed"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _package_of(path: Path) -> tuple[str, ...]:
    names: list[str] = []
    folder = path.parent
    while (folder / "__init__.py").is_file():
        names.insert(0, folder.name)
        folder = folder.parent
    return tuple(names)


def _import_module(name: str) -> ModuleType:
    _prefer(Path.cwd())
    if Path(name).is_file():
        raise Failure(f"{name} is a file, and its name does not end in .py: {FORMS}", USAGE)
    if importlib.util.find_spec(name.partition(".")[0]) is None:
        file = f"{name.replace('.', '/')}.py"
        raise Failure(f"there is no module {name} here or among those installed; a file is named as {file}", USAGE)
    return importlib.import_module(name)


def _prefer(folder: Path) -> None:
    if sys.path[:1] != [str(folder)]:
        sys.path.insert(0, str(folder))


class ImportFailure(Failure):
    """The code could not be imported; ``files`` are those of the project that took part in it."""

    def __init__(self, target: Target, error: BaseException) -> None:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if is_of_project(frame.filename)]
        lines = [f"{target} cannot be imported:\n", *traceback.format_list(frames)]
        lines += traceback.format_exception_only(error)
        if isinstance(error, SystemExit):
            lines.append('It ended the program while it was imported: put that behind if __name__ == "__main__".')
        super().__init__("".join(lines).rstrip())
        named = [frame.filename for frame in frames]
        if isinstance(error, SyntaxError) and error.filename and is_of_project(error.filename):
            named.append(error.filename)
        self.files = frozenset(map(Path, named))


def is_of_project(filename: str) -> bool:
    """Whether a source file is the user's: a file of neither this package, the library nor an installed one."""
    path = Path(filename)
    if filename.startswith("<") or _OURS in path.parents or _LIBRARY in path.parents:
        return False
    return _NOT_OF_THE_PROJECT.isdisjoint(path.parts)


_OURS = Path(__file__).parent.parent
_LIBRARY = Path(traceback.__file__).parent
