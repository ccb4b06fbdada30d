"""What stands before TLS where one worker is wanted of a node that has several.

A fixed number of bytes: a mark that no TLS record begins with, then the number of the worker (u8). Who is wanted is no
secret, and whoever it is asks for a certificate all the same.
"""

from __future__ import annotations

_MARK = b"lambdamesh\x00"
PREAMBLE_BYTES = len(_MARK) + 1


def preamble(worker: int) -> bytes:
    """Write that ``worker`` is wanted."""
    return _MARK + bytes((worker,))


def is_begun(text: bytes) -> bool:
    """Whether ``text``, the first bytes of a connection, may yet become a preamble."""
    return len(text) < PREAMBLE_BYTES and _MARK.startswith(text[: len(_MARK)])


def read_preamble(text: bytes) -> int | None:
    """Return which worker is wanted; ``None`` where there is no preamble."""
    return text[-1] if len(text) == PREAMBLE_BYTES and text.startswith(_MARK) else None
