"""What a worker counts, as plain integers: adding one is all that the path of a call pays for a metric."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

COUNTERS: tuple[tuple[str, str], ...] = (
    ("requests", "HTTP requests read whole."),
    ("refused_requests", "HTTP requests refused before they reached a route."),
    ("connections_opened", "Connections accepted."),
    ("connections_refused", "Times that accepting paused because no more connections may be open."),
    ("calls", "Calls accepted by the relay."),
    ("calls_answered", "Calls that ended with the provider's answer, an error of its own included."),
    ("calls_cancelled", "Calls whose caller went away."),
    ("calls_timed_out", "Calls whose deadline passed."),
    ("calls_lost", "Calls whose provider's socket ended first."),
    ("calls_unknown", "Calls for lambdas that are not here."),
    ("calls_passed", "Calls passed on to another node, or to another worker of this one."),
    ("calls_adopted", "Calls that came to be answered here after a provider moved with them."),
    ("calls_looped", "Calls refused because they went from node to node too often."),
    ("notifications", "Calls sent as notifications."),
    ("stream_items", "Items of streams passed on to callers."),
    ("streams_gave_way", "Streams ended because nothing of them was taken and another call needed their place."),
    ("overloaded_lambda", "Calls refused because the lambda has as many in flight as it may."),
    ("overloaded_queue", "Calls refused because too many bytes wait for the provider's socket."),
    ("overloaded_link", "Calls refused because too many bytes wait for the link to their node."),
    ("overloaded_waiting", "Calls refused because too many wait for the lambda to be re-opened."),
    ("overloaded_caller", "Calls refused because the caller has as many in flight as it may."),
    ("overloaded_buffers", "Bodies and messages refused because too many bytes are buffered."),
    ("overloaded_socket", "Lambdas refused because their socket has opened as many as it may."),
    ("overloaded_events", "Event streams refused because as many are open as may be."),
    ("lambdas_opened", "Lambdas opened."),
    ("lambdas_reopened", "Lambdas re-opened."),
    ("lambdas_closed", "Lambdas closed, for whatever reason."),
    ("reopens_refused", "Re-opens refused."),
    ("opens_timed_out", "Providers that did not answer open in time."),
    ("sockets_cut_stuck", "Sockets cut because they took no byte in time."),
    ("sockets_cut_silent", "WebSockets cut because they did not answer pings."),
    ("sockets_cut_oversize", "WebSocket messages over the limit."),
    ("sockets_violations", "WebSockets closed because they broke the protocol."),
    ("lambdas_moved", "Lambdas that were re-opened on another node while they were held here."),
    ("links_opened", "Links that came up."),
    ("links_lost", "Links that ended without a goodbye."),
    ("links_refused", "Links refused, by either side: certificate, machine id, version."),
    ("links_failed", "Attempts to reach another node that failed."),
    ("links_cut_silent", "Links cut because a ping was not answered."),
)
"""Name and meaning of each counter; each is a field of ``Counters`` and a metric."""


class Counters:
    """One integer a row of ``COUNTERS``; ``former`` is what to go on from."""

    __slots__ = tuple(name for name, _ in COUNTERS)

    requests: int
    refused_requests: int
    connections_opened: int
    connections_refused: int
    calls: int
    calls_answered: int
    calls_cancelled: int
    calls_timed_out: int
    calls_lost: int
    calls_unknown: int
    calls_passed: int
    calls_adopted: int
    calls_looped: int
    notifications: int
    stream_items: int
    streams_gave_way: int
    overloaded_lambda: int
    overloaded_queue: int
    overloaded_link: int
    overloaded_waiting: int
    overloaded_caller: int
    overloaded_buffers: int
    overloaded_socket: int
    overloaded_events: int
    lambdas_opened: int
    lambdas_reopened: int
    lambdas_closed: int
    reopens_refused: int
    opens_timed_out: int
    sockets_cut_stuck: int
    sockets_cut_silent: int
    sockets_cut_oversize: int
    sockets_violations: int
    lambdas_moved: int
    links_opened: int
    links_lost: int
    links_refused: int
    links_failed: int
    links_cut_silent: int

    def __init__(self, former: Mapping[str, int] = MappingProxyType({})) -> None:
        for name in self.__slots__:
            setattr(self, name, former.get(name, 0))
