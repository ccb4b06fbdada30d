"""The state directory: whether a node can use it, what is in it, and who has it."""

from __future__ import annotations

import os
import pwd
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from lambdamesh.cli.checks.finding import Finding, State
from lambdamesh.cli.checks.surroundings import Surroundings, size_text
from lambdamesh.ids import machine_id_text, parse_machine_id

CHECK = "state directory"
LITTLE_ROOM_BYTES = 64 * 1024 * 1024
"""Less room than this on the disk is worth a word; a node itself writes some MiB at the most."""
NO_ROOM_BYTES = 256 * 1024

_NODE_KEY_BYTES = 32
_OF_SERVICES = Path("/var/lib/private")
"""Where systemd keeps the state of services that have a user of their own; nobody else gets there but root."""


def state_directory(around: Surroundings) -> Iterator[Finding]:
    """Whether it is there, whose it is, what there is room for, and what is in it."""
    path = around.state
    try:
        found = path.stat()
    except FileNotFoundError:
        yield _to_be_made(path)
        return
    except OSError as error:
        yield _elsewhere(f"{path} cannot be looked at ({error.strerror})")
        return
    if not stat.S_ISDIR(found.st_mode):
        yield _elsewhere(f"{path} is no directory")
        return
    troubles = [*_owned(path, found), *_private(path, found), *_writable(path), *_roomy(path)]
    yield from troubles
    if not troubles:
        yield Finding(CHECK, State.OK, f"{path}, {size_text(_room_bytes(path))} left on its disk")
    if os.access(path, os.R_OK | os.X_OK):
        yield from _identity(around)
        yield from _lock(around)


def _elsewhere(what: str) -> Finding:
    return Finding(CHECK, State.WRONG, what, "lambdamesh serve --state DIRECTORY")


def _to_be_made(path: Path) -> Finding:
    above = next((parent for parent in path.absolute().parents if parent.exists()), Path("/"))
    if above.is_dir() and os.access(above, os.W_OK | os.X_OK):
        return Finding(CHECK, State.OK, f"{path} is not there yet: the first start makes it")
    fix = f"sudo install -d -m 700 -o {_user_name(os.geteuid())} {shlex.quote(str(path))}"
    return Finding(CHECK, State.WRONG, f"{path} is not there, and cannot be made in {above}", fix)


def _owned(path: Path, found: os.stat_result) -> Iterator[Finding]:
    euid = os.geteuid()
    if found.st_uid == euid or (euid == 0 and path.resolve().is_relative_to(_OF_SERVICES)):
        return
    owner, quoted = _user_name(found.st_uid), shlex.quote(str(path))
    if euid == 0:
        what = (
            f"{path} belongs to {owner}, and this is root: the node there runs as {owner}, or could not after this one"
        )
        yield Finding(CHECK, State.WARNING, what, f"sudo -u {owner} lambdamesh doctor --state {quoted}")
    else:
        what = f"{path} belongs to {owner}, and this is {_user_name(euid)}"
        yield Finding(CHECK, State.WRONG, what, f"sudo chown -R {_user_name(euid)} {quoted}")


def _private(path: Path, found: os.stat_result) -> Iterator[Finding]:
    mode = stat.S_IMODE(found.st_mode)
    if not mode & 0o077:
        return
    fix = f"chmod 700 {shlex.quote(str(path))}"
    is_ours = (path / "lock").exists() or (os.access(path, os.R_OK) and not any(path.iterdir()))
    if is_ours:
        yield Finding(
            CHECK, State.WARNING, f"{path} is open to others (mode {mode:03o}): the next start closes it", fix
        )
    else:
        what = f"{path} is open to others (mode {mode:03o}) and holds what is no node's: a node refuses it"
        yield Finding(CHECK, State.WRONG, what, f"{fix}, or lambdamesh serve --state DIRECTORY")


def _writable(path: Path) -> Iterator[Finding]:
    if os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return
    is_read_only = bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    quoted = shlex.quote(str(path))
    if is_read_only:
        yield Finding(CHECK, State.WRONG, f"{path} is on a disk that can only be read", f"mount -o remount,rw {quoted}")
    else:
        yield Finding(CHECK, State.WRONG, f"{path} cannot be written by this user", f"chmod 700 {quoted}")


def _room_bytes(path: Path) -> int:
    disk = os.statvfs(path)
    return disk.f_bavail * disk.f_frsize


def _roomy(path: Path) -> Iterator[Finding]:
    disk, room = os.statvfs(path), _room_bytes(path)
    has_no_files = disk.f_files > 0 and disk.f_favail == 0
    fix = f"df -h {shlex.quote(str(path))}  # and make room there"
    if room < NO_ROOM_BYTES or has_no_files:
        what = f"the disk of {path} is full ({'no file more' if has_no_files else size_text(room) + ' left'})"
        yield Finding(CHECK, State.WRONG, what, fix)
    elif room < LITTLE_ROOM_BYTES:
        yield Finding(CHECK, State.WARNING, f"the disk of {path} has {size_text(room)} left", fix)


def _identity(around: Surroundings) -> Iterator[Finding]:
    """The two files that make a node the one that it was before."""
    path, wanted = around.state / "machine-id", around.settings.machine_id
    kept = None
    try:
        kept = parse_machine_id(path.read_text("ascii").strip())
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not 8 hex digits"
        what = f"{path} is not sound ({why}): a node refuses it"
        fix = (
            f"rm {shlex.quote(str(path))}  # or restore it; without it this is a new machine, and its old ids are lost"
        )
        yield Finding(CHECK, State.WRONG, what, fix)
    if kept is not None and wanted is not None and parse_machine_id(wanted) != kept:
        what = f"--machine-id {wanted} is not that of {path}, {machine_id_text(kept)}: ids of before are lost"
        yield Finding(CHECK, State.WARNING, what, f"lambdamesh serve --machine-id {machine_id_text(kept)}")
    yield from _node_key(around.state / "node-key")


def _node_key(path: Path) -> Iterator[Finding]:
    try:
        found, size = path.stat(), len(path.read_bytes())
    except FileNotFoundError:
        return
    except OSError as error:
        yield Finding(
            CHECK, State.WRONG, f"{path} cannot be read ({error.strerror})", f"ls -l {shlex.quote(str(path))}"
        )
        return
    if size != _NODE_KEY_BYTES:
        fix = f"rm {shlex.quote(str(path))}  # or restore it; without it all resume keys are void"
        yield Finding(CHECK, State.WRONG, f"{path} has {size} bytes and not {_NODE_KEY_BYTES}: a node refuses it", fix)
    elif found.st_mode & 0o077:
        what = f"{path}, which makes resume keys, can be read by others"
        yield Finding(CHECK, State.WARNING, what, f"chmod 600 {shlex.quote(str(path))}")


def _lock(around: Surroundings) -> Iterator[Finding]:
    holder = around.holder()
    if holder is None:
        return
    if holder.is_running:
        yield Finding(CHECK, State.OK, f"{holder.text} runs with it")
    else:
        yield Finding(CHECK, State.OK, f"no node runs with it; the last was {holder.text}")


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
