"""What answers ``/lambda``: the lambdas of this worker, then those of the others, each one's as its answer comes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import msgspec

from lambdamesh.core.held import Lambda
from lambdamesh.core.listing import lambda_map
from lambdamesh.core.places import machine_of
from lambdamesh.core.survey import Fold, Others, Survey
from lambdamesh.core.words import LISTED_BYTES, Count as CountWords, ListedWords, ListWords
from lambdamesh.door.door import Door
from lambdamesh.door.request import Fields, Reply
from lambdamesh.ids import machine_id_text

_AT_ONCE = 500
"""Lambdas that are written before others have their turn: less than 2 ms."""
_AROUND_BYTES = 256
"""What stands around the lambdas of an answer."""
_TRUNCATED: Fields = ((b"Lambda-Truncated", b"true"),)


class Count:
    """Answers how many lambdas there are (``core.survey.Fold``); of this worker alone where there are no ``others``."""

    def __init__(self, door: Door, reply: Reply, others: Others | None) -> None:
        self._door = door
        self._reply = reply
        self._others = others
        self._count = len(door.registry.live)

    def begin(self) -> None:
        """Count, and answer in time."""
        _ask(self._door, self._others, "count", self)

    def words(self) -> object:
        """What to ask the next node."""
        return ListWords()

    def heard(self, raw: bytes, asked: object) -> None:
        """Add what another has counted. Raises: ValueError."""
        self._count += msgspec.json.decode(raw, type=CountWords)

    def done(self, mute: list[int], *, is_whole: bool) -> None:
        """Answer."""
        self._reply.respond(200, b'{"count":%d}' % self._count, _unreachable(mute))


class Listing:
    """Answers with ``limit`` lambdas at most, and holds no more than it shows (``core.survey.Fold``)."""

    def __init__(self, door: Door, reply: Reply, others: Others | None, limit: int) -> None:
        live = door.registry.live
        # Others open and close while these are written.
        self._own: Iterator[Lambda] = iter(tuple(islice(live.values(), limit)))
        self._door = door
        self._reply = reply
        self._others = others
        self._room = limit
        self._is_cut = len(live) > limit
        self._written: list[bytes] = []

    def begin(self) -> None:
        """Write what is here, some of it a turn of the loop, then ask the others."""
        some = tuple(islice(self._own, _AT_ONCE))
        live = self._door.registry.live
        still = [held for held in some if held.id in live]
        if still:
            self._take(len(still), lambda_map(still)[1:-1])
        if len(some) == _AT_ONCE:
            self._door.call_soon(self.begin)
        else:
            _ask(self._door, self._others, "list", self)

    def _take(self, count: int, entries: bytes) -> None:
        self._room -= count
        self._written.append(entries)

    def words(self) -> object | None:
        """What to ask the next node: as many lambdas as there is room for."""
        return ListWords(self._room) if self._room > 0 else None

    def heard(self, raw: bytes, asked: ListWords) -> ListWords | None:
        """Add what another holds, as it wrote it; return how to ask for the rest. Raises: ValueError.

        An id may be there twice, of a lambda that moves just now: to know it every id would have to be read, and
        whoever reads the answer takes the last of the two.
        """
        if len(raw) > LISTED_BYTES + _AROUND_BYTES:
            raise ValueError("it is longer than may be")
        listed = msgspec.json.decode(raw, type=ListedWords)
        if listed.skipped != asked.skip:
            # It begins from the start each time: of a version that cannot go on.
            self._is_cut = True
            return None
        count, entries = listed.count, _entries(listed.lambdas)
        if count > self._room:
            count, entries = _some(listed.lambdas, self._room)
            self._is_cut = True
        if entries:
            self._take(count, entries)
        if listed.is_cut and entries and self._room > 0:
            return ListWords(self._room, listed.skipped + count)
        self._is_cut |= listed.is_cut
        return None

    def done(self, mute: list[int], *, is_whole: bool) -> None:
        """Answer."""
        is_cut = self._is_cut or not is_whole
        fields = _unreachable(mute)
        self._reply.respond(200, b"{%b}" % b",".join(self._written), (*_TRUNCATED, *fields) if is_cut else fields)


def _ask(door: Door, others: Others | None, topic: str, fold: Fold) -> None:
    if others is None:
        fold.done([], is_whole=True)
        return
    limits = door.limits
    survey = Survey(others.asking, limits.listing_nodes, others.within_s, fold)
    survey.ask(others.places(), topic)


def _entries(lambdas: msgspec.Raw) -> bytes:
    """Return what stands between the braces of a JSON object.

    Raises:
        msgspec.ValidationError, UnicodeDecodeError: it is none.
    """
    text = bytes(lambdas).strip()
    # Which ``Raw`` does not check.
    text.decode()
    if not text.startswith(b"{"):
        raise msgspec.ValidationError("lambdas are an object")
    return text[1:-1].strip()


def _some(lambdas: msgspec.Raw, most: int) -> tuple[int, bytes]:
    """Return the first ``most`` entries of a JSON object, and how many those are."""
    pairs = msgspec.json.decode(lambdas, type=dict[str, msgspec.Raw])
    shown = [b"%b:%b" % (msgspec.json.encode(text), bytes(seen)) for text, seen in islice(pairs.items(), most)]
    return len(shown), b",".join(shown)


def _unreachable(mute: list[int]) -> Fields:
    names = ", ".join(map(machine_id_text, sorted(set(map(machine_of, mute)))))
    return ((b"Lambda-Unreachable", names.encode()),) if names else ()
