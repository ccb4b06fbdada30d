"""Who may open or re-open an id (contract: re-opening)."""

from __future__ import annotations

from enum import Enum

import msgspec

from lambdamesh.errors import Forbidden, MeshError
from lambdamesh.ids import LambdaId

FUTURE_MS = 15_000
"""How far ahead of the clock the time of an id may be: ids are minted under floors that are written ahead."""


class Key(Enum):
    """What the client showed to prove that an id is its own."""

    NONE = "none"
    WRONG = "wrong"
    RIGHT = "right"


class Claim(msgspec.Struct, frozen=True, gc=False):
    """What a socket wants to be: the lambda ``text``, new or re-opened. ``headers`` is a JSON object.

    ``shown`` is the key that its client showed, for the home to check where that is another node; ``door`` the one that
    it came through, whose keys it has to be one of.
    """

    text: bytes
    is_new: bool
    key: Key = Key.NONE
    grace_s: float = 0.0
    headers: bytes = b"{}"
    shown: bytes = b""
    door: str = "local"


class Grant(msgspec.Struct, frozen=True, gc=False):
    """What a home says to a claim that is right: a fresh key, and the calls that the lambda may still answer."""

    resume_key: bytes
    pending: tuple[int, ...] = ()


def refusal_of(claim: Claim, lambda_id: LambdaId, is_live: bool, horizon_ms: int) -> MeshError | None:
    """Say why ``claim`` may not re-open an id whose home this is and that was not deleted; ``None`` if it may.

    ``horizon_ms`` is the Unix time behind which nothing can have been minted.
    """
    if claim.key is Key.RIGHT:
        return None
    if claim.key is Key.WRONG:
        return Forbidden("this is not the key of this lambda, or the key has expired")
    if lambda_id.needs_key:
        return Forbidden("this lambda is re-opened with its key only: send it as Lambda-Resume-Key")
    if is_live:
        return Forbidden("this lambda is held by another socket: re-open it with its key (Lambda-Resume-Key)")
    if lambda_id.unix_ms > horizon_ms:
        return Forbidden("this id is of the future: no node has minted it")
    return None
