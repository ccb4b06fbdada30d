"""``lambdamesh setup``: give this machine the name ``pm3``."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from lambdamesh.cli.failure import Failure

BEGIN = "# begin lambdamesh"
END = "# end lambdamesh"
BLOCK = f"{BEGIN}\n127.0.0.1 pm3\n::1 pm3\n{END}\n"


def setup(
    *,
    undo: Annotated[bool, Parameter(negative="", help="Take back what setup wrote.")] = False,
    hosts_file: Annotated[Path, Parameter(help="The file that names hosts.")] = Path("/etc/hosts"),
) -> None:
    """Give this machine the name pm3, so that http://pm3:7630 is the local door.

    Wants root, or whoever may write the file.
    """
    target = hosts_file.resolve()
    try:
        before = target.read_bytes().decode("utf-8", "surrogateescape")
        after = without_block(before) if undo else with_block(before)
        if after != before:
            _replace(target, after.encode("utf-8", "surrogateescape"))
    except OSError as error:
        remedy = "; run it as root: sudo lambdamesh setup" if isinstance(error, PermissionError) else ""
        raise Failure(f"cannot change {hosts_file}: {error.strerror or error}{remedy}") from error
    if after == before:
        print(f"{hosts_file} is as it should be; nothing changed")
    else:
        print(f"pm3 {'no longer names' if undo else 'now names'} this machine, by {hosts_file}")


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


def _replace(target: Path, content: bytes) -> None:
    """Put ``content`` in the place of a file at once, or not at all; mode and owner stay."""
    if os.path.ismount(target):  # as in a container, where the file cannot be replaced
        target.write_bytes(content)
        return
    old = target.stat()
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), old.st_mode & 0o7777)
            with contextlib.suppress(PermissionError):
                os.fchown(file.fileno(), old.st_uid, old.st_gid)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
