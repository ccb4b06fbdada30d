"""Links read from anybody: any chunking is as good as the whole, and no bytes do more than end their link."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import example, given, settings, strategies as st

from lambdamesh.protocol.call import Call
from lambdamesh.protocol.link_exchange import LinkBounds, LinkClosed
from lambdamesh.protocol.link_frames import (
    HEAD_BYTES,
    PIECE_BYTES,
    Kind,
    call_frame,
    count_frame,
    frame,
    part_frame,
    read_call,
    topic_frame,
)
from tests.unit.fakes import Told
from tests.unit.protocol.linked import ID, MIB, Side, a_call, a_pair

BOUNDS = LinkBounds(MIB, 8)

bodies = st.sampled_from([b"", b"null", b'"%b"' % (b"x" * 200), b'"%b"' % (b"y" * (PIECE_BYTES + 9000))])
numbers = st.integers(0, 5)
calls = st.builds(
    Call,
    st.just(ID),
    st.sampled_from([b'"test"', b'"%b"' % (b"m" * 256)]),
    bodies,
    st.floats(0, 3600),
    st.sampled_from([b"", b"0057be39815282ea-MYH"]),
    st.sampled_from([b"", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"]),
    st.integers(0, 2**17),
    st.integers(0, 3),
    st.booleans(),
)
pieces = st.builds(
    part_frame, numbers, st.sampled_from([0, 5, 9, 40, 70_000, 2 * MIB, 2**32 - 1]), st.binary(max_size=40) | bodies
)
any_frames = st.one_of(
    st.builds(call_frame, st.sampled_from([Kind.CALL, Kind.NOTIFY, Kind.ADOPT]), numbers, calls, st.integers(0, 9)),
    st.builds(topic_frame, st.sampled_from([Kind.ASK, Kind.TELL]), numbers, st.text(max_size=9), bodies),
    st.builds(count_frame, st.sampled_from([Kind.CREDIT, Kind.PONG]), numbers, st.integers(0, 2**33)),
    st.builds(frame, st.sampled_from([Kind.RESULT, Kind.ITEM, Kind.FAULT, Kind.GOODBYE, Kind.HELLO]), numbers, bodies),
    st.builds(frame, st.sampled_from(list(Kind)), numbers, st.binary(max_size=60)),
    st.builds(lambda kind, raw: (5 + len(raw)).to_bytes(4, "big") + bytes([kind]) + b"\0\0\0\1" + raw,
              st.integers(0, 255), st.binary(max_size=20)),
    pieces,
)  # fmt: skip


class Reading:
    """A link that has calls of its own open, and what it made of what came."""

    def __init__(self) -> None:
        self.near, _ = a_pair(BOUNDS)
        self.tolds = [Told() for _ in range(3)]
        for told in self.tolds:
            self.near.link.call(a_call(credit=5), told)
        self.near.take_bytes()
        self.end = ""

    def read(self, text: bytes) -> None:
        try:
            self.near.link.receive(text)
        except LinkClosed as end:
            assert not self.end, "it ends once"
            self.end = end.why

    def outcome(self) -> list[object]:
        side: Side = self.near
        told = [(told.items, told.results, [str(fault) for fault in told.faults]) for told in self.tolds]
        calls = [call for call, _ in side.calls] + [call for call, _ in side.notifications]
        words = [(topic, body) for topic, body, _ in side.questions] + side.words
        return [self.end, told, calls, words, side.seen, side.pongs, side.take_bytes(), sorted(side.link.inbound)]


def cut(text: bytes, sizes: list[int]) -> list[bytes]:
    chunks: list[bytes] = []
    at = 0
    for size in sizes:
        chunks.append(text[at : at + size])
        at += size
    return [*chunks, text[at:]]


@given(
    st.lists(any_frames, max_size=8), st.lists(st.integers(0, 300) | st.integers(0, 90_000), max_size=30), st.binary()
)
@settings(max_examples=300)
def test_any_chunking_is_as_good_as_the_whole(frames: list[bytes], sizes: list[int], behind: bytes) -> None:
    text = b"".join(frames) + behind
    whole, chunked = Reading(), Reading()
    whole.read(text)
    for chunk in cut(text, sizes):
        chunked.read(chunk)
    assert chunked.outcome() == whole.outcome()
    for reading in (whole, chunked):
        reading.near.link.end()
        assert reading.near.is_clean
        assert all(told.outcomes == 1 for told in reading.tolds)


@given(st.lists(any_frames, max_size=4))
def test_a_byte_at_a_time_is_as_good_as_the_whole(frames: list[bytes]) -> None:
    text = b"".join(one for one in frames if len(one) < 1000)
    whole, slow = Reading(), Reading()
    whole.read(text)
    for at in range(len(text)):
        slow.read(text[at : at + 1])
    assert slow.outcome() == whole.outcome()


@given(st.binary(max_size=400))
@example(b"\0\0\0\5\3\0\0\0\1")
def test_no_bytes_of_a_stranger_do_more_than_end_the_link(text: bytes) -> None:
    side = Side("0000000a")
    with suppress(LinkClosed):
        side.link.receive(text)
    assert not side.link.is_up
    assert not side.seen
    side.link.end()
    assert side.is_clean


@given(calls, st.integers(0, 2**64 - 1))
def test_a_call_is_read_as_it_was_written(call: Call, adopted: int) -> None:
    text = call_frame(Kind.ADOPT, 7, call, adopted)
    read, number = read_call(text, HEAD_BYTES, len(text))
    assert number == adopted
    assert 0 <= read.timeout_s - call.timeout_s + 1e-9 < 0.0011
    read.timeout_s = call.timeout_s
    call.credit = min(call.credit, 65_535)
    assert read == call
