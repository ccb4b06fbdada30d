"""``lambdamesh serve``: run a node."""

from __future__ import annotations

import shlex
import socket
import sys
from pathlib import Path

import lambdamesh
from lambdamesh.cli.node_flags import NodeFlags
from lambdamesh.settings import Settings, Tcp, Unix, parse_address, parse_mesh_door


def serve(flags: NodeFlags | None = None) -> int:
    """Run a node until SIGTERM or ctrl-C; a second one does not wait for running calls."""
    settings = (flags or NodeFlags()).effective().settings
    from lambdamesh.telemetry.logs import configure
    from lambdamesh.workers.serving import serve as serve_node

    configure(settings.log_format, settings.log_level)
    if sys.stdout.isatty():
        print(greeting(settings), flush=True)
    return serve_node(settings)


def greeting(settings: Settings) -> str:
    """What somebody who starts a node by hand wants to know first."""
    address = parse_address(settings.local[0])
    lines = [f"lambdamesh {lambdamesh.__version__}; ctrl-C stops it. Once it listens, try:"]
    if isinstance(address, Unix):
        lines.append(f"  curl --unix-socket {address.path} http://localhost/lambda?pretty")
        lines.append(f"  lambdamesh ls --url unix:{address.path}")
    elif address.port == 0:
        lines.append("  the port that it logs below")
    else:
        url = base_url(address)
        lines.append(f"  curl '{url}/lambda?pretty'")
        lines.append(f"  lambdamesh ls --url {url}")
    if settings.mesh_address is not None:
        lines += _about_mesh(settings, settings.mesh_address)
    return "\n".join(lines)


def _about_mesh(settings: Settings, mesh_address: str) -> list[str]:
    """Where the mesh door is, and what lets another node join."""
    if settings.mesh_secret_file:
        given = f"give another machine a copy of {settings.mesh_secret_file}"
        trust = f"--mesh-secret-file {shlex.quote(Path(settings.mesh_secret_file).name)}"
    else:
        given = f"give another machine a certificate of a CA in {settings.mesh_ca}"
        trust = "--mesh-ca CA --mesh-cert CERT --mesh-key KEY"
    return [
        f"The mesh door is {mesh_address}. To let another node join, {given}, and run there:",
        f"  lambdamesh serve --peer {_dialled(settings, parse_mesh_door(mesh_address))} {trust}",
    ]


def _dialled(settings: Settings, door: Tcp) -> str:
    """What others are to dial, as far as it can be told before the door listens."""
    if settings.advertise:
        return settings.advertise
    host = (settings.host_name or socket.gethostname()) if door.is_everywhere else door.host
    return Tcp(host, door.port).text if door.port else Tcp(host, 0).text.removesuffix("0") + "PORT"


def base_url(address: Tcp) -> str:
    """The address as the start of a URL."""
    return f"http://{address.text}"
