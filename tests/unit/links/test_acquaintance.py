"""What nodes tell of themselves and of third ones, and what is believed of it."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from lambdamesh.core.peering import NodeRecord
from lambdamesh.directory.static import Static
from lambdamesh.links.acquaintance import Acquaintance, record_of
from lambdamesh.links.connection import Connection
from lambdamesh.protocol.link_frames import Hello, PeerHint

ME = NodeRecord(machine=1, instance="a", host="one", address="10.0.0.1:7631", version="1", started_at=5.0)
TWO = NodeRecord(machine=2, instance="b", host="two", address="10.0.0.2:7631", version="1", started_at=6.0)
THREE = NodeRecord(machine=3, instance="c", host="three", address="10.0.0.3:7631", version="1", started_at=7.0)


class Told:
    """An acquaintance with its directory, and what it had spread: to all but which machine, and of whom."""

    def __init__(self, *, is_by_word: bool = True) -> None:
        self.directory = Static(())
        self.acquaintance = Acquaintance(ME, self.directory, is_by_word=is_by_word)
        self.spread: list[tuple[int, list[str]]] = []
        self.acquaintance.spread = self._spread

    def _spread(self, words: bytes, but: int) -> None:
        self.spread.append((but, [hint.host for hint in msgspec.json.decode(words, type=list[PeerHint])]))


def connection(dialled: str | None = None, peer: str = "192.0.2.7:4711") -> Connection:
    return cast("Connection", SimpleNamespace(dialled=dialled, peer_address=peer))


def test_a_hello_is_read_as_it_was_said() -> None:
    hello = Told().acquaintance.hello(is_kept=True)
    assert hello.is_kept
    assert record_of(hello, connection()) == ME
    assert record_of(msgspec.structs.replace(hello, machine="nonsense"), connection()).machine == 0


@pytest.mark.parametrize(
    ("said", "dialled", "reached"),
    [
        ("10.0.0.2:7631", None, "10.0.0.2:7631"),
        ("10.0.0.2:7631", "198.51.100.1:99", "10.0.0.2:7631"),
        (":7631", None, "192.0.2.7:7631"),
        (":7631", "198.51.100.1:99", "198.51.100.1:99"),
        ("", "198.51.100.1:99", "198.51.100.1:99"),
        ("", None, ""),
    ],
)
def test_an_address_without_a_host_is_where_the_link_is(said: str, dialled: str | None, reached: str) -> None:
    hello = Hello(machine="00000002", instance="b", address=said)
    assert record_of(hello, connection(dialled)).address == reached


def test_an_address_of_version_6_has_brackets() -> None:
    hello = Hello(machine="00000002", instance="b", address=":7631")
    assert record_of(hello, connection(peer="2001:db8::1:4711")).address == "[2001:db8::1]:7631"


def test_news_are_spread_once_and_not_to_whom_they_are_about() -> None:
    told = Told()
    told.acquaintance.learn(TWO, time.time(), is_hearsay=False)
    told.acquaintance.learn(TWO, time.time(), is_hearsay=False)
    assert told.spread == [(2, ["two"])]
    moved = msgspec.structs.replace(TWO, address="10.0.0.9:7631")
    told.acquaintance.learn(moved, time.time(), is_hearsay=False)
    assert len(told.spread) == 2


def test_with_a_directory_of_its_own_a_mesh_needs_no_word_of_mouth() -> None:
    told = Told(is_by_word=False)
    told.acquaintance.learn(TWO, time.time(), is_hearsay=False)
    assert told.spread == []
    # Whoever dials may have no such directory.
    assert [hint.host for hint in told.acquaintance.hello(is_kept=False).peers] == ["two"]


def test_what_one_tells_another_learns() -> None:
    teller, hearer = Told(), Told()
    teller.acquaintance.learn(TWO, time.time() - 40, is_hearsay=False)
    teller.acquaintance.learn(THREE, time.time(), is_hearsay=False)
    hearer.acquaintance.hear(teller.acquaintance.words())
    assert {record.host for record in hearer.directory.nodes()} == {"two", "three"}
    heard_s = hearer.directory.heard_at(2)
    assert heard_s is not None
    assert 39 < time.time() - heard_s < 45


def test_words_about_oneself_and_words_that_are_none_change_nothing() -> None:
    told = Told()
    hints: list[Any] = [
        PeerHint(machine="00000001", address="x:1"),
        PeerHint(machine="zz", address="x:1"),
        PeerHint(machine="00000002", address="x:99999"),
        PeerHint(machine="00000002", address="x:1", age_s=1e300),
    ]
    told.acquaintance.hear(msgspec.json.encode(hints))
    told.acquaintance.hear(b"no json")
    told.acquaintance.hear(b'{"machine":"00000002"}')
    assert told.directory.nodes() == ()


def test_hearsay_from_the_future_is_not_fresher_than_now() -> None:
    told = Told()
    told.acquaintance.hear(msgspec.json.encode([PeerHint(machine="00000002", address="x:1", age_s=-1e9)]))
    heard_s = told.directory.heard_at(2)
    assert heard_s is not None
    assert heard_s <= time.time()


def test_a_hello_tells_of_a_bounded_number_of_nodes_the_freshest() -> None:
    told = Told()
    for number in range(2, 400):
        record = NodeRecord(machine=number, instance="i", host=str(number), address=f"10.0.0.1:{number}")
        told.acquaintance.learn(record, time.time() - 1000 + number, is_hearsay=True)
    peers = told.acquaintance.hello(is_kept=False).peers
    assert len(peers) == 256
    assert peers[-1].host == "399"


def test_many_nodes_are_told_in_turn_and_the_dead_are_left_out() -> None:
    told, now_s = Told(), time.time()
    for number in range(2, 702):
        record = NodeRecord(machine=number, instance="i", host=str(number), address=f"10.0.0.1:{number}")
        told.acquaintance.learn(record, now_s - (500 if number > 601 else 50), is_hearsay=True)
    assert told.acquaintance.pause_s == 10
    rounds = [msgspec.json.decode(told.acquaintance.words(), type=list[PeerHint]) for _ in range(3)]
    assert [len(hints) for hints in rounds] == [256, 256, 256]
    assert {int(hint.host) for hints in rounds for hint in hints} == set(range(2, 602))


def test_few_nodes_are_all_told_every_30_s() -> None:
    told = Told()
    assert told.acquaintance.words() == b"[]"
    told.acquaintance.learn(TWO, time.time() - 500, is_hearsay=False)
    told.acquaintance.learn(THREE, time.time(), is_hearsay=False)
    assert told.acquaintance.pause_s == 30
    for _ in range(2):
        assert {hint.host for hint in msgspec.json.decode(told.acquaintance.words(), type=list[PeerHint])} == {
            "two",
            "three",
        }


def _hints(count: int) -> list[PeerHint]:
    return [PeerHint(machine=f"{2 + at:08x}", address=f"10.0.0.1:{2 + at}", host=str(at)) for at in range(count)]


def test_a_word_is_one_change_and_one_word_to_others() -> None:
    told = Told()
    changes: list[None] = []
    told.directory.changed = lambda: changes.append(None)
    told.acquaintance.hear(msgspec.json.encode(_hints(50)))
    assert len(changes) == 1
    assert told.spread == [(0, [str(at) for at in range(50)])]
    told.acquaintance.hear(msgspec.json.encode(_hints(51)))
    assert told.spread[1:] == [(2 + 50, ["50"])]


def test_of_a_word_that_tells_of_too_many_the_first_are_heard() -> None:
    told = Told()
    told.acquaintance.hear(msgspec.json.encode(_hints(2000)))
    assert len(told.directory.nodes()) == 256
    told.acquaintance.hear(msgspec.json.encode(_hints(30_000)[::-1]))
    assert len(told.directory.nodes()) == 256


def test_a_hello_that_says_nonsense_is_read_without_it() -> None:
    for address in ("garbage", "10.0.0.2:0", "a..b:1", "x" * 300 + ":1", "[nonsense]:1"):
        hello = Hello(machine="00000002", instance="b", host="two", address=address)
        record = record_of(hello, connection())
        assert (record.machine, record.instance, record.host, record.address) == (2, "b", "two", "")
    record = record_of(Hello(machine="00000002", instance="b" * 65, host="\x07", version="1" * 65), connection())
    assert (record.instance, record.host, record.version) == ("", "", "")


def test_a_pong_makes_an_old_word_fresh() -> None:
    told = Told()
    told.acquaintance.learn(TWO, time.time() - 90, is_hearsay=False)
    told.acquaintance.hears(TWO)
    heard_s = told.directory.heard_at(2)
    assert heard_s is not None
    assert time.time() - heard_s < 5


def test_a_pong_brings_back_what_a_node_said_of_itself() -> None:
    told = Told()
    told.acquaintance.learn(TWO, time.time() - 90, is_hearsay=False)
    other = msgspec.structs.replace(TWO, instance="x", address="10.9.9.9:1", started_at=time.time())
    told.acquaintance.learn(other, time.time() - 30, is_hearsay=True)
    told.acquaintance.hears(TWO)
    assert told.directory.find(2) == TWO
