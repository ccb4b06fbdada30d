"""What one worker says for all workers of its node: whether it is ready, and what it measures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from lambdamesh.core.places import worker_of
from lambdamesh.core.survey import Survey
from lambdamesh.core.words import ListWords, MeasuresWords, ReadyWords
from lambdamesh.door.door import Door
from lambdamesh.door.request import Fields, Reply
from lambdamesh.errors import Draining

Words = TypeVar("Words")

_METRICS: Fields = ((b"Content-Type", b"text/plain; version=0.0.4; charset=utf-8"),)
_DRAINING = "this node is going down"


class _Gathering(Generic[Words]):
    """Holds what the others say until all have, or took too long (``core.survey.Fold``)."""

    def __init__(self, kind: type[Words], told: Callable[[list[Words], list[int]], None]) -> None:
        self._kind = kind
        self._told = told
        self._words: list[Words] = []

    def words(self) -> object:
        """What to ask the next one."""
        return ListWords()

    def heard(self, raw: bytes, asked: object) -> None:
        """Take an answer. Raises: ValueError."""
        self._words.append(msgspec.json.decode(raw, type=self._kind))

    def done(self, mute: list[int], *, is_whole: bool) -> None:
        """All have answered who did."""
        self._told(self._words, mute)


def _ask(door: Door, topic: str, gathering: _Gathering[Words]) -> None:
    siblings = door.siblings
    if siblings is None:
        gathering.done([], is_whole=True)
        return
    places = siblings.places()
    Survey(siblings.asking, len(places), siblings.within_s, gathering).ask(places, topic)


def answer_ready(door: Door, reply: Reply) -> None:
    """Answer whether new lambdas and calls are taken: as the worker that is least ready."""

    def told(words: list[ReadyWords], mute: list[int]) -> None:
        if any(one.is_ending for one in words):
            reply.refuse(Draining(_DRAINING))
            return
        reasons = [reason for reason in (door.trouble(), *(one.trouble for one in words)) if reason]
        reasons += [f"worker {worker_of(place)} does not answer: it is started again" for place in sorted(mute)]
        if reasons:
            # It goes on with whoever it knows: nobody is to take it out of service for that.
            why = "; ".join(dict.fromkeys(reasons))
            reply.respond(200, msgspec.json.encode({"status": "degraded", "why": why}))
        else:
            reply.respond(200, b'{"status":"ready"}')

    if not door.is_ready:
        raise Draining(_DRAINING)
    _ask(door, "ready", _Gathering(ReadyWords, told))


def answer_metrics(door: Door, reply: Reply) -> None:
    """Answer with the metrics of all workers that answer in time."""

    def told(words: list[MeasuresWords], _mute: list[int]) -> None:
        reply.respond(200, door.exposition(words), _METRICS)

    _ask(door, "measures", _Gathering(MeasuresWords, told))
