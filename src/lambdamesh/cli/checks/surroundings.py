"""What the checks are about: the settings of a node, and the few things that several checks want to know."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lambdamesh.ids import parse_machine_id
from lambdamesh.settings import Settings

LOOK_S = 3.0
"""How long anything outside of this process has to answer."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """A node that runs, or would run, with ``settings``.

    ``sources`` says where each of them comes from; ``state`` is its state directory, ``url`` its local door, ``None``
    where nobody can know that; ``token`` what that door wants, or ``None``. ``unix_s`` reads the wall clock.
    """

    settings: Settings
    sources: Mapping[str, str]
    state: Path
    url: str | None
    token: str | None = None
    unix_s: Callable[[], float] = time.time

    def machine(self) -> int | None:
        """The machine id that the node has; ``None`` where it would make a new one, or cannot read its own."""
        text = self.settings.machine_id
        if text is None:
            try:
                text = (self.state / "machine-id").read_text("ascii").strip()
            except (OSError, UnicodeDecodeError):
                return None
        try:
            return parse_machine_id(text)
        except ValueError:
            return None

    def holder(self) -> Holder | None:
        """Who has the lock of the state directory; ``None`` where nobody ever had, or that cannot be seen."""
        try:
            file = os.open(self.state / "lock", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            text = os.read(file, 32).decode("ascii", "replace").strip()
            pid = int(text) if text.isdecimal() else None
            return Holder(pid, is_running=_is_locked(file))
        finally:
            os.close(file)


@dataclass(frozen=True)
class Holder:
    """The node that has, or had, a state directory. ``pid`` is ``None`` where the lock does not say it."""

    pid: int | None
    is_running: bool

    @property
    def text(self) -> str:
        """It, for people."""
        return "a node" if self.pid is None else f"the node with pid {self.pid}"


def _is_locked(file: int) -> bool:
    # A shared lock, given back at once: it keeps no node out but one that starts in that very moment.
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    with contextlib.suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_UN)
    return False


def size_text(size_bytes: float) -> str:
    """A size with the unit that suits it: ``512 MiB``."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size_bytes < 1024:
            return f"{size_bytes:.3g} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.3g} TiB"
