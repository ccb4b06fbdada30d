"""Calls as the tests make them."""

from __future__ import annotations

from tests.nodes import Node
from tests.providers import Provider
from tests.websocket import TEXT
from tests.wire import Answer, Headers, RawHttp, request


def call(node: Node, lambda_id: str, body: bytes | None = b"1", headers: Headers = (), query: str = "") -> Answer:
    return node.fetch("POST", f"/lambda/{lambda_id}/m{query}", body, headers)


def gone(node: Node, lambda_id: str) -> bool:
    return node.fetch("GET", f"/lambda/{lambda_id}").status == 410


def answered(node: Node, provider: Provider, raw: bytes, opcode: int = TEXT, query: str = "") -> Answer:
    """One call, answered by the provider with ``raw``, in which ``%d`` is the call's number."""
    with RawHttp(node.address) as http:
        http.send(request("POST", f"/lambda/{provider.id}/m{query}"))
        number = provider.next_call().number
        assert number is not None
        provider.ws.send_frame(opcode, raw.replace(b"%d", b"%d" % number))
        return http.answer()
