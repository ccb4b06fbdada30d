"""The answer of a call as a stream over HTTP: items as they come, no faster than the caller takes them."""

from __future__ import annotations

from lambdamesh.core.clock import Clock
from lambdamesh.core.flight import Flight
from lambdamesh.core.limits import Limits
from lambdamesh.core.wheel import Wheel
from lambdamesh.door.request import HttpReply
from lambdamesh.door.responses import error_body
from lambdamesh.door.stream_forms import StreamForm
from lambdamesh.errors import MeshError


class HttpStream:
    """Takes the outcome of one call (``Answer``) and writes it in the form that the caller asked for.

    The head goes out with the first item, so an error before it keeps its status. Once half of what may come unasked
    has been taken, as much is asked for, all in one.
    """

    __slots__ = (
        "_clock",
        "_flight",
        "_form",
        "_grant_items",
        "_is_begun",
        "_is_over",
        "_ping_s",
        "_reply",
        "_taken",
        "_wheel",
    )

    def __init__(self, reply: HttpReply, form: StreamForm, wheel: Wheel, clock: Clock, limits: Limits) -> None:
        self._reply = reply
        self._form = form
        self._wheel = wheel
        self._clock = clock
        self._ping_s = limits.stream_ping_s
        self._grant_items = max(limits.stream_credit // 2, 1)
        self._flight: Flight | None = None
        self._taken = 0
        self._is_begun = self._is_over = False

    def in_flight(self, flight: Flight | None) -> None:
        """Remember the call, to let more items come."""
        self._flight = flight
        self._reply.in_flight(flight)

    def item(self, raw: bytes) -> None:
        """Pass a value on."""
        self._begin()
        self._reply.add(self._form.write(self._form.item, raw))
        self._taken += 1
        if not self._reply.is_behind:
            self._grant()

    def result(self, raw: bytes) -> None:
        """End with the result."""
        self._begin()
        self._end(self._form.result, raw)

    def fault(self, error: MeshError) -> None:
        """End with an error."""
        if self._is_begun:
            self._end(self._form.error, error_body(error, True))
        else:
            self._is_over = True
            self._reply.refuse(error)

    def drained(self) -> None:
        """The caller has taken what was written (``Drained``)."""
        self._grant()

    def dropped(self) -> None:
        """The caller has gone (``Drained``)."""
        self._is_over = True
        self._flight = None

    def expire(self, now: float) -> None:
        """Say something, so that nothing between here and there takes the connection for dead (``Expiring``)."""
        if self._is_over:
            return
        if not self._reply.is_behind:
            self._reply.add(self._form.ping)
        self._wheel.add(self, now + self._ping_s)

    def _begin(self) -> None:
        if self._is_begun:
            return
        self._is_begun = True
        self._reply.begin(self._form.content_type, self)
        if self._form.ping:
            self._wheel.add(self, self._clock.now + self._ping_s)

    def _grant(self) -> None:
        if self._taken >= self._grant_items and self._flight is not None:
            taken, self._taken = self._taken, 0
            self._flight.credit(taken)

    def _end(self, form: bytes, raw: bytes) -> None:
        self._is_over = True
        self._flight = None
        self._reply.add(self._form.write(form, raw))
        self._reply.finish()
