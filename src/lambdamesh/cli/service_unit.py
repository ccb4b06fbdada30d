"""The systemd service that ``lambdamesh setup`` installs: its unit, and what keeps it from running."""

from __future__ import annotations

import importlib.resources
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from lambdamesh.cli.failure import Failure

NAME = "lambdamesh.service"
UNIT = Path("etc/systemd/system") / NAME
CONFIG = Path("etc/lambdamesh/config.toml")
"""Where both are, below the root of the machine."""
ROOT = Path("/")

MARK = "# Written by `lambdamesh setup`"
FIRST_CONFIG = """\
# Settings of the lambdamesh service. All that there are, with their defaults: lambdamesh config --defaults
# What holds: lambdamesh config --config /etc/lambdamesh/config.toml; after a change: systemctl restart lambdamesh
"""

_PACKAGED_PROGRAM = "/opt/lambdamesh/bin/lambdamesh"
_UNSAFE = frozenset("\"'\\")
_SYSTEMCTL_S = 60.0
"""Longest time for one systemctl: a stop waits for a drain."""


def packaged_unit() -> str:
    """The unit as it is shipped, for a node in ``/opt/lambdamesh``."""
    return importlib.resources.files("lambdamesh.cli").joinpath(NAME).read_text("utf-8")


def unit_for(program: Iterable[str]) -> str:
    """The unit that runs ``program``, the first words of its command line."""
    return packaged_unit().replace(_PACKAGED_PROGRAM, " ".join(map(_quoted, program)), 1)


def this_program() -> list[str]:
    """The first words of the command line by which this very installation is run."""
    called = Path(sys.argv[0]).absolute()
    if called.name == "lambdamesh" and os.access(called, os.X_OK) and called.is_file():
        return [str(called)]
    return [sys.executable, "-m", "lambdamesh"]


def _quoted(word: str) -> str:
    """``word`` as systemd reads it back; a ``$`` means something only behind the program's own path."""
    word = word.replace("%", "%%")
    return f'"{word}"' if " " in word or ";" in word else word


def obstacle(program: Iterable[str]) -> str | None:
    """Why the service could not run ``program``, for people; ``None`` where it can.

    It has a user of its own, who may enter what everybody may, and its own ``/tmp``.
    """
    program = tuple(program)
    for path in _needed(program):
        if not str(path).isprintable() or set(str(path)) & _UNSAFE:
            return (
                f"systemd runs nothing with quotes, backslashes or control characters in its path, as in {path!s:.200}"
            )
        if path.is_relative_to("/tmp") or path.is_relative_to("/var/tmp"):  # noqa: S108
            return f"the service has a /tmp of its own, and would not find {path}"
        closed = closed_part(path)
        if closed is not None:
            return f"the service has a user of its own, who may not enter {closed}"
    return None


def closed_part(path: Path, below: Path = ROOT) -> Path | None:
    """The file, or the folder on the way to it, that is not open to everybody; ``None`` where all is."""
    for part in (path, *path.parents):
        if part != below and part.is_relative_to(below):
            wanted = stat.S_IXOTH if part.is_dir() else stat.S_IROTH
            if not part.stat().st_mode & wanted:
                return part
    return None


def _needed(program: Iterable[str]) -> Iterator[Path]:
    for word in program:
        if word.startswith("/"):
            yield Path(word)
    yield Path(sys.executable)
    yield Path(sys.executable).resolve()
    yield Path(__file__)


def is_for(root: Path) -> bool:
    """Whether the machine below ``root`` is run by systemd: this one now, an image once it is started."""
    if root == ROOT:
        return (root / "run/systemd/system").is_dir()
    return any((root / folder / "systemd/system").is_dir() for folder in ("usr/lib", "lib"))


def is_ours(unit: bytes | None) -> bool:
    """Whether a unit was written by setup."""
    return unit is not None and unit.startswith(MARK.encode())


def systemctl(*words: str) -> None:
    """Tell the systemd of this machine. Raises: Failure with what it said."""
    program = shutil.which("systemctl")
    if program is None:
        raise Failure(f"systemctl is not to be found; run it yourself: systemctl {' '.join(words)}")
    try:
        done = subprocess.run(  # noqa: S603
            [program, *words], capture_output=True, text=True, check=False, timeout=_SYSTEMCTL_S
        )
    except subprocess.TimeoutExpired:
        raise Failure(f"systemctl {' '.join(words)} does not end; look with: systemctl status {NAME}") from None
    if done.returncode:
        raise Failure(f"systemctl {' '.join(words)}: {done.stderr.strip() or f'exit code {done.returncode}'}")
