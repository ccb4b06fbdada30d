"""What becomes of what other nodes send: calls, questions and words, good ones and bad ones."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from lambdamesh.core.reception import listed
from lambdamesh.core.reopening import Key
from lambdamesh.core.words import (
    LISTED_BYTES,
    ClaimWords,
    EventWords,
    EvictWords,
    GrantWords,
    IdWords,
    ListedWords,
    ListWords,
    PendingWords,
    PlacedWords,
    TakeWords,
)
from lambdamesh.errors import BadRequest, Forbidden, LambdaGone, Loop
from lambdamesh.protocol.call import Call
from tests.unit.core.meshed import RIGHT, Asked as Exchange, C, D, Node
from tests.unit.fakes import TEXT, FakeProvider, FakeSeat, Told, an_id

NAME = TEXT.decode()


def asked(node: Node, topic: str, body: bytes) -> Exchange:
    answer: Any = Exchange()
    link: Any = node.links.to[C]
    node.reception.asked(link, topic, body, answer)
    return answer


def called(node: Node, call: Call, how: str = "called") -> Exchange:
    answer: Any = Exchange()
    getattr(node.reception, how)(node.links.to[C], call, answer)
    return answer


# -- calls -------------------------------------------------------------------------------------------------------


def test_a_call_goes_to_the_lambda_and_its_end_goes_back() -> None:
    node = Node()
    seat = node.open()
    answer = called(node, Call(TEXT, b'"test"', b"1", 60.0, passages=1))
    assert answer.flight is not None
    seat.provider.answer(1)
    assert answer.raw == b'"answered"'


def test_a_call_that_nobody_waits_for_is_cancelled() -> None:
    node = Node()
    seat = node.open()
    called(node, Call(TEXT, b'"test"', b"1", 60.0)).leave()
    assert seat.provider.cancelled == [1]


def test_a_call_that_is_refused_has_no_flight() -> None:
    node = Node()
    answer = called(node, Call(an_id(machine=D), b'"test"', b"1", 60.0, passages=3))
    assert isinstance(answer.error, Loop)
    assert answer.flight is None


def test_a_notification_is_passed_on() -> None:
    node = Node()
    seat = node.open()
    answer = called(node, Call(TEXT, b'"seen"', b"1", 60.0), "notified")
    assert answer.raw == b"{}"
    assert seat.provider.notifications == [(b'"seen"', b"1")]
    node.leave(seat, final=True)
    assert isinstance(called(node, Call(TEXT, b'"seen"', b"1", 60.0), "notified").error, LambdaGone)


# -- questions ---------------------------------------------------------------------------------------------------


def test_a_topic_of_the_future_is_refused_by_its_name() -> None:
    error = asked(Node(), "telepathy", b"{}").error
    assert isinstance(error, BadRequest) and "telepathy" in error.message


@pytest.mark.parametrize("topic", ["claim", "take", "release", "unanswered", "show", "delete", "list"])
@pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b'{"id":5,"limit":"x"}'])
def test_words_that_cannot_be_read_are_refused_with_the_topic(topic: str, body: bytes) -> None:
    error = asked(Node(), topic, body).error
    assert isinstance(error, BadRequest) and error.message.startswith(topic)


def test_words_may_say_more_than_is_known_here() -> None:
    node = Node()
    node.open()
    assert asked(node, "show", b'{"id":"%b","of_the_future":1}' % TEXT).outcomes == 1


@pytest.mark.parametrize("name", ["", "nonsense", "ä" * 16, "\U0001f600", "A" * 16])
@pytest.mark.parametrize("topic", ["claim", "take", "show", "delete"])
def test_what_is_no_id_is_refused(topic: str, name: str) -> None:
    node = Node()
    words: Any = {
        "claim": ClaimWords(name, RIGHT, "local"),
        "take": TakeWords(name, RIGHT, "local"),
    }.get(topic, IdWords(name))
    assert isinstance(node.asked(C, topic, words).error, BadRequest)
    assert node.asked(C, "release", {"id": name}).outcomes == 1
    assert node.asked(C, "unanswered", IdWords(name)).words(PendingWords).pending == []


def test_a_key_is_judged_by_the_door_that_it_was_shown_at() -> None:
    node = Node()
    node.open()
    seen: list[tuple[str, bytes, bytes]] = []

    def judge(door: str, shown: bytes, text: bytes) -> Key:
        seen.append((door, shown, text))
        return Key.RIGHT if shown == b"right" else Key.WRONG

    node.reception.judge = judge
    assert node.asked(C, "claim", ClaimWords(NAME, RIGHT, "public")).words(GrantWords).resume_key
    assert isinstance(node.asked(C, "claim", ClaimWords(NAME, "ä€", "local")).error, Forbidden)
    assert isinstance(node.asked(C, "claim", ClaimWords(NAME, "", "local")).error, Forbidden)
    assert seen == [("public", b"right", TEXT), ("local", b"\xe4?", TEXT)]


def test_take_and_unanswered() -> None:
    node = Node()
    node.open(seat=FakeSeat(FakeProvider(keeps=True)))
    node.call(Told())
    node.call(Told())
    assert node.asked(C, "unanswered", IdWords(NAME)).words(PendingWords).pending == [1, 2]
    placed = node.asked(C, "take", TakeWords(NAME, RIGHT, "local", [2])).words(PlacedWords)
    assert placed.number == 2
    assert node.links.to[C].said == [("adopt", NAME, b"2")]


def test_a_provider_of_1_0_keeps_nothing() -> None:
    node = Node()
    node.open()
    node.call(Told())
    assert node.asked(C, "unanswered", IdWords(NAME)).words(PendingWords).pending == []


def shown(answer: Exchange) -> tuple[list[bytes], bool]:
    """What a listing shows: ids, and whether it is cut."""
    listing = answer.words(ListedWords)
    lambdas = json.loads(bytes(listing.lambdas))
    assert listing.count == len(lambdas)
    assert all(seen["state"] == "open" for seen in lambdas.values())
    return [text.encode() for text in lambdas], listing.is_cut


def test_lambdas_are_listed_and_counted() -> None:
    node = Node()
    texts = [an_id(number) for number in range(1, 5)]
    for text in texts:
        node.open(text)
    assert node.asked(C, "count", ListWords()).raw == b"4"
    assert shown(node.asked(C, "list", ListWords(10))) == (texts, False)
    assert shown(node.asked(C, "list", ListWords(4))) == (texts, False)
    assert shown(node.asked(C, "list", ListWords(2))) == (texts[:2], True)
    assert shown(node.asked(C, "list", ListWords())) == ([], True)


def test_a_listing_is_no_longer_than_a_link_takes() -> None:
    node = Node()
    node.open()
    held = node.registry.live[TEXT]
    held.headers = b'{"X":["%b"]}' % (b"x" * 100_000)
    live = dict.fromkeys((b"%016d" % number for number in range(30)), held)
    whole = listed(live, 30)
    assert LISTED_BYTES - 110_000 < len(whole) < LISTED_BYTES + 256
    listing = msgspec.json.decode(whole, type=ListedWords)
    # The stand-ins are all of one id.
    assert (listing.count, listing.is_cut) == (bytes(listing.lambdas).count(b'"state"'), True)


@pytest.mark.parametrize("limit", [-1, -(2**63), 2**31, 10**30])
def test_a_limit_that_is_none_is_refused(limit: int) -> None:
    node = Node()
    for topic in ("list", "count", "events"):
        assert isinstance(asked(node, topic, b'{"limit":%d}' % limit).error, BadRequest)


def test_events_are_told_to_whoever_follows() -> None:
    node = Node()
    assert isinstance(node.asked(C, "events", ListWords()).error, BadRequest)
    followers: list[tuple[Any, Any]] = []
    node.reception.follow = lambda link, answer: followers.append((link, answer))
    answer = node.asked(C, "events", ListWords())
    assert followers == [(node.links.to[C], answer)]
    assert answer.outcomes == 0


@pytest.mark.parametrize(
    "words",
    [
        b'{"event":"open\\nid: 1"}',
        b'{"event":"open\\n"}',
        b'{"event":""}',
        b'{"event":"%b"}' % (b"x" * 33),
        b'{"event":"open","fields":{"id":["x"]}}',
        b'{"event":"open","fields":{"id":{"x":1}}}',
        b'{"event":"open","fields":{"id":"%b"}}' % (b"x" * 1025),
        b'{"event":"open","fields":{"%b":1}}' % (b"x" * 65),
        b'{"event":"open","fields":{%b}}' % b",".join(b'"%d":1' % number for number in range(17)),
    ],
)
def test_what_is_no_event_is_not_read(words: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(words, type=EventWords)


# -- words -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("topic", "body", "is_heard"),
    [
        ("left", b'{"id":"x","epoch":1,"number":1}', True),
        ("holding", b'{"lambdas":[]}', True),
        ("evict", b'{"id":"x","epoch":1,"code":4409}', True),
        ("left", b"{}", False),
        ("holding", b'{"lambdas":[["x"]]}', False),
        ("evict", b"nonsense", False),
        ("peers", b"[]", False),
        ("", b"", False),
    ],
)
def test_a_word_that_nobody_here_understands_changes_nothing(topic: str, body: bytes, is_heard: bool) -> None:
    node = Node()
    link: Any = node.links.to[C]
    assert node.reception.told(link, topic, body) is is_heard
    assert not (node.registry.away or node.registry.live)


def test_a_node_speaks_for_nobody_but_itself() -> None:
    """Which machine it is its certificate says, and no word."""
    node = Node()
    node.held_by(C)
    node.told(D, "evict", EvictWords(NAME, 99, 4410))
    node.holding(D)
    assert node.registry.away[TEXT].place == C
