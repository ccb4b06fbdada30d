"""What a door makes of whoever knocks: the word between the rules of access and the routes."""

from __future__ import annotations

import msgspec

from lambdamesh.errors import MeshError


class Admission(msgspec.Struct, frozen=True):
    """What the access rules make of a head.

    ``refusal`` is why a request is refused on every path but those in ``spared``. ``is_own`` is false for a page of an
    allowed foreign origin. ``origin`` is ``None`` where there is none; ``cors`` are the header lines that answers to
    it carry.

    The refusal is one object for many requests: it is written, never raised, since an exception that is raised keeps
    what it came through.
    """

    refusal: MeshError | None = None
    spared: frozenset[bytes] = frozenset()
    is_own: bool = True
    origin: bytes | None = None
    cors: bytes = b""
