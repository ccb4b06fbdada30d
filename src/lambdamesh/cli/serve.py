"""``lambdamesh serve``: run a node."""

from __future__ import annotations

import sys

import lambdamesh
from lambdamesh.cli.node_flags import NodeFlags
from lambdamesh.settings import Settings, Tcp, Unix, parse_address


def serve(flags: NodeFlags | None = None) -> int:
    """Run a node until SIGTERM or ctrl-C; a second one does not wait for running calls."""
    settings = (flags or NodeFlags()).effective().settings
    from lambdamesh.node import serve as serve_node
    from lambdamesh.telemetry.logs import configure

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
    return "\n".join(lines)


def base_url(address: Tcp) -> str:
    """The address as the start of a URL."""
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"http://{host}:{address.port}"
