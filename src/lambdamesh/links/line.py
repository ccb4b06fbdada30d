"""Calls and questions that wait for a link to come up, in their order."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from lambdamesh.core.ports import Linked
from lambdamesh.errors import LambdaLost, MeshError, Overloaded
from lambdamesh.protocol.answer import Pending
from lambdamesh.protocol.call import Call

MOST = 4096
"""How many may wait for one link; bodies count against what all buffers may hold together."""

_Send = Callable[[Linked], int]


class Line:
    """What waits for one node (``core.ports.LinkSeat``, ``core.ports.Linked``). Nothing of it has been sent there."""

    is_up = False

    def __init__(self, time: Callable[[], float] = monotonic) -> None:
        self._time = time
        self.number = 0
        self.pending: dict[int, Pending] = {}
        self._sends: dict[int, _Send] = {}
        self._calls: dict[int, Call] = {}
        self._adopted: set[int] = set()
        self._words: list[tuple[str, bytes]] = []

    @property
    def congested(self) -> bool:
        """Whether as many wait as may."""
        return len(self.pending) >= MOST

    @property
    def provider(self) -> Line:
        """This is where they wait."""
        return self

    def _add(self, answer: Pending, send: _Send) -> int:
        self.number += 1
        self.pending[self.number] = answer
        self._sends[self.number] = send
        return self.number

    def call(self, call: Call, answer: Pending) -> int:
        """Have a call wait."""
        ends_at = self._time() + call.timeout_s

        def send(link: Linked) -> int:
            call.timeout_s = max(ends_at - self._time(), 0.0)
            return link.call(call, answer)

        number = self._add(answer, send)
        self._calls[number] = call
        return number

    def pass_on(self, call: Call, answer: Pending) -> int:
        """Have a notification wait."""
        return self._add(answer, lambda link: link.pass_on(call, answer))

    def adopt(self, call: Call, lambda_number: int, answer: Pending) -> int:
        """Have a call wait that runs since before its lambda moved."""
        number = self._add(answer, lambda link: link.adopt(call, lambda_number, answer))
        self._adopted.add(number)
        return number

    def ask(self, topic: str, body: bytes, answer: Pending) -> int:
        """Have a question wait."""
        return self._add(answer, lambda link: link.ask(topic, body, answer))

    def notify(self, call: Call) -> None:
        """Nobody sends notifications that way: they are passed on with an answer (``core.ports.Provider``)."""

    def tell(self, topic: str, body: bytes) -> None:
        """Have a word wait."""
        if len(self._words) < MOST:
            self._words.append((topic, body))

    def cancel(self, number: int) -> None:
        """Nobody waits for the answer any more: it is not sent."""
        self._forget(number)

    def credit(self, number: int, add: int) -> None:
        """Let more items of a stream come from its beginning."""
        call = self._calls.get(number)
        if call is not None:
            call.credit += add

    def keepable(self) -> tuple[int, ...]:
        """Return nothing: nothing was sent."""
        return ()

    def suspend(self, error: MeshError) -> None:
        """Nothing was sent."""

    def _forget(self, number: int) -> Pending | None:
        self._sends.pop(number, None)
        self._calls.pop(number, None)
        self._adopted.discard(number)
        return self.pending.pop(number, None)

    def flow(self, link: Linked) -> None:
        """The link is up: send everything, in order."""
        words, self._words = self._words, []
        for topic, body in words:
            link.tell(topic, body)
        for number in tuple(self.pending):
            send = self._sends.get(number)
            answer = self._forget(number)
            if send is None or answer is None:
                continue
            try:
                sent = send(link)
            except MemoryError:
                answer.fault(Overloaded("this node has no memory left for the call: try again later"))
            else:
                answer.moved(link, sent)

    def end(self, error: MeshError) -> None:
        """The node cannot be reached: tell everybody."""
        self._words.clear()
        lost = LambdaLost(f"{error.message}: the call may have run")
        for number in tuple(self.pending):
            is_adopted = number in self._adopted
            answer = self._forget(number)
            if answer is not None:
                answer.fault(lost if is_adopted else error)
