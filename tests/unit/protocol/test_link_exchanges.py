"""One conversation between two nodes: who is told what, and exactly once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lambdamesh.errors import (
    LambdaError,
    LambdaGone,
)
from lambdamesh.protocol import link
from lambdamesh.protocol.link_frames import (
    PIECE_BYTES,
    Kind,
    part_frame,
)
from tests.unit.fakes import Told
from tests.unit.protocol.linked import MIB, ROOM_BYTES, Flying, a_call, a_pair, kinds, pump

FRAMES = ("call_frame", "topic_frame")
LONG = b'"%b"' % (b"x" * 3 * PIECE_BYTES)

# -- exchanges ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"1", LONG])
def test_a_call_is_answered_by_its_result(body: bytes) -> None:
    near, far = a_pair()
    told = Told()
    call = a_call(body, credit=3)
    assert near.link.call(call, told) == 1
    pump(near, far)
    seen, answer = far.calls[0]
    assert seen == call
    answer.result(body)
    answer.result(b"2")
    answer.fault(LambdaGone("late"))
    pump(near, far)
    assert told.raw == body
    assert near.is_clean and far.is_clean


@pytest.mark.parametrize("begin", ["call", "pass_on", "adopt", "ask"])
def test_an_exchange_that_there_is_no_memory_for_has_not_begun(begin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asked hears of it at once, and not a second time when the link ends."""
    near, _ = a_pair()
    told = Told()
    begun: dict[str, Callable[[], int]] = {
        "call": lambda: near.link.call(a_call(), told),
        "pass_on": lambda: near.link.pass_on(a_call(), told),
        "adopt": lambda: near.link.adopt(a_call(), 7, told),
        "ask": lambda: near.link.ask("show", b"{}", told),
    }
    with monkeypatch.context() as starved:
        for name in FRAMES:
            starved.setattr(link, name, _without_memory)
        with pytest.raises(MemoryError):
            begun[begin]()
    assert not near.link.is_busy
    assert begun[begin]() > 0
    near.link.end()
    assert told.outcomes == 1


def _without_memory(*_of: object) -> bytes:
    raise MemoryError


@pytest.mark.parametrize("data", [None, b'{"a": 1}', LONG])
def test_a_call_is_answered_by_its_error(data: bytes | None) -> None:
    near, far = a_pair()
    told = Told()
    near.link.call(a_call(), told)
    pump(near, far)
    far.calls[0][1].fault(LambdaError("boom", rpc_code=5, data=data))
    pump(near, far)
    assert (told.error.message, told.error.rpc_code, told.error.data) == ("boom", 5, data)
    assert near.is_clean and far.is_clean


def test_items_come_before_the_result_and_credit_goes_back() -> None:
    near, far = a_pair()
    told = Told()
    number = near.link.call(a_call(credit=2), told)
    pump(near, far)
    answer = far.calls[0][1]
    answer.item(b"1")
    near.link.credit(number, 5)
    answer.item(LONG)
    answer.item(b"3")
    answer.result(b"4")
    near.link.credit(99, 5)
    pump(near, far)
    assert (told.items, told.raw) == ([b"1", LONG, b"3"], b"4")
    near.link.credit(number, 5)
    assert near.take() == []


def test_credit_reaches_the_call_that_it_is_for() -> None:
    near, far = a_pair()
    number = near.link.call(a_call(LONG, credit=2), Told())
    near.link.credit(number, 5)
    pump(near, far)
    assert far.flights[0].credits == [5]


def test_a_notification_is_answered_once_it_was_given() -> None:
    near, far = a_pair()
    told = Told()
    near.link.pass_on(a_call(), told)
    near.link.notify(a_call(b"2"))
    pump(near, far)
    assert [call.body for call, _ in far.notifications] == [b"1", b"2"]
    far.notifications[0][1].result(b"{}")
    far.notifications[1][1].fault(LambdaGone("gone"))
    pump(near, far)
    assert told.raw == b"{}"
    assert near.is_clean and far.is_clean


def test_a_call_is_adopted_under_the_number_that_its_provider_knows() -> None:
    near, far = a_pair()
    told = Told()
    near.link.adopt(a_call(b""), 2**40, told)
    pump(near, far)
    call, number, answer = far.adopted_calls[0]
    assert (call.body, number) == (b"", 2**40)
    answer.result(b"7")
    pump(near, far)
    assert told.raw == b"7"


def test_questions_and_words() -> None:
    near, far = a_pair()
    told = Told()
    near.link.tell("left", b"1")
    near.link.ask("show", b"2", told)
    pump(near, far)
    assert far.seen == ["told left", "asked show"]
    topic, body, answer = far.questions[0]
    assert (topic, body, far.words) == ("show", b"2", [("left", b"1")])
    answer.item(b"3")
    answer.result(b"4")
    pump(near, far)
    assert (told.items, told.raw) == ([b"3"], b"4")


def test_a_word_is_never_overtaken() -> None:
    near, far = a_pair()
    near.link.tell("holding", b"x" * MIB)
    near.link.tell("left", b"1")
    near.link.ask("take", b"2", Told())
    near.link.call(a_call(), Told())
    pump(near, far)
    assert far.seen == ["told holding", "told left", "asked take", "call of 1"]


def test_a_word_comes_where_there_is_no_room_for_bodies() -> None:
    near, far = a_pair(far_bytes=10)
    near.link.tell("holding", b"x" * MIB)
    pump(near, far)
    assert far.seen == ["told holding"]
    assert near.is_clean and far.is_clean


def test_a_ping_is_answered_with_the_count_of_lambdas() -> None:
    near, far = a_pair()
    near.link.ping(77)
    pump(near, far)
    assert near.pongs == [(77, 3)]


def test_a_short_call_passes_between_the_pieces_of_16_mib() -> None:
    near, far = a_pair()
    near.link.call(a_call(b'"%b"' % (b"x" * (16 * MIB - 2))), Told())
    far.link.receive(near.link.outbox.take(ROOM_BYTES))
    near.link.call(a_call(b"x" * 100), Told())
    far.link.receive(near.link.outbox.take(ROOM_BYTES))
    assert far.seen == ["call of 100"]
    pump(near, far)
    assert far.seen == ["call of 100", f"call of {16 * MIB}"]
    assert far.budget.used_bytes == 0


def test_numbers_wrap_and_skip_those_in_use() -> None:
    near, far = a_pair()
    near.link.number = 2**32 - 3
    numbers = [near.link.call(a_call(), Told()) for _ in range(3)]
    assert numbers == [2**32 - 2, 2**32 - 1, 1]
    near.link.number = 2**32 - 3
    assert [near.link.call(a_call(), Told()) for _ in range(2)] == [2, 3]
    pump(near, far)
    assert len(far.calls) == 5
    for _, answer in far.calls:
        answer.result(b"1")
    pump(near, far)
    assert near.is_clean


def test_both_sides_count_for_themselves() -> None:
    near, far = a_pair()
    here, there = Told(), Told()
    assert near.link.call(a_call(b"1"), here) == far.link.call(a_call(b"2"), there) == 1
    pump(near, far)
    far.calls[0][1].result(b'"here"')
    near.calls[0][1].result(b'"there"')
    pump(near, far)
    assert (here.raw, there.raw) == (b'"here"', b'"there"')


# -- who goes ----------------------------------------------------------------------------------------------------


def test_who_is_cancelled_is_told_and_answers_nobody() -> None:
    near, far = a_pair()
    told = Told()
    number = near.link.call(a_call(), told)
    pump(near, far)
    near.link.cancel(number)
    near.link.cancel(number)
    pump(near, far)
    assert far.flights == []
    far.calls[0][1].result(b"late")
    assert far.take() == []
    assert told.outcomes == 0
    assert near.is_clean and far.is_clean


def test_what_runs_is_cancelled() -> None:
    near, far = a_pair()
    number = near.link.call(a_call(), Told())
    pump(near, far)
    flying = far.flights[0]
    near.link.cancel(number)
    pump(near, far)
    assert flying.is_cancelled


def test_what_begins_too_late_is_cancelled_at_once() -> None:
    near, far = a_pair()
    number = near.link.ask("show", b"", Told())
    pump(near, far)
    near.link.cancel(number)
    pump(near, far)
    flying = Flying()
    answer = far.questions[0][2]
    answer.in_flight(flying)
    assert flying.is_cancelled and not answer.is_open
    answer.in_flight(None)
    assert answer.waiting_bytes == 0


@pytest.mark.parametrize("taken_pieces", [0, 1, 2])
def test_a_call_that_was_sent_in_part_is_dropped_and_never_seen(taken_pieces: int) -> None:
    near, far = a_pair()
    number = near.link.call(a_call(LONG), Told())
    for _ in range(taken_pieces):
        far.link.receive(near.link.outbox.take(1))
    near.link.cancel(number)
    assert kinds(near) == [Kind.PART] * bool(taken_pieces)
    near.link.outbox.put(part_frame(1, 0, b""))
    pump(near, far)
    assert far.seen == []
    assert near.is_clean and far.is_clean


@pytest.mark.parametrize("is_item", [True, False])
def test_an_answer_that_nobody_waits_for_is_sent_no_further(is_item: bool) -> None:
    near, far = a_pair()
    number = near.link.call(a_call(credit=1), Told())
    pump(near, far)
    if is_item:
        far.calls[0][1].item(LONG)
    else:
        far.calls[0][1].result(LONG)
    near.link.receive(far.link.outbox.take(1))
    near.link.cancel(number)
    far.link.receive(near.link.outbox.take(ROOM_BYTES))
    assert kinds(far) == [Kind.PART]
    far.link.outbox.put(part_frame(1, 0, b""))
    pump(near, far)
    assert near.is_clean and far.is_clean
