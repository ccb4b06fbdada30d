"""The state directory: one node's machine id, its key, the floors under its ids, and the ids that were deleted.

The directory is 0700, its files 0600, and one node at a time holds its lock. Of a node with several workers each has
its own floor, and its own file of what was deleted at it; the node makes one of those files when it starts.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import time
from pathlib import Path

import structlog

from lambdamesh.ids import machine_id_text, parse_lambda_id, parse_machine_id

FLOOR_AHEAD_MS = 10_000
"""How far ahead of the ids minted the floor on disk lies."""

log = structlog.get_logger(__name__)

_NODE_KEY_BYTES = 32
_FLOOR_DIGITS = 16
_FLOOR_FURTHEST_MS = 3 * FLOOR_AHEAD_MS
_DELETED = "deleted"
_ORPHANS_S = 3.0
_LOOK_S = 0.02
_SYSTEM_STATE = Path("/var/lib/lambdamesh")


class StateError(Exception):
    """The state directory cannot be used; the message says why and what to do."""


def default_path(environ: dict[str, str] | os._Environ[str]) -> Path:
    """Where the state is kept where nobody says: for the service, for root, for a user."""
    service = environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if service:
        return Path(service)
    if os.geteuid() == 0:
        return _SYSTEM_STATE
    base = environ.get("XDG_STATE_HOME") or Path(environ.get("HOME") or Path.home()) / ".local" / "state"
    return Path(base) / "lambdamesh"


class State:
    """The state directory of a running node. Made with ``open_state``; ``close`` gives the lock back.

    ``worker`` is whose floor it keeps. One of several workers (``lock_fd`` is ``None``) leaves the lock, and all that
    others write, to them.
    """

    def __init__(self, path: Path, lock_fd: int | None, worker: int = 0) -> None:
        self.path = path
        self.worker = worker
        self._lock_fd = lock_fd
        self._deleted: dict[bytes, float] = {}
        self._is_behind = False
        """Whether a deletion could not be written, or only a part of its line."""
        self._elsewhere: set[bytes] = set()
        """Those of the deleted ids that stand in files of others."""

    @property
    def lock_fd(self) -> int:
        """The descriptor that holds the lock: whoever inherits it holds it too."""
        assert self._lock_fd is not None, "one of several workers has no lock of its own"
        return self._lock_fd

    def close(self) -> None:
        """Give the lock back."""
        if self._lock_fd is not None:
            os.close(self._lock_fd)

    def machine_id(self, wanted: str | None) -> int:
        """Return the machine id: ``wanted`` (8 hex digits), else the one on disk, else a new one.

        Raises:
            StateError: what is wanted or on disk is no machine id.
        """
        path = self.path / "machine-id"
        if not wanted and path.exists() and not _read_text(path):
            raise StateError(f"{path} is empty: restore it, or remove it to have a new id (old ids are then lost)")
        try:
            text = wanted or _read_text(path)
            machine = parse_machine_id(text) if text else secrets.randbelow(2**32 - 1) + 1
        except ValueError as error:
            raise StateError(f"{path}: {error}") from None
        if _read_text(path) != machine_id_text(machine):
            _write(path, machine_id_text(machine).encode() + b"\n")
        return machine

    def node_key(self) -> bytes:
        """Return the 32 bytes under which resume keys are made.

        Raises:
            StateError: the file holds something else.
        """
        path = self.path / "node-key"
        if not path.exists():
            _write(path, secrets.token_bytes(_NODE_KEY_BYTES))
        try:
            key = path.read_bytes()
        except OSError as error:
            raise StateError(f"{path} cannot be read: {error.strerror}") from None
        if len(key) != _NODE_KEY_BYTES:
            raise StateError(f"{path} is not {_NODE_KEY_BYTES} bytes: restore it, or remove it to void all keys")
        return key

    def highest_floor_ms(self) -> int:
        """Return the same for the ids of all workers that the node has ever had: this one may be home to theirs now."""
        return max((_floor_ms(path) for path in self._paths("floor")), default=0)

    def floor_ms(self) -> int:
        """Return a Unix time in milliseconds under which every id that this worker minted before lies; 0 if none."""
        return _floor_ms(self._floor_path)

    def _paths(self, name: str) -> list[Path]:
        """The files of that name of all workers."""
        return [path for path in self.path.glob(f"{name}-*") if path.name.removeprefix(f"{name}-").isdecimal()]

    def raise_floor(self, floor_ms: int) -> None:
        """Write a new floor.

        Raises:
            StateError: it cannot be written.
        """
        # Not forced to the disk: that would stop the node for milliseconds, and a lost floor is made good for.
        _write(self._floor_path, b"%d\n" % floor_ms, durable=False)

    @property
    def _floor_path(self) -> Path:
        return self.path / f"floor-{self.worker}"

    @property
    def _deleted_path(self) -> Path:
        return self.path / (_DELETED if self._lock_fd is not None else f"{_DELETED}-{self.worker}")

    def load_deleted(self, now_s: float) -> None:
        """Read the ids that stay deleted, and forget those whose last key has expired."""
        own = self._deleted_path
        others = [path for path in (self.path / _DELETED, *self._paths(_DELETED)) if path != own]
        for path in others:
            self._deleted |= _graves(path, now_s)
        if self._lock_fd is None:
            self._elsewhere = set(self._deleted)
            self._deleted |= _graves(own, now_s)
            return
        self._deleted |= _graves(own, now_s)
        try:
            self._write_deleted()
            for path in others:
                path.unlink(missing_ok=True)
        except (StateError, OSError) as error:
            # What is there still says it all, if not in one place.
            log.error("deletions_not_written", why=str(error))

    def _write_deleted(self) -> None:
        graves = (_grave(text, until_s) for text, until_s in self._deleted.items() if text not in self._elsewhere)
        _write(self._deleted_path, b"".join(graves))
        self._is_behind = False

    def bury(self, lambda_id: bytes, until_s: float) -> None:
        """Remember ``lambda_id`` as deleted until a Unix time, over restarts too where the disk allows it."""
        self._deleted[lambda_id] = until_s
        self._elsewhere.discard(lambda_id)
        try:
            if self._is_behind:
                self._write_deleted()
            else:
                self._append_deleted(lambda_id, until_s)
        except (StateError, OSError) as error:
            self._is_behind = True
            log.error("deletion_not_written", lambda_id=lambda_id.decode(), why=str(error), once_a_minute=True)

    def _append_deleted(self, lambda_id: bytes, until_s: float) -> None:
        fd = os.open(self._deleted_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        grave = _grave(lambda_id, until_s)
        try:
            if os.write(fd, grave) < len(grave):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(fd)

    def forget_deleted(self, now_s: float) -> None:
        """Forget the deleted ids whose last key has expired."""
        expired = [text for text, until_s in self._deleted.items() if until_s <= now_s]
        for text in expired:
            del self._deleted[text]
        if expired or self._is_behind:
            try:
                self._write_deleted()
            except StateError as error:
                log.error("deletions_not_written", why=str(error), once_a_minute=True)

    def holds(self, lambda_id: bytes) -> bool:
        """Whether ``lambda_id`` is deleted."""
        return lambda_id in self._deleted


def open_state(path: Path) -> State:
    """Make ``path`` if it is not there, and lock it; whoever held it and is dead has a moment to let it go.

    Raises:
        StateError: another node holds it, or it cannot be written.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make_private(path)
        lock_fd = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateError(
            f"the state directory {path} cannot be used ({error.strerror}): choose another with --state"
        ) from None
    patience_ends_at = time.monotonic() + _ORPHANS_S
    while not _has_locked(lock_fd):
        pid = os.pread(lock_fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
        # The workers of a node that was killed hold its lock until they have seen that it is gone.
        if _is_dead(pid) and time.monotonic() < patience_ends_at:
            time.sleep(_LOOK_S)
            continue
        os.close(lock_fd)
        raise StateError(
            f"the state directory {path} is held by the node with pid {pid}: stop it, or give this one another --state"
        )
    os.ftruncate(lock_fd, 0)
    os.pwrite(lock_fd, b"%d\n" % os.getpid(), 0)
    return State(path, lock_fd)


def _has_locked(lock_fd: int) -> bool:
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_dead(pid: str) -> bool:
    """Whether there is no such process; one of another user's is alive."""
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (ValueError, OverflowError, PermissionError):
        return False
    return False


def _make_private(path: Path) -> None:
    if not path.stat().st_mode & 0o077:
        return
    is_ours = (path / "lock").exists() or not any(path.iterdir())
    if not is_ours:
        raise StateError(
            f"the state directory {path} is open to others and holds what is not ours: choose another with --state, "
            f"or close it (chmod 700 {path})"
        )
    path.chmod(0o700)


def _floor_ms(path: Path) -> int:
    text = _read_text(path)
    if text is None:
        return 0
    if text.isdecimal() and len(text) < _FLOOR_DIGITS:
        return int(text)
    # A crash of the machine may leave it empty: what it held was at most this far ahead of when it was written.
    return int(path.stat().st_mtime * 1000) + _FLOOR_FURTHEST_MS


def _graves(path: Path, now_s: float) -> dict[bytes, float]:
    """Read which ids stay deleted, and until when, but for those whose last key has expired."""
    deleted: dict[bytes, float] = {}
    for line in (_read_text(path) or "").splitlines():
        text, _, until = line.partition(" ")
        try:
            parse_lambda_id(text.encode())
            until_s = float(until)
        except ValueError:
            continue
        if until_s > now_s:
            deleted[text.encode()] = until_s
    return deleted


def _grave(lambda_id: bytes, until_s: float) -> bytes:
    return b"%b %d\n" % (lambda_id, until_s)


def _read_text(path: Path) -> str | None:
    try:
        return path.read_text("ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise StateError(f"{path} cannot be read: {error}") from None


def _write(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Replace a file as a whole; ``durable`` so that not even a crash of the machine leaves half of it."""
    fresh = path.with_name(path.name + ".new")
    try:
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(fd)
        fresh.replace(path)
    except OSError as error:
        raise StateError(f"{path} cannot be written: {error.strerror}") from None
