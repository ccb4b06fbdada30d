"""A stream of HTTP requests means the same however it is cut, and each request has one outcome."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given, settings, strategies as st

from lambdamesh.core.limits import Limits
from lambdamesh.door.request import Request
from tests.property.streams import cut, cuts
from tests.unit.door.readings import Outcome, Reading

LIMITS = Limits(body_bytes=5000, head_bytes=2000, head_lines=20)


class Sent(NamedTuple):
    """One request as it is sent, and what is to be made of it; nothing behind the ``last`` is read."""

    stream: bytes
    outcome: Outcome
    last: bool = False


names = st.sampled_from([b"Accept", b"x-a", b"X-Forwarded-For", b"Prefer", b"Content-Type", b"TE"])
line_values = st.sampled_from([b"", b"1", b"a, b", b"\xc3\xa9", b"x" * 300, b'"q;="'])
lines = st.lists(
    st.builds(
        lambda name, pad, value: name + b":" + pad + value + pad + b"\r\n",
        names,
        st.sampled_from([b"", b" ", b"\t "]),
        line_values,
    ),
    max_size=4,
).map(b"".join)
bodies = st.binary(max_size=40) | st.integers(0, 5000).map(lambda size: b"b" * size)
targets = st.sampled_from([b"/", b"/lambda/rhowRuuCUoE5vlcA/test", b"/a?b=c&d=%20", b"/" + b"t" * 700])
extensions = st.sampled_from([b"", b";a=b", b';a="b c"'])


@st.composite
def chunked_bodies(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A body, and the same in chunks."""
    chunks = draw(st.lists(st.binary(min_size=1, max_size=30), max_size=5))
    coded = b"".join(b"%x%b\r\n%b\r\n" % (len(chunk), draw(extensions), chunk) for chunk in chunks)
    trailer = draw(st.sampled_from([b"", b"Sum: 1\r\n", b"Host: b\r\nX: 1\r\n"]))
    return b"".join(chunks), coded + b"0\r\n" + trailer + b"\r\n"


@st.composite
def requests(draw: st.DrawFn) -> Sent:
    """A legal request in one of the ways that there are to write it."""
    target, more = draw(targets), draw(lines)
    form = draw(st.sampled_from(["none", "length", "chunks"]))
    verb = draw(st.sampled_from([b"GET", b"HEAD", b"DELETE", b"OPTIONS"])) if form == "none" else b"POST"
    body = coded = b""
    if form == "length":
        body = coded = draw(bodies)
        more += b"Content-Length: %d\r\n" % len(body)
    elif form == "chunks":
        body, coded = draw(chunked_bodies())
        more += b"Transfer-Encoding: chunked\r\n"
    more += draw(st.sampled_from([b"", b"", b"", b"Expect: 100-continue\r\n"]))
    version, connection, keep_alive = draw(st.sampled_from(CONNECTIONS))
    head = b"%b %b HTTP/%b\r\nHost: a\r\n%b%b\r\n" % (verb, target, version, connection, more)
    leading = draw(st.sampled_from([b"", b"\r\n"]))
    return Sent(leading + head + coded, Outcome("request", verb, target, body, keep_alive), last=not keep_alive)


CONNECTIONS = [
    *[(b"1.1", b"", True)] * 3,
    (b"1.1", b"Connection: keep-alive\r\n", True),
    (b"1.1", b"Connection: keep-alive, Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n", True),
    (b"1.1", b"Upgrade: websocket\r\n", True),
    (b"1.0", b"Connection: keep-alive\r\n", True),
    (b"1.0", b"", False),
    (b"1.1", b"Connection: close\r\n", False),
    (b"1.1", b"Connection: close, Upgrade\r\nUpgrade: h2c\r\n", False),
]

BAD = [
    (b"GET / HTTP/1.1\r\n\r\n", b"GET", b"/", "bad_request"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"GET", b"/", "bad_request"),
    (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", b"GET", b"/", "bad_request"),
    (b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", b"GET", b"http://a/", "bad_request"),
    (b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5001\r\n\r\n", b"POST", b"/p", "too_large"),
    (
        b"POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1389\r\n" + b"x" * 5001,
        b"POST",
        b"/p",
        "too_large",
    ),
    (b"POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", b"POST", b"/p", "bad_request"),
    (b"GET /h HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * 20 + b"\r\n", b"GET", b"/h", "too_large"),
    (b"GET /h HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 2000 + b"\r\n\r\n", b"GET", b"/h", "too_large"),
    (
        b"GET /h HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\nx",
        b"GET",
        b"/h",
        "bad_request",
    ),
]
endings = st.sampled_from(
    [Sent(stream, Outcome(kind, verb, target, b"", False), last=True) for stream, verb, target, kind in BAD]
)
handshake = Sent(
    b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    Outcome("handshake", b"GET", b"/ws", b"", False),
    last=True,
)
conversations = st.tuples(st.lists(requests(), max_size=6), st.lists(endings | st.just(handshake), max_size=1)).map(
    lambda parts: [*parts[0], *parts[1]]
)


def until_last(conversation: list[Sent]) -> list[Sent]:
    """What of a conversation is read."""
    ends = [number for number, sent in enumerate(conversation) if sent.last]
    return conversation[: ends[0] + 1] if ends else conversation


@given(conversations, st.binary(max_size=20), cuts)
@settings(max_examples=400)
def test_every_request_comes_out_once_however_it_is_cut(conversation: list[Sent], behind: bytes, at: list[int]) -> None:
    read = until_last(conversation)
    ends = bool(read) and read[-1].last
    stream = b"".join(sent.stream for sent in conversation) + (behind if ends else b"")
    reading = Reading(LIMITS)
    reading.feed(*cut(stream, at))
    assert reading.outcomes == [sent.outcome for sent in read]
    assert reading.reader.done is ends
    assert reading.budget.used_bytes == 0


def facts(request: Request) -> tuple[object, ...]:
    """What a request says, apart from what came before it on its connection."""
    return request.verb, request.target, request.body, request.head.fields, request.admission, request.keep_alive_said


said = st.builds(
    lambda target, origin, more, body: (
        b"POST %b HTTP/1.1\r\nHost: a\r\n%b%bContent-Length: %d\r\n\r\n%b" % (target, origin, more, len(body), body)
    ),
    st.sampled_from([b"/p", b"/q"]),
    st.sampled_from([b"", b"Origin: http://a\r\n", b"Origin: http://b\r\n"]),
    st.sampled_from([b"", b"Prefer: respond-async\r\n", b"Connection: keep-alive\r\n", b"Expect: 100-continue\r\n"]),
    st.sampled_from([b"", b"1", b"22", b"\r\n\r\n", b"333"]),
)
"""A client's few ways of calling, which it says again and again."""


@given(st.lists(said, min_size=2, max_size=4), st.lists(st.integers(0, 4), min_size=4, max_size=12))
@settings(max_examples=200)
def test_what_is_said_again_is_read_as_the_first_time(ways: list[bytes], order: list[int]) -> None:
    ways.append(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    streams = [ways[number % len(ways)] for number in order]
    reading = Reading(LIMITS)
    reading.feed(*streams)
    for stream, request in zip(streams, reading.requests, strict=True):
        alone = Reading(LIMITS)
        alone.feed(stream)
        assert facts(request) == facts(alone.requests[0])


@given(conversations, cuts)
@settings(max_examples=200)
def test_a_request_behind_others_is_read_as_if_it_came_first(conversation: list[Sent], at: list[int]) -> None:
    read = until_last(conversation)
    together = Reading(LIMITS)
    together.feed(*(cut(b"".join(sent.stream for sent in read), at) if at else [sent.stream for sent in read]))
    for sent, request in zip(read, together.requests, strict=True):
        alone = Reading(LIMITS)
        alone.feed(sent.stream)
        (first,) = alone.requests
        assert type(request.refusal) is type(first.refusal)
        if request.refusal is None:
            assert facts(request) == facts(first)


@given(st.lists(st.binary(max_size=60) | requests().map(lambda sent: sent.stream), max_size=4), cuts)
@settings(max_examples=200)
def test_anything_at_all_is_a_request_or_the_end(pieces: list[bytes], at: list[int]) -> None:
    reading = Reading(LIMITS)
    reading.feed(*cut(b"".join(pieces), at))
    refusals = [outcome for outcome in reading.outcomes if outcome.kind != "request"]
    assert len(refusals) <= 1
    assert reading.outcomes[len(reading.outcomes) - len(refusals) :] == refusals
    assert all(outcome.kind in ("request", "handshake", "bad_request", "too_large") for outcome in reading.outcomes)


@given(st.integers(0, 600_000), st.integers(1, 300_000), st.booleans())
@settings(max_examples=40)
def test_what_a_large_body_reserves_is_given_back(size_bytes: int, piece_bytes: int, is_given_up: bool) -> None:
    body = b"x" * size_bytes
    stream = b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size_bytes + body
    reading = Reading(Limits(buffered_bytes=600_000))
    for at in range(0, len(stream), piece_bytes):
        reading.feed(stream[at : at + piece_bytes])
        assert reading.budget.used_bytes <= size_bytes
        if is_given_up and reading.reader.body_bytes > size_bytes // 2:
            reading.reader.close()
    assert reading.budget.used_bytes == 0
    assert [outcome.body for outcome in reading.outcomes] in ([body], [] if is_given_up else [body])
