"""Lambdas as a reader sees them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache

from lambdamesh.core.held import Lambda
from lambdamesh.ids import parse_lambda_id

_MINUTE_MS = 60_000


def timestamp(text: bytes) -> str:
    """When the id ``text`` was minted: RFC 3339 with milliseconds and the local offset."""
    minute, ms = divmod(parse_lambda_id(text).unix_ms, _MINUTE_MS)
    clock, offset = _minute(minute)
    return f"{clock}:{ms // 1000:02}.{ms % 1000:03}{offset}"


@lru_cache(maxsize=1024)
def _minute(minute: int) -> tuple[str, str]:
    # The offset changes between minutes, if ever: a listing of thousands asks for few of them.
    local = datetime.fromtimestamp(minute * 60, UTC).astimezone().isoformat(timespec="minutes")
    return local[:16], local[16:]


def lambda_object(held: Lambda) -> bytes:
    """Write one lambda as a JSON object."""
    return b'{"id":"%b","timestamp":"%b","code":"%b","state":"%b","headers":%b}' % (
        held.id,
        timestamp(held.id).encode(),
        held.code.encode(),
        held.state.encode(),
        held.headers,
    )


def lambda_map(lambdas: Iterable[Lambda]) -> bytes:
    """Write lambdas as a JSON object from id to lambda object."""
    return b"{%b}" % b",".join(b'"%b":%b' % (held.id, lambda_object(held)) for held in lambdas)
