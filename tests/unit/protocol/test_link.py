"""How a link begins and what ends it before anything was asked: hellos, versions, frames that are none."""

from __future__ import annotations

import msgspec
import pytest

from lambdamesh.protocol.link_exchange import LinkClosed, agreed_version
from lambdamesh.protocol.link_frames import (
    FRAME_BYTES,
    PIECE_BYTES,
    Hello,
    Kind,
    PeerHint,
    call_frame,
    frame,
    part_frame,
)
from tests.unit.protocol.linked import Side, a_call, a_pair, pump

# -- hello -------------------------------------------------------------------------------------------------------


def test_a_link_is_up_when_both_have_said_hello() -> None:
    near, far = Side("0000000a"), Side("0000000b")
    near.link.greet(near.hello)
    far.link.greet(far.hello)
    assert not near.link.is_up
    far.link.receive(near.take_bytes())
    assert far.link.is_up and not near.link.is_up
    near.link.receive(far.take_bytes())
    assert near.link.is_up
    assert near.met == [far.hello] and far.met == [near.hello]
    assert (near.link.version, near.link.peer) == (2, far.hello)


@pytest.mark.parametrize(
    ("ours", "theirs", "version"), [((1, 1), (1, 1), 1), ((1, 3), (2, 9), 3), ((2, 9), (1, 2), 2), ((4, 4), (1, 9), 4)]
)
def test_the_highest_version_is_spoken_that_both_know(
    ours: tuple[int, int], theirs: tuple[int, int], version: int
) -> None:
    assert agreed_version(ours, theirs) == version


@pytest.mark.parametrize(("ours", "theirs"), [((1, 1), (2, 3)), ((4, 6), (1, 3)), ((1, 1), (3, 1))])
def test_no_common_version_is_refused_with_both_ranges(ours: tuple[int, int], theirs: tuple[int, int]) -> None:
    with pytest.raises(LinkClosed) as refused:
        agreed_version(ours, theirs)
    assert f"{ours[0]} to {ours[1]}" in refused.value.why
    assert f"{theirs[0]} to {theirs[1]}" in refused.value.why
    assert refused.value.is_refusal


def test_a_hello_of_versions_to_come_is_refused() -> None:
    side = Side("0000000a")
    hello = Hello(machine="0000000b", instance="b", versions=(7, 9))
    with pytest.raises(LinkClosed, match="7 to 9"):
        side.link.receive(frame(Kind.HELLO, 0, msgspec.json.encode(hello)))
    assert not side.met
    assert not side.link.is_up


def test_a_hello_may_say_more_than_is_known_here() -> None:
    side = Side("0000000a")
    side.link.receive(
        frame(Kind.HELLO, 0, b'{"versions":[1,9],"machine":"0000000b","instance":"b","is_of_the_future":{"a":[1]}}')
    )
    assert side.link.is_up


@pytest.mark.parametrize(
    "text",
    [
        frame(Kind.PING, 1),
        frame(Kind.PART, 1, b"\0\0\0\0"),
        b"GET / HTTP/1.1\r\nHost: pm3\r\n\r\n",
        frame(Kind.HELLO, 0, b"{}"),
        frame(Kind.HELLO, 0, b"nonsense"),
        frame(Kind.HELLO, 0, b'{"machine":"0000000b","instance":"b","peers":"' + b"x" * 65_536 + b'"}'),
        bytes.fromhex("00000004 01 00000000"),
        bytes.fromhex("00000000 01 00000000"),
        bytes.fromhex("ffffffff 01 00000000"),
        (FRAME_BYTES + 1).to_bytes(4, "big") + b"\1\0\0\0\0",
    ],
)
def test_whoever_begins_with_no_hello_is_no_node(text: bytes) -> None:
    side = Side("0000000a")
    with pytest.raises(LinkClosed):
        side.link.receive(text)
    assert not side.link.is_up
    assert not side.calls


def test_a_second_hello_is_passed_over() -> None:
    near, far = a_pair()
    near.link.greet(near.hello)
    near.link.ping(1)
    pump(near, far)
    assert len(far.met) == 1
    assert near.pongs == [(1, 3)]


def test_a_hello_tells_of_no_more_others_than_it_may_hold() -> None:
    hints = [PeerHint(machine=f"{number:08x}", address="node.example:7631", host="h" * 300) for number in range(256)]
    side, other = Side("0000000a"), Side("0000000b")
    side.link.greet(Hello(machine="0000000a", instance="a", peers=hints))
    other.link.receive(side.take_bytes())
    told = other.met[0].peers
    assert 64 <= len(told) < 256
    assert told == hints[-len(told) :]


def test_a_hello_that_fits_is_told_whole() -> None:
    hints = [PeerHint(machine=f"{number:08x}", address="node.example:7631") for number in range(256)]
    side, other = Side("0000000a"), Side("0000000b")
    side.link.greet(Hello(machine="0000000a", instance="a", peers=hints))
    other.link.receive(side.take_bytes())
    assert other.met[0].peers == hints


# -- frames that are wrong ---------------------------------------------------------------------------------------


def test_kinds_that_are_not_known_are_skipped() -> None:
    near, far = a_pair()
    unknown = [bytes.fromhex("00000005") + bytes([kind]) + b"\0\0\0\1" for kind in (0, 6, 15, 23, 35, 255)]
    far.link.receive(b"".join(unknown) + frame(Kind.PING, 5))
    assert [(kind, number) for kind, number, _ in far.take()] == [(Kind.PONG, 5)]
    far.link.receive(part_frame(1, 100_000, frame(Kind(16), 1, b"x" * (PIECE_BYTES - 9)).replace(b"\x10", b"\x40", 1)))
    assert near.is_clean


@pytest.mark.parametrize(
    "text",
    [
        frame(Kind.CALL, 1, b"short"),
        frame(Kind.ASK, 1, b"\5abc"),
        frame(Kind.TELL, 1, b""),
        frame(Kind.PART, 1, b"\0\0\0"),
        part_frame(1, 100, b"12345678"),
        part_frame(1, 20, b"\0\0\0\5\3\0\0\0\1" + b"x" * 12),
        part_frame(1, 10, b"\0\0\0\5\3\0\0\0\1x"),
        part_frame(1, 13, part_frame(2, 0, b"")),
        call_frame(Kind.CALL, 1, a_call()) * 2,
        bytes.fromhex("00000004 10 00000000"),
        bytes.fromhex("00ffffff 10 00000000"),
    ],
)
def test_a_bad_frame_is_the_end(text: bytes) -> None:
    near, far = a_pair()
    del near
    with pytest.raises(LinkClosed):
        far.link.receive(text)
    assert not far.link.is_up
    calls = len(far.calls)
    far.link.receive(call_frame(Kind.CALL, 9, a_call()))
    assert len(far.calls) == calls, "what comes behind a bad frame is not read"


def test_what_came_before_a_bad_frame_is_not_read_twice() -> None:
    _, far = a_pair()
    good = call_frame(Kind.CALL, 1, a_call())
    with pytest.raises(LinkClosed):
        far.link.receive(good + frame(Kind.CALL, 2, b"short"))
    far.link.receive(good)
    assert len(far.calls) == 1
