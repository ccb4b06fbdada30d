"""What nodes ask and tell each other beside calls: each topic and what is said of it, as JSON."""

from __future__ import annotations

from typing import Annotated

import msgspec


class ClaimWords(msgspec.Struct, frozen=True, gc=False):
    """``claim``, to a home: may a socket re-open ``id``? ``key`` is what its client showed at ``door``."""

    id: str
    key: str
    door: str


class GrantWords(msgspec.Struct, frozen=True, gc=False):
    """The answer: a fresh key, and the numbers of the calls that the lambda may still answer."""

    resume_key: str
    pending: list[int] = []


Turn = tuple[int, int]
"""Where a worker stands that takes lambdas of others: which run of it this is, and how many it has asked for.

Between two places there are two links for a moment now and then, and a word on one may overtake a word on the other:
what was said before the worker asked for a lambda says nothing of that lambda.
"""
NO_TURN: Turn = (0, 0)


def is_before(word: Turn, taken: Turn) -> bool:
    """Whether a worker said a word before it asked for what it has ``taken``; not known of two runs of it."""
    return word[0] == taken[0] and word[1] < taken[1]


def is_of_another_run(word: Turn, taken: Turn) -> bool:
    """Whether a worker that said a word has started since it asked for what it has ``taken``, as far as is known."""
    return 0 not in (word[0], taken[0]) and word[0] != taken[0]


class TakeWords(msgspec.Struct, frozen=True, gc=False):
    """``take``, to a home: the socket has answered ``open`` and keeps the calls in ``keep``."""

    id: str
    key: str
    door: str
    keep: list[int] = []
    turn: Turn = NO_TURN


class PlacedWords(msgspec.Struct, frozen=True, gc=False):
    """The answer: ``number`` of the last call (``None``: the taker held the lambda before, and knows), ``epoch``.

    ``proof`` is for ``holding``: it proves that the home has placed the lambda so.
    """

    epoch: int
    number: int | None = None
    proof: str = ""


class ReleaseWords(msgspec.Struct, frozen=True, gc=False):
    """``release``, from a home to the holder: somebody else takes the lambda, and keeps the calls in ``keep``."""

    id: str
    keep: list[int] = []
    to: int = 0
    """The machine of whoever takes it; 0 where the home is of a version that does not say."""


class ReleasedWords(msgspec.Struct, frozen=True, gc=False):
    """The answer: the number of the last call; ``None`` where the lambda was not there."""

    number: int | None = None


class IdWords(msgspec.Struct, frozen=True, gc=False):
    """``unanswered``, ``show`` or ``delete`` of a lambda; ``at_holder`` where its home has asked the holder."""

    id: str
    at_holder: bool = False


class PendingWords(msgspec.Struct, frozen=True, gc=False):
    """The answer to ``unanswered``."""

    pending: list[int] = []


ANY_EPOCH = -1
"""Whichever the home has given the holder last; none at all."""


class LeftWords(msgspec.Struct, gc=False):
    """``left``, told to a home: the lambda has closed at its holder; ``number`` is that of its last call.

    With ``ANY_EPOCH`` a socket has not got what it asked for: whatever the home may have given it, the node has the
    lambda as of ``held``, or not at all. Where the holder goes down and the lambda does not, ``grace_s`` is how long it
    waits to be re-opened, now at its home, as what it was: ``code`` and ``headers``.
    """

    id: str
    epoch: int
    number: int
    held: int = ANY_EPOCH
    grace_s: float = 0.0
    code: str = ""
    headers: msgspec.Raw = msgspec.Raw(b"{}")
    turn: Turn = NO_TURN


class HoldingWords(msgspec.Struct, frozen=True, gc=False):
    """``holding``, told to a home whenever a link to it comes up: all of its lambdas that are held here.

    ``arriving`` are those that are being taken, so that the home has not forgotten what is on its way.
    """

    lambdas: list[tuple[str, int, str]] = []
    """Id, epoch and proof of each."""
    arriving: list[str] = []
    turn: Turn = NO_TURN


class EvictWords(msgspec.Struct, frozen=True, gc=False):
    """``evict``, told to a holder: the lambda is not its own any more, up to ``epoch``. ``code`` closes its socket."""

    id: str
    epoch: int
    code: int


Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]
"""How many lambdas."""
LISTED_BYTES = 2 * 1024 * 1024
"""What the lambdas of one answer to ``list`` may take."""
LISTED_LAMBDAS = 1_000
"""How many there are in one at most: writing them takes less time than others may have to wait."""


class ListWords(msgspec.Struct, frozen=True, gc=False):
    """``list``, ``count``, ``measures`` or ``ready``: the lambdas that a node holds, ``limit`` of them; what one worker
    of it measures, and whether it is ready, asked by another.
    """

    limit: Count = 0
    skip: Count = 0
    """How many have been told already."""


class ListedWords(msgspec.Struct, frozen=True, gc=False):
    """The answer to ``list``: ``count`` lambdas, from id to lambda object; ``is_cut`` where there are more.

    ``skipped`` is how many were told before; who asks for more and is told 0 has asked a version that cannot go on.
    """

    count: Count
    is_cut: bool
    lambdas: msgspec.Raw
    skipped: Count = 0


class MeasuresWords(msgspec.Struct, frozen=True, gc=False):
    """The answer to ``measures``, of one worker to another of its node: what it measures, by name.

    What it counts it has written down where the other can read it.
    """

    pid: int
    gauges: dict[str, float]


class ReadyWords(msgspec.Struct, frozen=True, gc=False):
    """The answer to ``ready``, of one worker to another of its node: whether it goes down, and what is wrong if not."""

    is_ending: bool
    trouble: str | None = None


EventName = Annotated[str, msgspec.Meta(pattern=r"\A[a-z]{1,32}\Z")]
FieldName = Annotated[str, msgspec.Meta(max_length=64)]
FieldText = Annotated[str, msgspec.Meta(max_length=1024)]
EventFields = dict[FieldName, FieldText | int | float | bool | None]


class EventWords(msgspec.Struct, frozen=True, gc=False):
    """One of the items that answer ``events``: its name, and its fields as the event has them."""

    event: EventName
    fields: Annotated[EventFields, msgspec.Meta(max_length=16)] = {}
