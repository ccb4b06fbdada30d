"""Tickets of the public door: where they come from, and when a new one is due."""

from __future__ import annotations

import inspect
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable

import msgspec

Ticket = str | Callable[[], Awaitable[str]] | Callable[[], str] | None
"""A ticket, or what gives one; it is asked before each connection and before the last one ends."""

RENEW_BEFORE_S = 60.0
"""How long before its end a ticket is renewed; a tenth of its life where that is less."""


class _Claims(msgspec.Struct):
    exp: float | None = None


_decode_claims = msgspec.json.Decoder(_Claims).decode


async def take_ticket(source: Ticket) -> str | None:
    """Return a ticket from ``source``, or ``None`` where there is none."""
    if source is None or isinstance(source, str):
        return source
    given = source()
    ticket = await given if inspect.isawaitable(given) else given
    if not isinstance(ticket, str):
        raise TypeError(f"the ticket function returned {type(ticket).__name__}, and not a str")
    return ticket


def expires_at(ticket: str) -> float | None:
    """Return the ``exp`` of a JWT in Unix seconds, unverified; ``None`` where there is none to read."""
    claims = ticket.split(".")[1:2]
    try:
        return _decode_claims(urlsafe_b64decode(claims[0] + "=" * (-len(claims[0]) % 4))).exp if claims else None
    except (ValueError, msgspec.MsgspecError):
        return None


def renew_in_s(exp: float, now: float) -> float:
    """Return in how many seconds to renew a ticket that ends at ``exp``; both in Unix seconds."""
    left_s = exp - now
    return max(left_s - min(RENEW_BEFORE_S, left_s / 10), 1.0)
