"""Tickets of the public door: where they come from, and when a new one is due."""

from __future__ import annotations

import inspect
import re
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable

import msgspec

Ticket = str | Callable[[], Awaitable[str]] | Callable[[], str] | None
"""A ticket, or what gives one; it is asked before each connection and before the last one ends."""

_CREDENTIAL = re.compile(r"[\x21-\x2b\x2d-\x7e]+")

RENEW_BEFORE_S = 60.0
"""How long before its end a ticket is renewed; a tenth of its life where that is less."""


class _Claims(msgspec.Struct):
    exp: float | None = None


_decode_claims = msgspec.json.Decoder(_Claims).decode


def clean_credential(text: str, name: str) -> str:
    """Return a token or a ticket as it may stand in a header, without white space around it.

    Raises:
        ValueError: it cannot stand there; the text tells its ``name`` and nothing of it.
    """
    stripped = text.strip()
    if _CREDENTIAL.fullmatch(stripped) is None:
        raise ValueError(f"{name} is not made of visible ASCII characters, without commas and white space")
    return stripped


class TicketFailed(Exception):
    """The ticket function gave no ticket; the text says how, and nothing of what it has raised."""


async def take_ticket(source: Ticket) -> str | None:
    """Return a ticket from ``source``, or ``None`` where there is none. Raises: TicketFailed."""
    if source is None or isinstance(source, str):
        return source
    try:
        given = source()
        ticket = await given if inspect.isawaitable(given) else given
    except Exception as error:
        raise TicketFailed(f"the ticket function raised {type(error).__name__}") from error
    if not isinstance(ticket, str):
        raise TicketFailed(f"the ticket function returned {type(ticket).__name__}, and not a str")
    try:
        return clean_credential(ticket, "what the ticket function returned")
    except ValueError as error:
        raise TicketFailed(str(error)) from None


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
