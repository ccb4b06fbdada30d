"""Lambdas as a reader sees them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from lambdamesh.core.registry import Lambda
from lambdamesh.ids import parse_lambda_id


def timestamp(text: bytes) -> str:
    """When the id ``text`` was minted: RFC 3339 with milliseconds and the local offset."""
    minted = datetime.fromtimestamp(parse_lambda_id(text).unix_ms / 1000, UTC)
    return minted.astimezone().isoformat(timespec="milliseconds")


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
