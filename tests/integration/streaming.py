"""Streams as the tests read them."""

from __future__ import annotations

from typing import Any

from tests.json_rpc_2 import Provider2, calling
from tests.wire import Headers, RawHttp, WireError, sound

SSE: Headers = (("Accept", "text/event-stream"),)
NDJSON: Headers = (("Accept", "application/x-ndjson"),)


def begun(provider: Provider2, headers: Headers = SSE, target: str = "m") -> tuple[RawHttp, dict[str, Any]]:
    """A caller whose stream has sent its first item, 0, and the call."""
    http = calling(provider.node, provider.id, target, headers=headers)
    asked = provider.call(target.partition("?")[0])
    provider.item(asked, 0)
    assert sound(http.head()).status == 200
    assert http.chunk() == (b"data: 0\n\n" if headers is SSE else b'{"item":0}\n')
    return http, asked


def wait_cancelled(provider: Provider2, asked: dict[str, Any]) -> None:
    """The next message cancels ``asked``."""
    assert provider.cancelled() == asked["id"]


def read_item(http: RawHttp) -> bytes:
    """One item of a stream of events."""
    item = http.chunk()
    if not item.startswith(b"data: "):
        raise WireError(f"no item but {item[:100]!r}")
    return item
