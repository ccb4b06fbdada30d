"""The conversation with a node, across all its connections, without I/O: bytes in, bytes out, time an argument.

A session lives as long as the client. ``connected`` gives it somewhere to send to, ``disconnected`` takes that away;
what happens between the two is decided here: which requests wait, which are lost, which answers are kept.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from math import inf
from typing import Any

import msgspec

from lambdamesh.client.envelopes import (
    Message,
    cancel_of,
    credit_of,
    decode_item,
    decode_word,
    error_of,
    item_of,
    read_message,
    result_of,
)
from lambdamesh.client.faults import RPC_METHOD_NOT_FOUND, ClientClosed, Reply, copy_of, encode_reply, read_fault
from lambdamesh.client.hosting import End, Hosted, Served
from lambdamesh.client.looking import Look
from lambdamesh.client.patience import PATIENCE_S
from lambdamesh.client.requests import SLACK_S, Request
from lambdamesh.client.resting import Resting
from lambdamesh.errors import CallTimeout, Draining, LambdaLost, MeshError, Overloaded
from lambdamesh.protocol.json_text import NULL

WAITING_REQUESTS = 1024
"""Requests that may wait for a connection."""
KEPT_ANSWERS = 1024
"""Answers that are kept while there is no connection; the calls of others end as lost."""
KEPT_BYTES = 32 * 1024 * 1024

Serve = Callable[[Served, Any, bytes], None]


class Session:
    """Requests to the node, and calls from it. ``serve`` is given each call with its handler and its params.

    ``requests`` are those in flight by number, ``hosted`` our lambdas by id. ``is_left`` is whether the node goes down,
    so that calls wait for the next connection. ``on_deadline`` is told when the earliest deadline has moved to an
    earlier time: ``expire`` is wanted then. ``patience_s`` is how long a call is asked again whose refusal passes.
    """

    def __init__(
        self,
        serve: Serve,
        on_deadline: Callable[[float], None] = lambda _at: None,
        patience_s: float = PATIENCE_S,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._serve = serve
        self._on_deadline = on_deadline
        self._send: Callable[[bytes], None] | None = None
        self._number = 0
        self._waiting: dict[Request, None] = {}
        self.patience_s = patience_s
        self._resting = Resting(patience_s, chance)
        self._is_looking = self.is_left = False
        self._earliest_at = inf
        self._kept_answers = 0
        self._kept_bytes = 0
        self._refusal: MeshError | None = None
        self.requests: dict[int, Request] = {}
        self.hosted: dict[str, Hosted] = {}

    # -- the connection -----------------------------------------------------------------------------------------

    @property
    def awaited_s(self) -> float:
        """How long calls wait for a connection: those for our lambdas their graces, our own half of our patience."""
        ours_s = self.patience_s / 2 if self.patience_s and self._waiting else inf
        return min(ours_s, *(hosted.given_s for hosted in self.hosted.values() if hosted.given_s), inf)

    @property
    def is_connected(self) -> bool:
        """Whether there is somewhere to send to."""
        return self._send is not None

    def connected(self, send: Callable[[bytes], None]) -> None:
        """There is a connection; ``flush`` sends what has waited for it."""
        self._send = send
        self._is_looking = self.is_left = False

    def flush(self, now: float) -> None:
        """Send the requests that have waited."""
        waiting, self._waiting = self._waiting, {}
        for request in waiting:
            self._ask_again(request, now)

    def disconnected(self, why: str) -> None:
        """The connection is gone: requests in flight are lost, calls that are not streams may still be answered."""
        self._lose(LambdaLost(f"{why} before the answer came: it may have run, or not"))

    def _lose(self, error: MeshError) -> None:
        self._send = None
        self._is_looking = self.is_left = False
        self._waiting |= dict.fromkeys(self._resting.leave())
        lost, self.requests = self.requests, {}
        for request in lost.values():
            request.fault(copy_of(error))
        for hosted in self.hosted.values():
            hosted.is_seated = False
            for served in tuple(hosted.calls.values()):
                if served.wants_stream:
                    self._drop(served)

    def close(self, refusal: MeshError) -> None:
        """Nothing will be sent any more: whatever waits, and whatever is asked from now on, gets ``refusal``.

        What was sent gets it as well where we have closed, since it may have run; else it is lost.
        """
        self._refusal = refusal
        if isinstance(refusal, ClientClosed):
            self._lose(ClientClosed(refusal.message, delivered="unknown"))
        else:
            self.disconnected(refusal.message)
        waiting, self._waiting = self._waiting, {}
        for request in waiting:
            request.fault(copy_of(refusal))
        self._resting.close(refusal)
        for hosted in tuple(self.hosted.values()):
            self.forget(hosted, End(1000, refusal.message))

    # -- requests -----------------------------------------------------------------------------------------------

    def ask(self, request: Request, now: float) -> None:
        """Send a request, or have it wait for a connection.

        Raises:
            MeshError: no connection will come any more, or as many wait as may (``Overloaded``, ``Draining``).
        """
        if self.is_left and request.is_repeatable:
            self._watch(self._resting.park(request, now))
            return
        if self._send is not None:
            self._ask(request, now)
            return
        self.check()
        if len(self._waiting) >= WAITING_REQUESTS:
            raise Overloaded(f"{WAITING_REQUESTS} calls wait for the node to be back: call later")
        self._waiting[request] = None
        self._watch(request.deadline_at)

    def check(self) -> None:
        """Raise the reason where there will be no connection any more."""
        if self._refusal is not None:
            raise copy_of(self._refusal)

    def _ask(self, request: Request, now: float) -> None:
        assert self._send is not None
        self._number = number = self._number + 1
        self.requests[number] = request
        message = request.message(number, now)
        deadline_at = request.deadline_at = request.deadline_at + SLACK_S
        if deadline_at < self._earliest_at:
            self._watch(deadline_at)
        self._send(message)

    def notify(self, head: bytes, body: bytes, tail: bytes = b"]") -> None:
        """Send what has no answer; without a connection it is lost."""
        if self._send is not None:
            self._send(b'{"jsonrpc":"2.0",%b%b%b}' % (head, body, tail))

    def withdraw(self, request: Request) -> None:
        """Forget a request, and tell the node that nobody waits for it."""
        self._waiting.pop(request, None)
        self._resting.discard(request)
        if self.requests.get(request.number) is request:
            del self.requests[request.number]
            if self._send is not None:
                self._send(cancel_of(request.number))

    def grant(self, request: Request, add: int) -> None:
        """Allow ``add`` more items of a stream."""
        if self._send is not None and self.requests.get(request.number) is request:
            self._send(credit_of(request.number, add))

    # -- deadlines ----------------------------------------------------------------------------------------------

    def _watch(self, deadline_at: float) -> None:
        if deadline_at < self._earliest_at:
            self._earliest_at = deadline_at
            self._on_deadline(deadline_at)

    def expire(self, now: float) -> None:
        """End the requests whose deadline has passed; ``on_deadline`` is told the next one."""
        for request in [waiting for waiting in self._waiting if waiting.deadline_at <= now]:
            del self._waiting[request]
            request.fault(CallTimeout("the deadline passed before there was a connection", delivered="no"))
        for request in [sent for sent in self.requests.values() if sent.deadline_at <= now]:
            if request.overdue(now):
                self.withdraw(request)
                request.fault(CallTimeout("the deadline passed before the answer came"))
        self._resting.expire(now)
        for request in self._resting.due(now):
            self._ask_again(request, now)
        self._earliest_at = inf
        both = (*self._waiting, *self.requests.values())
        self._watch(min((request.deadline_at for request in both), default=inf))
        self._watch(self._resting.earliest_at)

    # -- refusals that pass -------------------------------------------------------------------------------------

    def _refused(self, request: Request, error: MeshError, now: float) -> None:
        """Have a request rest whose refusal passes; else it has ended."""
        request.deadline_at -= SLACK_S
        due_at = self._resting.rest(request, error, now)
        if due_at is None:
            request.fault(error)
            return
        self._watch(due_at)
        if isinstance(error, Draining) and not (self._is_looking or self.is_left):
            # Another node may have said so, or this one.
            self._is_looking = True
            self._ask(Look(self._looked, now), now)

    def _looked(self, is_going_down: bool) -> None:
        # What was sent to a node that closes is lost, and nobody knows whether it ran: nothing more is.
        self._is_looking = False
        # The node may have said so itself in the meantime, behind an answer that says no.
        self.is_left = self.is_left or is_going_down

    def _ask_again(self, request: Request, now: float) -> None:
        try:
            self.ask(request, now)
        except MeshError as error:
            request.fault(error)

    # -- messages -----------------------------------------------------------------------------------------------

    def receive(self, raw: bytes, now: float) -> None:
        """Take one message of the node. One that cannot be read is passed over.

        Raises:
            ValueError: it is no message.
        """
        message = read_message(raw)
        if message.method is None:
            request = self.requests.pop(message.id, None)  # type: ignore[arg-type]
            if request is not None:
                error = message.error
                if not error or bytes(error) == NULL:
                    request.result(message.result)
                else:
                    self._refused(request, read_fault(bytes(error)), now)
        elif message.meta is not None:
            self._called(message, now)
        else:
            word = _WORDS.get(message.method)
            if word is not None:
                word(self, message, now)
            elif message.id is not None:
                self._refuse(msgspec.json.encode(message.id), message.method)

    def _refuse(self, wire_id: bytes, method: str) -> None:
        if self._send is not None:
            self._send(error_of(wire_id, encode_reply(Reply(RPC_METHOD_NOT_FOUND, f"there is no method {method!r}"))))

    def _called(self, message: Message, now: float) -> None:
        meta, method = message.meta, message.method
        assert meta is not None
        assert method is not None
        hosted = self.hosted.get(meta.lambda_id)
        handler = None if hosted is None else hosted.handlers.get(method)
        if hosted is None or handler is None:
            if message.id is not None:
                self._refuse(msgspec.json.encode(message.id), method)
            return
        served = Served(self, hosted, method)
        served.ray, served.traceparent, served.sub = meta.ray, meta.traceparent, meta.sub
        if meta.deadline_ms is not None:
            served.deadline_at = now + meta.deadline_ms / 1000
        if message.id is not None:
            served.number = number = _number_of(message.id)
            served.wire_id = b'"%b.%d"' % (hosted.id.encode(), number)
            served.wants_stream, served.credit = meta.stream, meta.credit
            hosted.calls[number] = served
        self._serve(served, handler, message.params)

    def _ping(self, message: Message, now: float) -> None:
        if message.id is not None and self._send is not None:
            self._send(result_of(msgspec.json.encode(message.id), NULL))

    def _progress(self, message: Message, now: float) -> None:
        item = decode_item(message.params)
        request = self.requests.get(item.token)
        if request is not None:
            request.item(item.value, now)

    def _served_by(self, wire_id: int | str) -> Served | None:
        hosted = self.hosted.get(str(wire_id).rpartition(".")[0])
        return None if hosted is None else hosted.calls.get(_number_of(wire_id))

    def _cancel(self, message: Message, now: float) -> None:
        served = self._served_by(decode_word(message.params).id)
        if served is not None:
            self._drop(served)

    def _credit(self, message: Message, now: float) -> None:
        word = decode_word(message.params)
        served = self._served_by(word.id)
        if served is not None:
            served.credit += word.add
            served.more()

    def _draining(self, message: Message, now: float) -> None:
        self.is_left = self.patience_s > 0
        self._ping(message, now)

    def _closed(self, message: Message, now: float) -> None:
        word = decode_word(message.params)
        hosted = self.hosted.get(str(word.id))
        if hosted is not None:
            self.forget(hosted, End(word.code, word.reason))

    # -- calls of ours ------------------------------------------------------------------------------------------

    def answer(self, served: Served, raw: bytes, is_error: bool) -> None:
        """Answer a call, or keep the answer for when its lambda is open again."""
        hosted, number = served.hosted, served.number
        if hosted.calls.get(number) is not served:
            return
        del hosted.calls[number]
        message = (error_of if is_error else result_of)(served.wire_id, raw)
        if hosted.is_seated and self._send is not None:
            self._send(message)
        elif self._kept_answers < KEPT_ANSWERS and self._kept_bytes + len(message) <= KEPT_BYTES:
            self._kept_answers += 1
            self._kept_bytes += len(message)
            hosted.kept[number] = message

    def send_item(self, served: Served, raw: bytes) -> None:
        """Send one item of a stream of ours."""
        hosted = served.hosted
        if hosted.is_seated and self._send is not None and hosted.calls.get(served.number) is served:
            self._send(item_of(served.wire_id, raw))

    def _drop(self, served: Served) -> None:
        if served.hosted.calls.get(served.number) is served:
            del served.hosted.calls[served.number]
        served.cancel()

    def seat(self, hosted: Hosted, lambda_id: str, key: str) -> None:
        """The node has opened a lambda."""
        hosted.id, hosted.key, hosted.is_seated = lambda_id, key, True
        self.hosted[lambda_id] = hosted

    def reseat(self, hosted: Hosted, key: str, pending: list[int]) -> None:
        """The node has opened a lambda again: send the answers that were kept for the calls in ``pending``.

        Calls that are not in ``pending`` have ended meanwhile.
        """
        still_open = frozenset(pending)
        hosted.key, hosted.is_seated = key, True
        for number, served in tuple(hosted.calls.items()):
            if number and number not in still_open:
                self._drop(served)
        for number, message in self._take_kept(hosted).items():
            if number in still_open and self._send is not None:
                self._send(message)

    def _take_kept(self, hosted: Hosted) -> dict[int, bytes]:
        kept, hosted.kept = hosted.kept, {}
        self._kept_answers -= len(kept)
        self._kept_bytes -= sum(map(len, kept.values()))
        return kept

    def forget(self, hosted: Hosted, end: End) -> None:
        """A lambda has ended for good."""
        if self.hosted.pop(hosted.id, None) is None:
            return
        hosted.end, hosted.is_seated = end, False
        self._take_kept(hosted)
        for served in tuple(hosted.calls.values()):
            self._drop(served)
        hosted.on_end()


def _number_of(wire_id: int | str) -> int:
    """Return ``N`` of the id ``<lambda id>.<N>``. Raises: ValueError where it is none."""
    return int(str(wire_id).rpartition(".")[2])


_WORDS: dict[str, Callable[[Session, Message, float], None]] = {
    "$/progress": Session._progress,
    "$/cancelRequest": Session._cancel,
    "$/credit": Session._credit,
    "$/ping": Session._ping,
    "lambda.closed": Session._closed,
    "node.draining": Session._draining,
}
