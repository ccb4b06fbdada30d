"""What each kind of fault does to the stage, and how it is undone."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from tests.faults.network import Network
from tests.faults.schedule import Fault
from tests.faults.servers import Servers
from tests.faults.stage import Stage

FLAP_S = 0.25
"""How long the cable is out, and in, while it flaps."""

RETRY_S = 0.5

Later = Callable[[float, Callable[[], None]], None]
"""Has something done so many seconds from now."""
Deed = Callable[[Stage, Fault, Later], None]


@dataclass(frozen=True)
class Breaking:
    """``do`` breaks something, ``undo`` mends it when the time of the fault is over; ``is_dead``: it is gone meanwhile."""

    do: Deed
    undo: Deed
    is_dead: bool = False


def _nothing(_stage: Stage, _fault: Fault, _later: Later) -> None:
    """What mends itself."""


# -- processes ----------------------------------------------------------------------------------------------------


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _kill_node(stage: Stage, fault: Fault, _later: Later) -> None:
    workers = stage.workers_of(fault.target)
    stage.nodes[fault.target].signal(signal.SIGKILL)
    for pid in workers:
        _signal(pid, signal.SIGKILL)
    stage.nodes[fault.target].kill()


def _kill_supervisor(stage: Stage, fault: Fault, _later: Later) -> None:
    """End the process that was started, and nothing else: its workers have to see it."""
    stage.orphan(fault.target)
    stage.nodes[fault.target].kill()


def _restart_node(stage: Stage, fault: Fault, _later: Later) -> None:
    stage.start_node(fault.target)


def _all_of_node(number: signal.Signals) -> Deed:
    def deed(stage: Stage, fault: Fault, _later: Later) -> None:
        for pid in stage.processes_of(fault.target):
            _signal(pid, number)

    return deed


def _one_worker(stage: Stage, fault: Fault) -> int | None:
    """The worker that a fault befalls, by chance but the same one for the same fault; ``None`` where none runs."""
    workers = sorted(stage.workers_of(fault.target))
    return random.Random(repr(fault)).choice(workers) if workers else None


def _kill_worker(stage: Stage, fault: Fault, _later: Later) -> None:
    pid = _one_worker(stage, fault)
    if pid is not None:
        _signal(pid, signal.SIGKILL)


def _stop_worker(stage: Stage, fault: Fault, _later: Later) -> None:
    pid = _one_worker(stage, fault)
    if pid is not None:
        _signal(pid, signal.SIGSTOP)


def _kill_actor(stage: Stage, fault: Fault, _later: Later) -> None:
    stage.actors[fault.target].kill()


def _restart_actor(stage: Stage, fault: Fault, _later: Later) -> None:
    stage.start_actor(fault.target)


def _actor(number: signal.Signals) -> Deed:
    def deed(stage: Stage, fault: Fault, _later: Later) -> None:
        stage.actors[fault.target].signal(number)

    return deed


# -- the network ------------------------------------------------------------------------------------------------


def _network(stage: Stage) -> Network:
    assert stage.network is not None
    return stage.network


def _cut(stage: Stage, fault: Fault, _later: Later) -> None:
    _network(stage).hosts[fault.target].cut()


def _mend(stage: Stage, fault: Fault, _later: Later) -> None:
    _network(stage).hosts[fault.target].mend()


def _flap(stage: Stage, fault: Fault, later: Later) -> None:
    host = _network(stage).hosts[fault.target]
    for turn in range(int(fault.for_s / FLAP_S)):
        later(turn * FLAP_S, host.mend if turn % 2 else host.cut)


def _swallow(*, is_on: bool) -> Deed:
    def deed(stage: Stage, fault: Fault, _later: Later) -> None:
        _network(stage).swallow(fault.target, is_on=is_on)

    return deed


def _one_way(*, is_on: bool) -> Deed:
    def deed(stage: Stage, fault: Fault, _later: Later) -> None:
        one, other = fault.target.split(">")
        _network(stage).deafen(one, other, is_on=is_on)

    return deed


def _both_ways(*, is_on: bool) -> Deed:
    def deed(stage: Stage, fault: Fault, _later: Later) -> None:
        one, other = fault.target.split("-")
        _network(stage).deafen(one, other, is_on=is_on)
        _network(stage).deafen(other, one, is_on=is_on)

    return deed


# -- the directory ----------------------------------------------------------------------------------------------


def _kill_server(stage: Stage, fault: Fault, _later: Later) -> None:
    stage.servers.kill(fault.target)


def _revive_server(stage: Stage, fault: Fault, _later: Later) -> None:
    stage.servers.revive(fault.target)


def _asked(ask: Callable[[Servers], bool], tries: int = 20) -> Deed:
    """Have the servers do something; they are asked again while they are busy with their own troubles."""

    def deed(stage: Stage, fault: Fault, later: Later) -> None:
        if ask(stage.servers):
            return
        if not tries:
            raise AssertionError(f"{fault.kind}: no NATS server has done it")
        later(RETRY_S, lambda: _asked(ask, tries - 1)(stage, fault, later))

    return deed


_STOP_NODE = Breaking(_all_of_node(signal.SIGSTOP), _all_of_node(signal.SIGCONT))
_STOP_ACTOR = Breaking(_actor(signal.SIGSTOP), _actor(signal.SIGCONT))
_KILL_ACTOR = Breaking(_kill_actor, _restart_actor, is_dead=True)

KINDS = {
    "kill node": Breaking(_kill_node, _restart_node, is_dead=True),
    "stop node": _STOP_NODE,
    "stop node long": _STOP_NODE,
    "kill supervisor": Breaking(_kill_supervisor, _restart_node, is_dead=True),
    "kill worker": Breaking(_kill_worker, _nothing),
    "stop worker": Breaking(_stop_worker, _all_of_node(signal.SIGCONT)),
    "kill provider": _KILL_ACTOR,
    "stop provider": _STOP_ACTOR,
    "stop provider long": _STOP_ACTOR,
    "kill caller": _KILL_ACTOR,
    "stop caller": _STOP_ACTOR,
    "stop caller long": _STOP_ACTOR,
    "link down": Breaking(_cut, _mend),
    "black hole": Breaking(_swallow(is_on=True), _swallow(is_on=False)),
    "one-way partition": Breaking(_one_way(is_on=True), _one_way(is_on=False)),
    "partition": Breaking(_both_ways(is_on=True), _both_ways(is_on=False)),
    "flapping": Breaking(_flap, _mend),
    "kill NATS": Breaking(_kill_server, _revive_server),
    "move NATS leader": Breaking(_asked(Servers.move_leader), _nothing),
    "wipe bucket": Breaking(_asked(Servers.wipe_bucket), _nothing),
}
"""Each kind of the schedule."""
