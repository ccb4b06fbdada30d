"""What a link refuses, and how it ends: nothing is answered twice, nothing is left, nothing is kept for ever."""

from __future__ import annotations

import pytest

from lambdamesh.errors import (
    BadAnswer,
    LambdaError,
    LambdaGone,
    LambdaLost,
    MeshError,
    Overloaded,
    PeerUnreachable,
    TooLarge,
)
from lambdamesh.protocol.link_exchange import LinkBounds
from lambdamesh.protocol.link_frames import (
    PIECE_BYTES,
    Kind,
    frame,
)
from tests.unit.fakes import Told
from tests.unit.protocol.linked import BOUNDS, MIB, ROOM_BYTES, a_call, a_pair, pump

LONG = b'"%b"' % (b"x" * 3 * PIECE_BYTES)

# -- bounds ------------------------------------------------------------------------------------------------------


def test_a_body_over_the_limit_is_refused_and_the_link_goes_on() -> None:
    near, far = a_pair(LinkBounds(MIB, 10))
    told, other = Told(), Told()
    near.link.call(a_call(b"x" * 2 * MIB), told)
    near.link.call(a_call(), other)
    pump(near, far)
    assert isinstance(told.error, TooLarge)
    assert (told.error.delivered, str(MIB) in told.error.message) == ("no", True)
    assert far.seen == ["call of 1"]
    far.calls[0][1].result(b"1")
    pump(near, far)
    assert other.raw == b"1"
    assert near.is_clean and far.is_clean


def test_a_body_that_finds_no_room_is_refused_before_the_most_of_it_was_sent() -> None:
    near, far = a_pair(far_bytes=MIB)
    told = Told()
    near.link.call(a_call(b"x" * 8 * MIB), told)
    far.link.receive(near.link.outbox.take(ROOM_BYTES))
    near.link.receive(far.link.outbox.take(ROOM_BYTES))
    assert isinstance(told.error, Overloaded) and told.error.delivered == "no"
    assert near.link.outbox.size_bytes < 100
    pump(near, far)
    assert far.seen == []
    assert near.is_clean and far.is_clean


@pytest.mark.parametrize(
    ("bounds", "near_bytes", "kind", "delivered"),
    [(LinkBounds(MIB, 10), 512 * MIB, BadAnswer, "yes"), (BOUNDS, MIB, Overloaded, "yes")],
    ids=["too long", "no room"],
)
@pytest.mark.parametrize("how", ["result", "item", "fault"])
def test_an_answer_that_cannot_be_taken_ends_its_call_alone(
    bounds: LinkBounds, near_bytes: int, kind: type[MeshError], delivered: str, how: str
) -> None:
    near, far = a_pair(bounds, near_bytes=near_bytes)
    told, other = Told(), Told()
    near.link.call(a_call(credit=1), told)
    near.link.call(a_call(), other)
    pump(near, far)
    answer, long = far.calls[0][1], b'"%b"' % (b"x" * 8 * MIB)
    flying = far.flights[0]
    if how == "result":
        answer.result(long)
    elif how == "item":
        answer.item(long)
    else:
        answer.fault(LambdaError("boom", data=long))
    pump(near, far)
    assert type(told.error) is kind
    assert told.error.delivered == delivered
    assert flying.is_cancelled is (how == "item"), "whoever still sends is told to stop"
    answer.item(b"1")
    answer.result(b"late")
    far.calls[1][1].result(b"1")
    pump(near, far)
    assert other.raw == b"1"
    assert told.outcomes == 1 and not told.items
    assert near.is_clean and far.is_clean


def test_no_more_runs_than_may() -> None:
    near, far = a_pair(LinkBounds(MIB, 2))
    tolds = [Told() for _ in range(4)]
    for told in tolds[:3]:
        near.link.call(a_call(), told)
    near.link.adopt(a_call(b""), 1, tolds[3])
    pump(near, far)
    assert len(far.calls) == 2 and not far.adopted_calls
    assert isinstance(tolds[2].error, Overloaded) and tolds[2].error.delivered == "no"
    assert tolds[3].error.delivered == "unknown", "its provider has it since before"
    for _, answer in far.calls:
        answer.result(b"1")
    pump(near, far)
    near.link.call(a_call(), Told())
    pump(near, far)
    assert len(far.calls) == 3


# -- goodbye, and the end ----------------------------------------------------------------------------------------


def test_a_goodbye_is_said_once_and_what_is_in_flight_goes_on() -> None:
    near, far = a_pair()
    told = Told()
    near.link.call(a_call(), told)
    near.link.part("it was idle")
    near.link.part("again")
    pump(near, far)
    assert [goodbye.why for goodbye in far.partings] == ["it was idle"]
    far.calls[0][1].result(b"1")
    pump(near, far)
    assert told.raw == b"1"


def test_a_goodbye_that_cannot_be_read_is_one() -> None:
    _, far = a_pair()
    far.link.receive(frame(Kind.GOODBYE, 0, b"nonsense"))
    assert len(far.partings) == 1 and not far.partings[0].is_refusal


def test_the_end_answers_everybody_and_cancels_what_runs() -> None:
    near, far = a_pair()
    sent, unsent, question, adopted = Told(), Told(), Told(), Told()
    near.link.call(a_call(), sent)
    near.link.ask("show", b"", question)
    near.link.adopt(a_call(b""), 1, adopted)
    pump(near, far)
    near.link.call(a_call(LONG), unsent)
    far.link.receive(near.link.outbox.take(1))
    near.link.end()
    far.link.end()
    assert isinstance(sent.error, LambdaLost) and sent.error.delivered == "unknown"
    assert isinstance(unsent.error, PeerUnreachable) and unsent.error.delivered == "no"
    assert adopted.error.delivered == "unknown"
    assert question.outcomes == 1
    assert far.seen == ["call of 1", "asked show", "adopted"]
    assert near.is_clean and far.is_clean
    assert [answer.is_open for _, answer in far.calls] == [False]
    near.link.end()
    assert (sent.outcomes, unsent.outcomes) == (1, 1)


def test_the_end_cancels_what_runs_for_the_other_side() -> None:
    near, far = a_pair()
    near.link.call(a_call(), Told())
    pump(near, far)
    flying = far.flights[0]
    far.link.end()
    assert flying.is_cancelled


def test_whoever_is_told_of_the_end_may_begin_anew_and_is_told_again() -> None:
    """A call that begins while the link ends is answered, and not kept for ever."""
    near, _ = a_pair()
    again, adopted = Told(), Told()

    def begin() -> None:
        assert near.link.call(a_call(), again) == 0
        assert near.link.adopt(a_call(b""), 1, adopted) == 0
        assert near.link.pass_on(a_call(), Told()) == 0
        assert near.link.ask("show", b"", Told()) == 0
        near.link.tell("left", b"")

    near.link.call(a_call(), Told(begin))
    near.link.end()
    assert isinstance(again.error, PeerUnreachable) and again.error.delivered == "no"
    assert isinstance(adopted.error, LambdaLost) and adopted.error.delivered == "unknown"
    assert near.is_clean
    begun = Told()
    near.link.call(a_call(), begun)
    assert begun.outcomes == 1
    assert near.is_clean


def test_whoever_is_told_of_the_end_may_cancel_another() -> None:
    near, _ = a_pair()
    other = Told()
    near.link.call(a_call(), Told(lambda: near.link.cancel(2)))
    near.link.call(a_call(LONG), other)
    near.link.end()
    assert other.outcomes == 0
    assert near.is_clean


def test_an_answer_that_ends_the_link_leaves_the_rest_unread() -> None:
    near, far = a_pair()
    first, second = Told(near.link.end), Told()
    near.link.call(a_call(), first)
    near.link.call(a_call(), second)
    pump(near, far)
    for _, answer in far.calls:
        answer.result(b"1")
    near.link.receive(far.take_bytes())
    assert first.raw == b"1"
    assert isinstance(second.error, LambdaLost)
    near.link.receive(frame(Kind.PING, 1))
    assert near.take() == []


def test_it_is_a_provider_whose_calls_nobody_keeps() -> None:
    near, far = a_pair()
    told = Told()
    near.link.call(a_call(), told)
    assert near.link.keepable() == ()
    near.link.suspend(LambdaLost("nothing"))
    assert told.outcomes == 0
    near.link.end(LambdaGone("given"))
    assert isinstance(told.error, LambdaGone)
    assert not far.link.is_busy


def test_it_is_busy_while_anything_is_on_its_way() -> None:
    near, far = a_pair()
    assert not (near.link.is_busy or far.link.is_busy)
    near.link.call(a_call(LONG), Told())
    chunk = near.link.outbox.take(1)
    assert near.link.is_busy
    far.link.receive(chunk)
    assert far.link.is_busy
    pump(near, far)
    assert near.link.is_busy and far.link.is_busy
    far.calls[0][1].result(LONG)
    assert far.link.is_busy
    pump(near, far)
    assert not (near.link.is_busy or far.link.is_busy)
