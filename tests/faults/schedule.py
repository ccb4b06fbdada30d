"""When what is broken, for how long: the same for the same seed, and every kind of fault at least once."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

NODES, PROVIDERS, CALLERS, SERVERS, BUCKET = "node", "provider", "caller", "nats", "bucket"
PAIRS, WAYS = "pair", "way"
"""Two nodes, both ways; and from one to the other only."""
LEAD_S = 1.0
"""Time before the first fault, in which all is well."""
TAIL_S = 2.0
"""Time after the last one has begun."""
PAUSE_S, RESTART_S = 0.5, 2.5
"""Time between two faults of the same target, and where a node has to start in it."""
WELL_S = 5.0
"""Time for the mesh to be whole again behind a fault."""
TRIES = 4
"""Targets of which the one is taken that is free the soonest."""


@dataclass(frozen=True)
class Shape:
    """A kind of fault: what it befalls, and the shortest and longest time that it lasts."""

    target: str
    least_s: float
    most_s: float
    needs: str = ""
    """``network``: hosts of their own; ``workers``: nodes of several processes."""


SHAPES = {
    "kill node": Shape(NODES, 0.2, 2.0),
    "stop node": Shape(NODES, 0.3, 2.5),
    "stop node long": Shape(NODES, 5.5, 7.0),
    "kill supervisor": Shape(NODES, 0.5, 2.0, "workers"),
    "kill worker": Shape(NODES, 0.0, 0.0, "workers"),
    "stop worker": Shape(NODES, 0.3, 7.0, "workers"),
    "kill provider": Shape(PROVIDERS, 0.1, 1.5),
    "stop provider": Shape(PROVIDERS, 0.3, 3.0),
    "stop provider long": Shape(PROVIDERS, 5.5, 7.0),
    "kill caller": Shape(CALLERS, 0.1, 1.0),
    "stop caller": Shape(CALLERS, 0.3, 3.0),
    "stop caller long": Shape(CALLERS, 5.5, 7.0),
    "link down": Shape(NODES, 0.3, 7.0, "network"),
    "black hole": Shape(NODES, 0.5, 7.0, "network"),
    "one-way partition": Shape(WAYS, 0.5, 7.0, "network"),
    "partition": Shape(PAIRS, 0.5, 7.0, "network"),
    "flapping": Shape(NODES, 2.0, 5.0, "network"),
    "kill NATS": Shape(SERVERS, 0.5, 3.0),
    "move NATS leader": Shape(BUCKET, 0.0, 0.0),
    "wipe bucket": Shape(BUCKET, 0.0, 0.0),
}
"""Every kind. A link is silent for 4.5 s before it is cut: what is stopped or cut off lasts shorter, or longer."""

DEADLY = frozenset({"kill node", "kill supervisor"})
"""The kinds that a node has to be started again after."""


@dataclass(frozen=True, order=True)
class Fault:
    """One fault: ``kind`` befalls ``target``, ``at_s`` seconds after the beginning, ``for_s`` seconds long.

    A target is ``node1``, ``provider3``, ``nats2``; of a pair ``node1-node2``; of one way ``node1>node2``.
    """

    at_s: float
    kind: str
    target: str
    for_s: float

    @property
    def ends_s(self) -> float:
        return self.at_s + self.for_s


@dataclass(frozen=True)
class Cast:
    """How many there are of each that can be broken."""

    nodes: int = 3
    providers: int = 3
    callers: int = 6
    servers: int = 3
    workers: int = 1
    has_network: bool = True

    def kinds(self) -> list[str]:
        """The kinds of fault that this cast can have."""
        has = {"": True, "network": self.has_network, "workers": self.workers > 1}
        return [kind for kind, shape in SHAPES.items() if has[shape.needs]]


def claims(kind: str, target: str) -> frozenset[str]:
    """What a fault has for itself while it lasts: two that share any of it would undo each other."""
    if kind in ("move NATS leader", "wipe bucket"):
        return frozenset()
    if kind == "kill NATS":
        return frozenset({"nats"})  # two of three are a majority, one is none
    if SHAPES[kind].needs == "network":
        return frozenset(f"cable of {name}" for name in target.replace(">", "-").split("-"))
    return frozenset({target})


def schedule(seed: int, seconds: float, cast: Cast) -> list[Fault]:
    """Plan faults for so many seconds, in order of time: each kind in turn, in an order of chance, at least once.

    One is begun about every ``seconds`` / kinds, or every 2.5 s in a longer run. They overlap, but never on what
    another one has for itself, and no two nodes are stopped or dead at a time. Where each kind comes but once, no cable
    is touched of a node that is dead, lest that befalls nobody. Where there is no time for all kinds, those that are
    left over begin as soon as what they befall is free.
    """
    chance = random.Random(seed)
    kinds = cast.kinds()
    room_s = max(seconds - LEAD_S - TAIL_S, 1.0)
    rounds = max(int(room_s / (2.5 * len(kinds))), 1)
    turns = [kind for _ in range(rounds) for kind in chance.sample(kinds, len(kinds))]
    step_s = room_s / len(turns)
    planned: list[Fault] = []
    for turn, kind in enumerate(turns):
        shape = SHAPES[kind]
        for_s = round(chance.uniform(shape.least_s, shape.most_s), 3)
        at_s = LEAD_S + (turn + chance.uniform(0.0, 0.8)) * step_s
        targets = [_target(chance, shape.target, cast) for _ in range(TRIES)]
        choices = [_placed(planned, Fault(at_s, kind, target, for_s), is_apart=rounds == 1) for target in targets]
        planned.append(min(choices, key=lambda fault: fault.at_s))
    return sorted(planned)


def encore(seed: int, kinds: Sequence[str], cast: Cast) -> list[Fault]:
    """Plan each of ``kinds`` once more, as short as it may be, one after the other and with time to get well between."""
    chance = random.Random(seed)
    planned: list[Fault] = []
    at_s = LEAD_S
    for kind in kinds:
        shape = SHAPES[kind]
        planned.append(Fault(round(at_s, 3), kind, _target(chance, shape.target, cast), shape.least_s))
        at_s += shape.least_s + WELL_S
    return planned


def _placed(planned: Sequence[Fault], fault: Fault, *, is_apart: bool) -> Fault:
    """Move a fault behind those that have what it needs; ``is_apart``: behind the deaths of its nodes too."""
    at_s = fault.at_s
    for other in sorted(planned, key=lambda one: one.ends_s):
        is_over = other.ends_s + _pause_s(other) <= at_s or at_s + fault.for_s + _pause_s(fault) <= other.at_s
        if not is_over and (_clash(other, fault) or (is_apart and _is_dead(other, fault))):
            at_s = other.ends_s + _pause_s(other)
    return Fault(round(at_s, 3), fault.kind, fault.target, fault.for_s)


def _pause_s(fault: Fault) -> float:
    return RESTART_S if fault.kind in DEADLY else PAUSE_S


def _is_dead(one: Fault, other: Fault) -> bool:
    """Whether one of them ends a node that the other befalls too."""
    return bool({one.kind, other.kind} & DEADLY) and bool(_nodes(one) & _nodes(other))


def _clash(one: Fault, other: Fault) -> bool:
    is_process = [
        SHAPES[fault.kind].target == NODES and SHAPES[fault.kind].needs != "network" for fault in (one, other)
    ]
    return all(is_process) or bool(claims(one.kind, one.target) & claims(other.kind, other.target))


def _nodes(fault: Fault) -> frozenset[str]:
    """The nodes that a fault befalls, themselves or their cables."""
    return frozenset(name for name in fault.target.replace(">", "-").split("-") if name.startswith(NODES))


def _target(chance: random.Random, what: str, cast: Cast) -> str:
    counts = {NODES: cast.nodes, PROVIDERS: cast.providers, CALLERS: cast.callers, SERVERS: cast.servers}
    if what == BUCKET:
        return BUCKET
    if what in counts:
        return f"{what}{chance.randint(1, counts[what])}"
    one, other = chance.sample(range(1, cast.nodes + 1), 2)
    return f"node{one}{'-' if what == PAIRS else '>'}node{other}"
