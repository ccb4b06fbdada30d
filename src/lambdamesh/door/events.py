"""The stream of what happens to lambdas, as server-sent events (WHATWG HTML, 9.2)."""

from __future__ import annotations

from typing import Protocol

import msgspec

from lambdamesh.core.clock import Clock
from lambdamesh.core.counters import Counters
from lambdamesh.core.held import Lambda
from lambdamesh.core.limits import Limits
from lambdamesh.core.listing import timestamp
from lambdamesh.core.wheel import Wheel
from lambdamesh.core.words import EventFields
from lambdamesh.errors import Overloaded

CONTENT_TYPE = b"text/event-stream; charset=utf-8"


class Subscriber(Protocol):
    """An answer that goes on."""

    def stream(self, content_type: bytes) -> bool:
        """Begin; ``False`` where the answer has ended with its head."""

    def send(self, piece: bytes) -> None:
        """Add a piece."""


class Events:
    """Passes events on to whoever has subscribed, and a comment where there was none for a while."""

    __slots__ = ("_clock", "_counters", "_greeting", "_is_armed", "_limits", "_subscribers", "_wheel")

    def __init__(
        self,
        limits: Limits,
        counters: Counters,
        wheel: Wheel,
        clock: Clock,
        greeting: bytes = b": this node's lambdas\n\n",
    ) -> None:
        self._greeting = greeting
        self._limits = limits
        self._counters = counters
        self._wheel = wheel
        self._clock = clock
        self._is_armed = False
        self._subscribers: dict[Subscriber, None] = {}

    def subscribe(self, subscriber: Subscriber) -> None:
        """Begin a stream.

        Raises:
            Overloaded: as many are open as may be.
        """
        if len(self._subscribers) >= self._limits.events_subscribers:
            self._counters.overloaded_events += 1
            raise Overloaded(f"{self._limits.events_subscribers} event streams are open: close one")
        if not subscriber.stream(CONTENT_TYPE):
            return
        subscriber.send(self._greeting)
        self._subscribers[subscriber] = None
        if not self._is_armed:
            self._arm(self._clock.now)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """End a stream that its reader has left."""
        self._subscribers.pop(subscriber, None)

    def publish(self, subject: Lambda, kind: str, detail: str) -> None:
        """Tell every subscriber of one event (``core.registry.Publish``)."""
        if self._subscribers:
            self.show(kind, event_fields(subject, kind, detail))

    def say(self, comment: str) -> None:
        """Tell every subscriber something that is no event."""
        self._send(f": {comment}\n\n".encode())

    @property
    def has_subscribers(self) -> bool:
        """Whether anybody listens."""
        return bool(self._subscribers)

    def show(self, kind: str, fields: EventFields) -> None:
        """Tell every subscriber of one event."""
        if self._subscribers:
            self._send(b"event: %b\ndata: %b\n\n" % (kind.encode(), msgspec.json.encode(fields)))

    def expire(self, now: float) -> None:
        """Time for a comment (``Expiring``)."""
        self._is_armed = False
        if self._subscribers:
            self._send(b": ping\n\n")
            self._arm(now)

    def _arm(self, now: float) -> None:
        self._is_armed = True
        self._wheel.add(self, now + self._limits.stream_ping_s)

    def _send(self, piece: bytes) -> None:
        for subscriber in tuple(self._subscribers):
            subscriber.send(piece)


def event_fields(subject: Lambda, kind: str, detail: str) -> EventFields:
    """Return the members of one event's JSON object."""
    fields: EventFields = {"id": subject.id.decode()}
    if kind == "open":
        return fields | {"timestamp": timestamp(subject.id), "code": subject.code, "reopened": detail == "reopened"}
    return fields | {"reason": detail}
