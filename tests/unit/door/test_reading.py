"""Bytes in, whole and legal requests out, or one refusal (RFC 9112)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import structlog

from lambdamesh.core.limits import Limits
from lambdamesh.door.reading import Phase
from lambdamesh.errors import BadRequest, HeadTooLarge, MeshError, Overloaded, RequestTimeout, TooLarge, Unsupported
from tests.unit.door.readings import HOST, NEXT, PLAIN, WEBSOCKET, Outcome, Reading, chunked, post


def refusal_of(*chunks: bytes, limits: Limits | None = None) -> MeshError:
    """The refusal with which a connection ends whatever is behind it."""
    reading = Reading(limits)
    reading.feed(*chunks, PLAIN)
    (request,) = reading.requests
    assert request.refusal is not None
    assert not request.keep_alive
    assert reading.reader.done
    assert reading.budget.used_bytes == 0
    assert reading.counters.refused_requests == 1
    return request.refusal


# -- whole requests ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stream", "outcome"),
    [
        (PLAIN, NEXT),
        (b"\r\n\r\n" + PLAIN, NEXT),
        (post(b"body"), Outcome("request", b"POST", b"/p", b"body", True)),
        (post(b""), Outcome("request", b"POST", b"/p", b"", True)),
        (chunked(b"bo", b"dy"), Outcome("request", b"POST", b"/c", b"body", True)),
        (chunked(), Outcome("request", b"POST", b"/c", b"", True)),
        (chunked(b"x" * 300, trailer=b"Sum: 1\r\n"), Outcome("request", b"POST", b"/c", b"x" * 300, True)),
        (b"GET /a?b=%20&c HTTP/1.1\r\n" + HOST + b"\r\n", Outcome("request", b"GET", b"/a?b=%20&c", b"", True)),
        (b"OPTIONS /a HTTP/1.1\r\n" + HOST + b"\r\n", Outcome("request", b"OPTIONS", b"/a", b"", True)),
        (b"PATCH /a HTTP/1.1\r\n" + HOST + b"\r\n", Outcome("request", b"PATCH", b"/a", b"", True)),
        (post(b"x" * 300_000), Outcome("request", b"POST", b"/p", b"x" * 300_000, True)),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_one_request(stream: bytes, outcome: Outcome) -> None:
    reading = Reading()
    assert reading.feed(stream) == [outcome]
    assert reading.reader.phase is Phase.BETWEEN
    assert not reading.reader.done
    assert reading.budget.used_bytes == 0
    assert reading.feed(PLAIN) == [outcome, NEXT]


def test_requests_in_one_piece_come_out_in_order() -> None:
    outcomes = Reading().feed(post(b"1") + PLAIN + chunked(b"3") + post(b"4"))
    assert [outcome.body for outcome in outcomes] == [b"1", b"", b"3", b"4"]


def test_a_body_behind_another_request_in_one_piece() -> None:
    first = post(b"x" * 100_000)
    second = post(b"y" * 10)
    outcomes = Reading().feed(first + second[:-10], second[-10:])
    assert [len(outcome.body) for outcome in outcomes] == [100_000, 10]


@pytest.mark.parametrize(
    ("version", "connection", "keep_alive", "is_said"),
    [
        (b"1.1", b"", True, False),
        (b"1.1", b"Connection: close\r\n", False, False),
        (b"1.1", b"Connection: keep-alive\r\n", True, False),
        (b"1.0", b"", False, False),
        (b"1.0", b"Connection: keep-alive\r\n", True, True),
    ],
)
def test_whether_the_connection_goes_on(version: bytes, connection: bytes, keep_alive: bool, is_said: bool) -> None:
    reading = Reading()
    reading.feed(b"GET / HTTP/" + version + b"\r\n" + HOST + connection + b"\r\n", PLAIN)
    first = reading.requests[0]
    assert (first.keep_alive, first.keep_alive_said) == (keep_alive, is_said)
    assert len(reading.requests) == (2 if keep_alive else 1)


def test_nothing_behind_the_last_request_is_read() -> None:
    last = b"GET /last HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    assert [outcome.target for outcome in Reading().feed(last + PLAIN)] == [b"/last"]


def test_a_version_is_its_request_s_own() -> None:
    reading = Reading()
    lines = HOST + b"Connection: keep-alive\r\n\r\n"
    reading.feed(b"GET / HTTP/1.1\r\n" + lines + b"GET / HTTP/1.0\r\n" + lines + b"GET / HTTP/1.1\r\n" + lines)
    assert [request.keep_alive_said for request in reading.requests] == [False, True, False]


@pytest.mark.parametrize("how", ["close", "release"])
def test_nothing_is_handed_over_after_the_connection_has_closed_the_reader(how: str) -> None:
    reading = Reading()
    reading.on_request = getattr(reading.reader, how)
    with structlog.testing.capture_logs() as logs:
        assert len(reading.feed(PLAIN * 3, PLAIN)) == 1
    assert not logs


@pytest.mark.parametrize("between", [PLAIN, post(b""), post(b"12"), post(b"1", b"Origin: http://b")])
@pytest.mark.parametrize("first", [post(b"", b"Origin: http://a"), post(b"1", b"Origin: http://a"), post(b"1")])
def test_a_request_said_again_is_read_as_before_whatever_was_said_between(first: bytes, between: bytes) -> None:
    reading = Reading()
    reading.feed(first, first, between, first, between, first)
    facts = [(one.head.fields, one.admission.origin, one.admission.is_own, one.body) for one in reading.requests]
    assert facts[1] == facts[3] == facts[5] == facts[0]
    assert facts[4] == facts[2]


@pytest.mark.parametrize("of", [post(b"1"), post(b"1", b"Origin: http://a"), post(b"")])
@pytest.mark.parametrize(
    "like",
    [
        lambda request: request.replace(b"1.1", b"2.0"),
        lambda request: request.replace(b"POST /p", b"POST p"),
        lambda request: request.replace(b"Host: a", b"Host: a\r\nHost: b"),
        lambda request: request.replace(b"Host", b"Hos\x00"),
        lambda request: request.replace(b"Host", b"Hast"),
    ],
    ids=["version", "target", "two hosts", "nul", "no host"],
)
def test_what_is_almost_a_request_said_before_is_refused(of: bytes, like: Callable[[bytes], bytes]) -> None:
    reading = Reading()
    reading.feed(of, of, like(of), of)
    assert [outcome.kind for outcome in reading.outcomes] == ["request", "request", "bad_request"]


# -- refusals ---------------------------------------------------------------------------------------------------

BAD = [
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\nxx",
    b"GET a HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\nHost: a\n\n",
    b"GET / HTTP/1.1\r\nHost: a\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: b\x00c\r\n\r\n",
    b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    b"GET /\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"get / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 0\r\n\r\nx",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"9" * 30 + b"\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n" + WEBSOCKET + b"Content-Length: 2\r\n\r\nxx",
    b"GET / HTTP/1.1\r\nHost: a\r\n" + WEBSOCKET + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
]


@pytest.mark.parametrize("stream", BAD, ids=lambda stream: repr(stream[:70]))
@pytest.mark.parametrize("is_behind_another", [False, True], ids=["first", "second"])
@pytest.mark.parametrize("in_bytes", [False, True], ids=["whole", "in bytes"])
def test_what_is_not_http_11_is_refused_once(stream: bytes, is_behind_another: bool, in_bytes: bool) -> None:
    reading = Reading()
    stream = PLAIN + stream if is_behind_another else stream
    outcomes = reading.feed(*(bytes((byte,)) for byte in stream) if in_bytes else (stream,), PLAIN)
    assert [outcome.kind for outcome in outcomes] == ["request"] * is_behind_another + ["bad_request"]
    assert reading.reader.done


def test_what_is_refused_is_not_taken_for_the_request_before() -> None:
    reading = Reading()
    reading.feed(post(b"1", target=b"/lambda/rhowRuuCUoE5vlcA/test") + b"\x00\x00")
    assert reading.requests[1].target == b""


def test_a_version_of_a_later_request_is_checked_like_the_first_s() -> None:
    outcomes = Reading().feed(PLAIN + PLAIN.replace(b"1.1", b"2.0"))
    assert [outcome.kind for outcome in outcomes] == ["request", "bad_request"]


@pytest.mark.parametrize("is_first", [True, False], ids=["first", "second"])
@pytest.mark.parametrize("in_pieces", [True, False], ids=["in pieces", "whole"])
@pytest.mark.parametrize(
    "stream",
    [
        b"GET /" + b"a" * 16_384 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 16_384 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n" * 100 + b"\r\n",
    ],
    ids=["target", "value", "lines"],
)
def test_a_head_over_its_limit(stream: bytes, in_pieces: bool, is_first: bool) -> None:
    reading = Reading()
    stream = stream if is_first else PLAIN + stream
    reading.feed(*(stream[at : at + 1000] for at in range(0, len(stream), 1000)) if in_pieces else (stream,))
    assert type(reading.requests[-1].refusal) is HeadTooLarge
    assert len(reading.requests) == (1 if is_first else 2)


def test_a_head_that_never_ends_is_refused_while_it_comes() -> None:
    assert isinstance(refusal_of(b"GET / HTTP/1.1\r\n", b"X: ", *[b"a" * 1000] * 18), HeadTooLarge)
    assert isinstance(refusal_of(b"GET / HTTP/1.1\r\n", *[b"X: a\r\n"] * 200), HeadTooLarge)


def test_a_head_just_under_its_limit() -> None:
    stream = b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 16_000 + b"\r\n\r\n"
    assert [outcome.kind for outcome in Reading().feed(stream[:50], stream[50:])] == ["request"]


def test_a_length_in_more_digits_than_python_reads_is_no_bug_of_the_node() -> None:
    stream = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"0" * 5000 + b"1\r\n\r\nx"
    assert [outcome.kind for outcome in Reading().feed(stream)] in (["request"], ["bad_request"])


# -- bodies -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit_bytes", [100, 300_000])
@pytest.mark.parametrize("piece_bytes", [50, 64 * 1024, 1 << 20])
@pytest.mark.parametrize("form", ["length", "chunks", "one chunk"])
def test_a_body_over_its_limit(limit_bytes: int, piece_bytes: int, form: str) -> None:
    body = b"x" * (limit_bytes + 1)
    half = len(body) // 2
    stream = {"length": post(body), "chunks": chunked(body[:half], body[half:]), "one chunk": chunked(body)}[form]
    pieces = (stream[at : at + piece_bytes] for at in range(0, len(stream), piece_bytes))
    assert isinstance(refusal_of(*pieces, limits=Limits(body_bytes=limit_bytes)), TooLarge)


@pytest.mark.parametrize("limit_bytes", [100, 300_000])
@pytest.mark.parametrize("form", [post, chunked])
def test_a_body_of_just_its_limit(limit_bytes: int, form: type) -> None:
    body = b"x" * limit_bytes
    (outcome,) = Reading(Limits(body_bytes=limit_bytes)).feed(form(body))
    assert outcome.body == body


def test_a_length_over_the_limit_is_refused_before_the_body() -> None:
    assert isinstance(refusal_of(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n"), TooLarge)


def test_large_bodies_share_a_budget() -> None:
    limits = Limits(buffered_bytes=600_000)
    stream = post(b"x" * 400_000)
    first, second = Reading(limits), Reading(limits)
    second.shared.budget = first.budget
    first.feed(stream[:200_000], stream[200_000:390_000])
    assert 256 * 1024 < first.budget.used_bytes <= 400_000
    second.feed(stream[:200_000], stream[200_000:390_000])
    assert type(second.requests[0].refusal) is Overloaded
    assert second.counters.overloaded_buffers == 1
    first.feed(stream[390_000:])
    assert first.outcomes[0].kind == "request"
    assert first.budget.used_bytes == 0


@pytest.mark.parametrize("how", ["closed", "refused"])
def test_a_body_that_is_given_up_gives_its_bytes_back(how: str) -> None:
    reading = Reading()
    stream = post(b"x" * 400_000)
    reading.feed(stream[:200_000], stream[200_000:390_000])
    assert reading.budget.used_bytes > 0
    if how == "closed":
        reading.reader.close()
    else:
        reading.reader.refuse(RequestTimeout("too slow"))
    assert reading.budget.used_bytes == 0
    assert [outcome.kind for outcome in reading.feed(stream[390_000:])] == ["request_timeout"] * (how == "refused")


def test_chunks_that_are_mostly_heads_are_refused() -> None:
    extension = b"1;" + b"a" * 1000 + b"\r\nx\r\n"
    stream = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert isinstance(refusal_of(stream, *[extension] * 200), BadRequest)


def test_trailers_without_end_are_refused() -> None:
    stream = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    assert isinstance(refusal_of(stream, *[b"T: " + b"x" * 1000 + b"\r\n"] * 200), BadRequest)


def test_chunks_of_one_byte_are_a_body() -> None:
    stream = chunked(*[b"x"] * 20_000)
    pieces = [stream[at : at + 997] for at in range(0, len(stream), 997)]
    assert [len(outcome.body) for outcome in Reading().feed(*pieces)] == [20_000]


# -- expectations -----------------------------------------------------------------------------------------------


def test_a_head_may_wait_for_its_100() -> None:
    reading = Reading()
    stream = post(b"body", b"Expect: 100-continue")
    assert reading.feed(stream[:-4]) == []
    assert reading.expected == [b"/p"]
    assert [outcome.body for outcome in reading.feed(b"body")] == [b"body"]


def test_a_head_that_is_refused_its_100_is_refused_at_once() -> None:
    reading = Reading(refuse_expectation=Unsupported("no"))
    reading.feed(post(b"body", b"Expect: 100-continue")[:-4], b"body", PLAIN)
    assert [outcome.kind for outcome in reading.outcomes] == ["unsupported"]


@pytest.mark.parametrize(
    "stream",
    [
        post(b"", b"Expect: 100-continue"),
        post(b"x", b"Expect: 200-ok"),
        post(b"x" * 101, b"Expect: 100-continue"),
        post(b"x", b"Expect: 100-continue").replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
    ids=["no body", "other", "too large", "1.0"],
)
def test_heads_that_get_no_100(stream: bytes) -> None:
    reading = Reading(Limits(body_bytes=100))
    reading.feed(stream)
    assert reading.expected == []
    assert len(reading.outcomes) == 1


# -- want of memory ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", (b"", b"")),
        (PLAIN, (b"", b"")),
        (b"HEAD /plain HTTP/1.1\r\n" + HOST + b"\r\n", (b"", b"")),
        (b"POST /p HTTP/1.1\r\nHo", (b"POST", b"/p")),
        (post(b"x" * 100_000)[:-10], (b"POST", b"/p")),
    ],
    ids=["first", "behind another", "behind a HEAD", "in a head", "in a body"],
)
def test_what_cannot_be_taken_is_refused_once_and_ends_the_connection(
    before: bytes, after: tuple[bytes, bytes]
) -> None:
    reading = Reading()
    answered = len(reading.feed(before))
    with structlog.testing.capture_logs() as lines:
        reading.reader.starve(MemoryError())
        reading.reader.starve(MemoryError())
    [refused] = reading.feed(PLAIN)[answered:]
    assert (refused.kind, refused.keep_alive) == ("overloaded", False)
    assert refused.target == after[1]
    assert refused.verb == after[0] or (not after[0] and refused.verb != b"HEAD")
    assert reading.requests[-1].admission.origin is None
    assert reading.reader.done and reading.budget.used_bytes == 0
    assert [line["event"] for line in lines] == ["out_of_memory"]


class Unsliced(bytes):
    """A chunk whose body there is no memory for."""

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice) and key.start and key.stop is None:
            raise MemoryError
        return super().__getitem__(key)


def test_a_familiar_call_without_memory_for_its_body_is_refused_once() -> None:
    reading = Reading()
    assert [one.kind for one in reading.feed(post(b"1"), post(b"2"))] == ["request"] * 2
    reading.feed(Unsliced(post(b"3")), PLAIN)
    assert [(one.kind, one.keep_alive) for one in reading.outcomes[2:]] == [("overloaded", False)]
    assert reading.reader.done
