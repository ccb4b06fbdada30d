"""What a request is told that met an error which nobody foresaw: want of memory, or a bug."""

from __future__ import annotations

import structlog

from lambdamesh.errors import MeshError, Overloaded

log = structlog.get_logger(__name__)


def unforeseen(error: BaseException | None, ray: bytes | None = None) -> MeshError:
    """Log ``error``, and return what to answer; ``ray`` is that of its request, ``None`` where it has none yet."""
    if isinstance(error, MemoryError):
        log.error(
            "out_of_memory",
            why="a request was refused for want of memory: give the node more, or lower body_bytes and buffered_bytes",
            once_a_minute=True,
        )
        return Overloaded("this node has no memory left for the request: try again later")
    if ray is None:
        log.error("internal_error", exc_info=error, once_a_minute=True)
        return MeshError("this node has a bug: look in its log")
    log.error("internal_error", exc_info=error, ray=ray.decode(), once_a_minute=True)
    return MeshError("this node has a bug: look for the ray in its log")
