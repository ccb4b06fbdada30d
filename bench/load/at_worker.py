"""Connections to one worker of a node. Which one has a connection is in the rays of its answers."""

import socket
from http.client import HTTPConnection

from lambdamesh.ids import NEEDS_KEY, SEQUENCE_BITS

TRIES_EACH = 64
"""So many connections in a row that all go past one of a few workers are no chance any more."""


def connections_to(port: int, worker: int, count: int) -> list[socket.socket]:
    """So many connections, each asked one thing already. Raises OSError: the kernel gives that worker none."""
    found: list[socket.socket] = []
    for _ in range(count * TRIES_EACH):
        if len(found) == count:
            return found
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        if _worker_at(connection) == worker:
            connection.sock.setblocking(False)
            found.append(connection.sock)
        else:
            connection.close()
    raise OSError(f"{len(found)} of {count * TRIES_EACH} connections came to worker {worker}: {count} were wanted")


def _worker_at(connection: HTTPConnection) -> int:
    """The field of a ray's snowflake that is an id's too."""
    connection.request("GET", "/ping")
    with connection.getresponse() as response:
        ray, _ = response.headers["X-Ray"], response.read()
    return (int(ray.partition("-")[0], 16) >> SEQUENCE_BITS) % NEEDS_KEY
