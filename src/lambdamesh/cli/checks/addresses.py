"""The addresses of the doors: whether a node can listen there, or who does."""

from __future__ import annotations

import errno
import os
import shlex
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from lambdamesh.cli.checks.finding import Finding, State
from lambdamesh.cli.checks.listeners import Process, listeners_of
from lambdamesh.cli.checks.surroundings import LOOK_S, Holder, Surroundings
from lambdamesh.cli.failure import Failure
from lambdamesh.cli.local_door import LocalDoor
from lambdamesh.settings import Settings, Tcp, Unix, parse_address, parse_mesh_door

CHECK = "addresses"
_LONGEST_PATH_BYTES = 107
_NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def addresses(around: Surroundings) -> Iterator[Finding]:
    """Each address of the local door, and that of the mesh door."""
    settings = around.settings
    is_default = settings.local == Settings().local
    for text in settings.local:
        address = parse_address(text)
        if isinstance(address, Unix):
            yield _socket_file(address.path, around)
        else:
            yield _door("local", address, around, is_optional=is_default and address.host == "::1")
    if settings.mesh_address is not None:
        yield _door("mesh", parse_mesh_door(settings.mesh_address), around)


def _door(door: str, address: Tcp, around: Surroundings, *, is_optional: bool = False) -> Finding:
    where, flag = f"{address.text} (the {door} door)", f"lambdamesh serve --{door} HOST:PORT"
    try:
        _try(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return _taken(where, flag, address, around)
        if error.errno in _NOT_HERE and is_optional:
            return Finding(CHECK, State.OK, f"{where}: this machine has no IPv6, and the node does without")
        if error.errno in (errno.EACCES, errno.EPERM):
            what = f"{where}: this user may not listen on ports below 1024"
            fix = f"sudo sysctl -w net.ipv4.ip_unprivileged_port_start={address.port}"
            return Finding(CHECK, State.WRONG, what, f"{fix}, or {flag}")
        if error.errno in _NOT_HERE:
            return Finding(CHECK, State.WRONG, f"{where}: this machine has no such address", f"ip address, then {flag}")
        return Finding(CHECK, State.WRONG, f"{where}: {error.strerror or error}", flag)
    what = f"{where} is free" if address.port else f"{address.host}: the {door} door takes a free port"
    return Finding(CHECK, State.OK, what)


def _try(address: Tcp) -> None:
    """Have the address for a moment, as a node would, but never listen there. Raises: OSError."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address.host, address.port))


def _taken(where: str, flag: str, address: Tcp, around: Surroundings) -> Finding:
    holder, found = around.holder(), listeners_of(address.host, address.port)
    is_running = holder is not None and holder.is_running
    if holder is not None and is_running and (not found or any(_is_of(holder, process) for process in found)):
        # Where nobody can be seen, the node that runs here is the likeliest.
        return Finding(CHECK, State.OK, f"{where} is held by {holder.text}{'' if found else ', or so it seems'}")
    version = node_version(address.text, around) if where.endswith("(the local door)") else None
    other = f"another node ({version}), with a state directory of its own" if version else "somebody else"
    named = ", ".join(process.text for process in found[:3])
    by = f"{other}: {named}" if named else other
    stop = f"kill {found[0].pid}" if found else f"sudo ss -ltnp 'sport = :{address.port}'  # to see whom"
    return Finding(CHECK, State.WRONG, f"{where} is held by {by}", f"{stop}, or {flag}")


def _is_of(holder: Holder, process: Process) -> bool:
    """Whether that is the process that has the lock, or one that it has started to share the work."""
    return holder.pid in (process.pid, process.parent)


def node_version(place: str, around: Surroundings) -> str | None:
    """The version of the node whose local door that is; ``None`` where none answers."""
    try:
        answer = LocalDoor(f"http://{place}", around.token or "").request("GET", "/version", timeout_s=LOOK_S)
    except Failure:
        return None
    version = answer.body.decode("utf-8", "replace").strip('"\n')
    return version if answer.status == 200 and "X-Ray" in answer.headers and len(version) < 64 else None


def _socket_file(text: str, around: Surroundings) -> Finding:
    path, fix = Path(text), "lambdamesh serve --local unix:/PATH"
    if len(os.fsencode(text)) > _LONGEST_PATH_BYTES:
        return Finding(CHECK, State.WRONG, f"{text}: a socket's path has {_LONGEST_PATH_BYTES} bytes at most", fix)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return _new_socket_file(path, fix)
    except OSError as error:
        return Finding(CHECK, State.WRONG, f"{path}: {error.strerror}", fix)
    if not stat.S_ISSOCK(mode):
        return Finding(CHECK, State.WRONG, f"{path} is there and is no socket", fix)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(LOOK_S)
        try:
            probe.connect(text)
        except ConnectionRefusedError:
            return Finding(CHECK, State.OK, f"{path} was left by a node that has ended: the next start replaces it")
        except OSError as error:
            return Finding(CHECK, State.WRONG, f"{path}: {error.strerror or error}", fix)
    holder = around.holder()
    if holder is not None and holder.is_running:
        return Finding(CHECK, State.OK, f"{path} is held by {holder.text}")
    return Finding(CHECK, State.WRONG, f"{path}: somebody else listens there", f"fuser {shlex.quote(text)}, or {fix}")


def _new_socket_file(path: Path, fix: str) -> Finding:
    if not path.parent.is_dir():
        made = f"mkdir -p {shlex.quote(str(path.parent))}"
        return Finding(CHECK, State.WRONG, f"{path}: there is no directory {path.parent}", made)
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return Finding(CHECK, State.WRONG, f"{path}: this user may make nothing in {path.parent}", fix)
    return Finding(CHECK, State.OK, f"{path} can be made")
