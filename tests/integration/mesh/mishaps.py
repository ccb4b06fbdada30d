"""What happens to nodes of a mesh, and how callers see it."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from tests.json_rpc_2 import Provider2, calling
from tests.meshes import call, peer_row
from tests.nodes import Node, until
from tests.websocket import KEY
from tests.wire import Answer, Closing, RawHttp, refused

ANSWERED_S = 1.0
"""Longest wait for callers of a process that has died, on a busy machine; 0.2 s is what a quiet one keeps."""
AT_ONCE_S = 0.5
"""Longest wait for a refusal that needs nobody else, on a busy machine; 0.1 s is what a quiet one keeps."""
HEAL_S = 15.0
"""Time for links to come back."""

UPGRADE = [
    ("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", KEY),
]  # fmt: skip
"""What a client that is no page sends to become a WebSocket."""

Result = TypeVar("Result")


def timed(what: Callable[[], Result]) -> tuple[Result, float]:
    """What it returns, and how many seconds it took."""
    begun_at = time.monotonic()
    result = what()
    return result, time.monotonic() - begun_at


@contextlib.contextmanager
def stopped(node: Node) -> Iterator[None]:
    """A node that does nothing at all (SIGSTOP), for as long as the block lasts."""
    node.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        node.signal(signal.SIGCONT)


def calls_in_flight(entry: Node, provider: Provider2, count: int) -> list[RawHttp]:
    """Callers at ``entry`` whose calls ``provider`` has."""
    callers = [calling(entry, provider.id) for _ in range(count)]
    for _ in callers:
        provider.call()
    return callers


def lost(answer: Answer) -> Answer:
    """Check the answer to a call whose answer was on its way when somebody died."""
    refused(answer, 502, "lambda_lost")
    assert answer.delivered == "unknown", answer
    return answer


def out_of_reach(entry: Node, lambda_id: str) -> Answer:
    """Call a lambda whose node is known to be away, and check that the refusal comes at once."""
    answer, took_s = timed(lambda: entry.fetch("POST", f"/lambda/{lambda_id}/m", b"1"))
    refused(answer, 502, "peer_unreachable")
    assert answer.delivered == "no", answer
    assert took_s < AT_ONCE_S, took_s
    return answer


def link_down(node: Node, other: str) -> None:
    """Wait until ``node`` knows that it has no link to the machine ``other``."""
    until(lambda: peer_row(node, other).get("state") in ("down", "dead"), "the link is down", HEAL_S)


def callable_again(entry: Node, lambda_id: str, meanwhile: set[tuple[int, str]], within_s: float = HEAL_S) -> None:
    """Wait until calls of a lambda that answers by itself are answered; before, only ``meanwhile`` may be said."""

    def is_answered() -> bool:
        status, body = call(entry, lambda_id)
        if status == 200:
            return True
        assert (status, body["code"]) in meanwhile, body
        return False

    until(is_answered, "it is answered again", within_s)


class Items(Closing):
    """A stream that runs from a provider to a reader at another node, an item at a time."""

    def __init__(self, entry: Node, provider: Provider2) -> None:
        self._provider = provider
        self._http = calling(entry, provider.id, headers=[("Accept", "application/x-ndjson")])
        self._call = provider.call()
        self._sent = 0

    def send(self) -> None:
        """Send one item and see it arrive."""
        self._sent += 1
        self._provider.item(self._call, self._sent)
        if self._sent == 1:
            assert self._http.head().status == 200
        text = b""
        while not text.endswith(b"\n"):
            text += self._http.chunk()
        assert text == b'{"item":%d}\n' % self._sent, text

    def close(self) -> None:
        self._http.close()


def stream_of(entry: Node, provider: Provider2) -> Items:
    """Begin to read a stream of ``provider`` at ``entry``."""
    return Items(entry, provider)
