"""``lambdamesh setup``: give this machine the name ``pm3``, and the service that runs a node."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from pathlib import Path
from typing import Annotated, NamedTuple

from cyclopts import Parameter

from lambdamesh.cli import service_unit
from lambdamesh.cli.failure import Failure

BEGIN = "# begin lambdamesh"
END = "# end lambdamesh"
BLOCK = f"{BEGIN}\n127.0.0.1 pm3\n::1 pm3\n{END}\n"

_NEW_FILE_MODE = 0o644


class Change(NamedTuple):
    """What is to become of one file; ``None`` is no file. ``told`` says it to people once it is done."""

    path: Path
    before: bytes | None
    after: bytes | None
    told: str


def setup(
    *,
    undo: Annotated[bool, Parameter(negative="", help="Take back what setup wrote.")] = False,
    dry_run: Annotated[bool, Parameter(negative="", help="Change nothing; say what would be changed.")] = False,
    name_only: Annotated[bool, Parameter(negative="", help="Leave the service out.")] = False,
    root: Annotated[Path, Parameter(help="Set up the machine image in this folder.")] = service_unit.ROOT,
    hosts_file: Annotated[
        Path | None, Parameter(help="The file that names hosts; without it etc/hosts of the root.")
    ] = None,
) -> None:
    """Give this machine the name pm3, so that http://pm3:7630 is the local door.

    Where systemd runs it, it also gets the service lambdamesh, which runs a node with this very program. Wants root,
    or whoever may write the files.
    """
    has_service = not name_only and service_unit.is_for(root)
    changes = [_named(hosts_file or root / "etc/hosts", undo)]
    if has_service:
        changes += _unserved(root) if undo else _served(root)
    due = [change for change in changes if change.before != change.after]
    for change in changes:
        if change not in due:
            print(f"{change.path} is as it should be; nothing changed")
    if dry_run:
        for change in due:
            print(f"would {'write' if change.after is not None else 'remove'} {change.path}")
        return
    is_live = root == service_unit.ROOT and any(change.path.name == service_unit.NAME for change in due)
    if is_live and undo:
        service_unit.systemctl("disable", "--now", service_unit.NAME)
    for change in due:
        _apply(change)
        print(change.told)
    if is_live:
        service_unit.systemctl("daemon-reload")
    if not has_service and not name_only and not undo:
        print("systemd does not run this machine; start a node with: lambdamesh serve")


# -- what is to be changed ----------------------------------------------------------------------------------------


def _named(hosts_file: Path, undo: bool) -> Change:
    before = _read(hosts_file)
    if before is None:
        raise Failure(f"cannot change {hosts_file}: there is no such file")
    text = before.decode("utf-8", "surrogateescape")
    after = without_block(text) if undo else with_block(text)
    told = f"pm3 {'no longer names' if undo else 'now names'} this machine, by {hosts_file}"
    return Change(hosts_file, before, after.encode("utf-8", "surrogateescape"), told)


def _served(root: Path) -> list[Change]:
    """The service, ready to be started. Raises: Failure where it could not run, or somebody else's is there."""
    program = service_unit.this_program()
    if (why := service_unit.obstacle(program)) is not None:
        raise Failure(
            f"{why}: install lambdamesh where everybody may read it, such as /opt/lambdamesh, and run its setup; "
            "or leave the service out with --name-only"
        )
    unit, config = root / service_unit.UNIT, root / service_unit.CONFIG
    before, settings = _read(unit), _read(config)
    if before is not None and not service_unit.is_ours(before):
        raise Failure(
            f"{unit} was not written by setup, which leaves it alone: move it away, or leave the service out "
            "with --name-only"
        )
    start = "restart" if before is not None else "enable --now"
    return [
        Change(
            config,
            settings,
            service_unit.FIRST_CONFIG.encode() if settings is None else settings,
            f"{config} is where the service has its settings",
        ),
        Change(
            unit,
            before,
            service_unit.unit_for(program).encode(),
            f"{unit} is the service; start it with: systemctl {start} lambdamesh",
        ),
    ]


def _unserved(root: Path) -> list[Change]:
    """The service away; settings that somebody has written stay."""
    unit, config = root / service_unit.UNIT, root / service_unit.CONFIG
    before, settings = _read(unit), _read(config)
    changes = []
    if service_unit.is_ours(before):
        changes.append(Change(unit, before, None, f"{unit} is removed; what the node has kept stays"))
    if settings == service_unit.FIRST_CONFIG.encode():
        changes.append(Change(config, settings, None, f"{config} is removed"))
    return changes


def with_block(hosts: str) -> str:
    """``hosts`` with our block once, as it is written now; a last line without its end gets one."""
    if BLOCK in hosts and hosts.count(BEGIN) == 1:
        return hosts
    rest = without_block(hosts)
    return rest + ("\n" if rest and not rest.endswith("\n") else "") + BLOCK


def without_block(hosts: str) -> str:
    """``hosts`` without any block of ours; a marker without its other half is left alone."""
    block = rf"^{re.escape(BEGIN)}\r?\n(?:(?!{re.escape(BEGIN)}).*\n)*?{re.escape(END)}(?:\r?\n|\Z)"
    return re.sub(block, "", hosts, flags=re.MULTILINE)


# -- files --------------------------------------------------------------------------------------------------------


def _read(path: Path) -> bytes | None:
    """What a file holds, ``None`` where there is none. Raises: Failure."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _refused(path, error) from error


def _apply(change: Change) -> None:
    """Raises: Failure."""
    try:
        if change.after is None:
            change.path.unlink()
            if change.path.name == service_unit.CONFIG.name:
                with contextlib.suppress(OSError):
                    change.path.parent.rmdir()
            return
        folder = change.path.parent
        if not folder.is_dir():
            folder.mkdir(parents=True)
            folder.chmod(0o755)  # whatever the umask: the service has a user of its own
        _replace(change.path.resolve(), change.after)
    except OSError as error:
        raise _refused(change.path, error) from error


def _refused(path: Path, error: OSError) -> Failure:
    remedy = "; run it as root: sudo lambdamesh setup" if isinstance(error, PermissionError) else ""
    return Failure(f"cannot change {path}: {error.strerror or error}{remedy}")


def _replace(target: Path, content: bytes) -> None:
    """Put ``content`` in the place of a file at once, or not at all; mode and owner stay."""
    if os.path.ismount(target):  # as in a container, where the file cannot be replaced
        target.write_bytes(content)
        return
    old = target.stat() if target.exists() else None
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), _NEW_FILE_MODE if old is None else old.st_mode & 0o7777)
            if old is not None:
                with contextlib.suppress(PermissionError):
                    os.fchown(file.fileno(), old.st_uid, old.st_gid)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
