"""What becomes of what other nodes send: calls go to the relay, questions and words to whoever their topic is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from lambdamesh.core.claims import Claims
from lambdamesh.core.held import Lambda
from lambdamesh.core.homes import Homes
from lambdamesh.core.listing import lambda_object
from lambdamesh.core.registry import Registry
from lambdamesh.core.relay import Relay
from lambdamesh.core.reopening import Claim, Grant, Key
from lambdamesh.core.taking import NodeTaker
from lambdamesh.core.words import (
    LISTED_BYTES,
    LISTED_LAMBDAS,
    ClaimWords,
    EvictWords,
    GrantWords,
    HoldingWords,
    IdWords,
    LeftWords,
    ListWords,
    MeasuresWords,
    PendingWords,
    ReadyWords,
    ReleasedWords,
    ReleaseWords,
    TakeWords,
)
from lambdamesh.errors import BadRequest, MeshError, Overloaded
from lambdamesh.protocol.call import Call
from lambdamesh.protocol.link import Link
from lambdamesh.protocol.link_exchange import Inbound

Judge = Callable[[str, bytes, bytes], Key]
"""Says of a door, a key that was shown there and a lambda id whether that is its key."""
Follow = Callable[[Link, Inbound], None]
"""Has the node behind a link told of what happens to lambdas here, until it does not want to know any more."""


class Asked(NamedTuple):
    """A row of the topics that are asked: of which words, and what answers them."""

    words: type
    answer: Callable[[Link, Any, Inbound], None]


class Told(NamedTuple):
    """A row of the topics that are told."""

    words: type
    hear: Callable[[int, Any], None]


class Reception:
    """Takes what comes over links (the part of ``protocol.link_exchange.Receiver`` that is no link's own affair)."""

    def __init__(self, registry: Registry, relay: Relay, claims: Claims, homes: Homes) -> None:
        self._registry = registry
        self._relay = relay
        self._timeout_max_s = relay.limits.call_timeout_max_s
        self._claims = claims
        self._homes = homes
        self.measures: Callable[[], MeasuresWords]
        self.ready: Callable[[], ReadyWords]
        self.judge: Judge = lambda _door, _key, _text: Key.WRONG
        self.follow: Follow = lambda _link, answer: answer.fault(BadRequest("this node tells of no events"))
        self._asked: dict[str, Asked] = {
            "claim": Asked(ClaimWords, self._claim),
            "take": Asked(TakeWords, self._take),
            "release": Asked(ReleaseWords, self._release),
            "unanswered": Asked(IdWords, self._unanswered),
            "show": Asked(IdWords, self._show),
            "delete": Asked(IdWords, self._delete),
            "list": Asked(ListWords, self._list),
            "count": Asked(ListWords, self._count),
            "events": Asked(ListWords, self._events),
            "measures": Asked(ListWords, self._measures),
            "ready": Asked(ListWords, self._ready),
        }
        self._told: dict[str, Told] = {
            "left": Told(LeftWords, homes.left),
            "holding": Told(HoldingWords, homes.holding),
            "evict": Told(EvictWords, claims.evict),
        }

    # -- calls --------------------------------------------------------------------------------------------------

    def called(self, link: Link, call: Call, answer: Inbound) -> None:
        """Answer a call (``Receiver``)."""
        if call.timeout_s > self._timeout_max_s:
            call.timeout_s = self._timeout_max_s
        try:
            answer.in_flight(self._relay.call(call, answer, self._relay.time()))
        except MemoryError:
            self._starve(answer)

    def notified(self, link: Link, call: Call, answer: Inbound) -> None:
        """Pass a notification on (``Receiver``)."""
        try:
            answer.in_flight(self._relay.notify(call, answer, self._relay.time()))
        except MemoryError:
            self._starve(answer)

    def _starve(self, answer: Inbound) -> None:
        """Refuse what there is no memory for: the link carries the calls of others, too."""
        self._relay.counters.overloaded_buffers += 1
        answer.fault(Overloaded("the node of this lambda has no memory left for the call: try again later"))

    def adopted(self, link: Link, call: Call, number: int, answer: Inbound) -> None:
        """Have a call answered that runs since before its lambda moved (``Receiver``)."""
        self._claims.adopted(link.place, call, number, answer)

    # -- words --------------------------------------------------------------------------------------------------

    def asked(self, link: Link, topic: str, body: bytes, answer: Inbound) -> None:
        """Answer a question (``Receiver``)."""
        row = self._asked.get(topic)
        if row is None:
            answer.fault(BadRequest(f"this node knows no topic {topic!r}: bring both nodes to one release"))
            return
        try:
            words: Any = msgspec.json.decode(body, type=row.words)
        except msgspec.MsgspecError as error:
            answer.fault(BadRequest(f"{topic}: {error}"))
            return
        row.answer(link, words, answer)

    def told(self, link: Link, topic: str, body: bytes) -> bool:
        """Hear a word (``Receiver``); ``False`` where nobody here knows the topic."""
        row = self._told.get(topic)
        if row is not None:
            try:
                row.hear(link.place, msgspec.json.decode(body, type=row.words))
            except msgspec.MsgspecError:
                return False
        return row is not None

    def _claim_of(self, words: ClaimWords | TakeWords) -> Claim:
        text, shown = words.id.encode(), words.key.encode("latin-1", "replace")
        key = self.judge(words.door, shown, text) if shown else Key.NONE
        return Claim(text, False, key, shown=shown, door=words.door)

    def _claim(self, _link: Link, words: ClaimWords, answer: Inbound) -> None:
        def heard(outcome: Grant | MeshError) -> None:
            if isinstance(outcome, MeshError):
                answer.fault(outcome)
            else:
                granted = GrantWords(outcome.resume_key.decode(), list(outcome.pending))
                answer.result(msgspec.json.encode(granted))

        self._homes.claim(self._claim_of(words), heard)

    def _take(self, link: Link, words: TakeWords, answer: Inbound) -> None:
        taker = NodeTaker(self._relay, self._claim_of(words), link, link.place, answer)
        taker.keep, taker.turn = words.keep, words.turn
        self._homes.take(taker)

    def _release(self, link: Link, words: ReleaseWords, answer: Inbound) -> None:
        number, deliver = self._claims.release(link.place, words, link)
        answer.result(msgspec.json.encode(ReleasedWords(number)))
        deliver()

    def _unanswered(self, _link: Link, words: IdWords, answer: Inbound) -> None:
        pending = self._claims.unanswered(words.id.encode())
        answer.result(msgspec.json.encode(PendingWords(list(pending))))

    def _show(self, _link: Link, words: IdWords, answer: Inbound) -> None:
        self._claims.show(words.id.encode("latin-1", "replace"), _to(answer), at_holder=words.at_holder)

    def _delete(self, _link: Link, words: IdWords, answer: Inbound) -> None:
        self._claims.delete(words.id.encode("latin-1", "replace"), _to(answer))

    def _list(self, _link: Link, words: ListWords, answer: Inbound) -> None:
        answer.result(listed(self._registry.live, words.limit, words.skip))

    def _count(self, _link: Link, _words: ListWords, answer: Inbound) -> None:
        answer.result(b"%d" % len(self._registry.live))

    def _measures(self, link: Link, _words: ListWords, answer: Inbound) -> None:
        self._tell_sibling(link, answer, self.measures)

    def _ready(self, link: Link, _words: ListWords, answer: Inbound) -> None:
        self._tell_sibling(link, answer, self.ready)

    def _tell_sibling(self, link: Link, answer: Inbound, words: Callable[[], object]) -> None:
        if self._registry.atlas.is_own(link.place):
            answer.result(msgspec.json.encode(words()))
        else:
            answer.fault(BadRequest("that is between the workers of a node: ask its local door"))

    def _events(self, link: Link, _words: ListWords, answer: Inbound) -> None:
        self.follow(link, answer)


def listed(live: Mapping[bytes, Lambda], limit: int, skip: int = 0) -> bytes:
    """Write lambdas as ``ListedWords``, all but the first ``skip``: ``limit`` at most, and what one answer takes."""
    shown: list[bytes] = []
    size_bytes = 0
    for held in islice(live.values(), skip, skip + min(limit, LISTED_LAMBDAS)):
        entry = b'"%b":%b' % (held.id, lambda_object(held))
        size_bytes += len(entry) + 1
        if size_bytes > LISTED_BYTES:
            break
        shown.append(entry)
    is_cut = b"true" if skip + len(shown) < len(live) else b"false"
    return b'{"count":%d,"is_cut":%b,"skipped":%d,"lambdas":{%b}}' % (len(shown), is_cut, skip, b",".join(shown))


def _to(answer: Inbound) -> Callable[[bytes | MeshError], None]:
    def heard(outcome: bytes | MeshError) -> None:
        if isinstance(outcome, MeshError):
            answer.fault(outcome)
        else:
            answer.result(outcome)

    return heard
