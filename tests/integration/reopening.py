"""Re-opening as the tests do it, and how it is refused."""

from __future__ import annotations

from tests.nodes import Node, until
from tests.providers import Provider
from tests.websocket import WebSocket, handshake
from tests.wire import Headers, RawHttp, request, sound

PAGE = (("Origin", "http://localhost"),)
KEY_HEADER = "Lambda-Resume-Key"


def refusal(node: Node, target: str, headers: Headers = (), subprotocols: tuple[str, ...] = ()) -> tuple[int, str]:
    """Status and word of a refused handshake."""
    with RawHttp(node.address) as http:
        http.send(handshake(target, headers, subprotocols=subprotocols))
        answer = sound(http.answer())
        assert answer.status >= 400, answer
        return answer.status, answer.code


def refusal_to_page(node: Node, target: str, headers: Headers = (), subprotocols: tuple[str, ...] = ()) -> int:
    """The close code that a page gets."""
    with WebSocket.open(node.address, target, headers=[*PAGE, *headers], subprotocols=subprotocols) as ws:
        return ws.close_code()


def answers(node: Node, provider: Provider) -> bool:
    """Whether calls of the lambda come to this provider, and back."""
    with RawHttp(node.address) as http:
        http.send(request("POST", f"/lambda/{provider.id}/m"))
        provider.answer(provider.next_call(), b'"here"')
        return bool(http.answer().json() == "here")


def ended(node: Node, provider: Provider) -> str:
    """Let the provider end without a word; its id, once the node knows."""
    provider.ws.http.close()
    until(lambda: node.fetch("GET", f"/lambda/{provider.id}").status == 410, "the lambda is gone")
    return provider.id


def spoiled(key: str) -> list[str]:
    """Keys that are nearly right."""
    flipped = "".join("B" if char == "A" else "A" for char in key[-3:])
    return [
        key[:-3] + flipped,
        "B" + key[1:] if key[0] != "B" else "C" + key[1:],
        key[:-1],
        key + "A",
        "x",
        key.swapcase(),
        "A" * len(key),
    ]
