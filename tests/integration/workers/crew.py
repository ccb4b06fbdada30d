"""The workers of a node from outside: their processes, connections to each of them, lambdas that each is home to."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tests.events import EventStream
from tests.json_rpc_2 import Client2, Provider2, calling
from tests.lambda_ids import parse
from tests.nodes import Node, until
from tests.providers import Answering, Provider, echo
from tests.wire import Answer, Closing, RawHttp, WireError

_FIELD = 0x1FF
"""The bits of the worker field that name a worker."""
_TRIES = 200
REPLACED_S = 15.0
"""Longest wait for another process in the place of one, on a machine that has much else to do."""

Socket = TypeVar("Socket", bound=Closing)


def home_of(lambda_id: str, workers: int = 2) -> int:
    """Which worker is the home of a lambda."""
    return (parse(lambda_id).field & _FIELD) % workers


def worker_of(answer: Answer) -> int:
    """Which worker has answered: its number is in the ray."""
    ray = answer.header("X-Ray")
    assert ray is not None, answer
    return int(ray[:16], 16) >> 12 & _FIELD


def _until_at(make: Callable[[], Socket], place: Callable[[Socket], int], worker: int) -> Socket:
    """Make sockets until one is where it should be: which worker takes a connection is the system's choice."""
    for _ in range(_TRIES):
        made = make()
        if place(made) == worker:
            return made
        made.close()
    raise AssertionError(f"none of {_TRIES} connections came to worker {worker}")


def entry(node: Node, worker: int) -> RawHttp:
    """A connection that stays open, to this worker."""
    return _until_at(lambda: RawHttp(node.address), lambda http: worker_of(http.ask("GET", "/ping")), worker)


def provider_at(node: Node, worker: int, target: str = "/lambda/new") -> Provider:
    """A lambda of 1.0 that this worker has opened; its calls are answered by hand."""
    return _until_at(lambda: Provider(node.address, target).accept(), lambda one: worker_of(one.ws.handshake), worker)


def provider_2_at(node: Node, worker: int, target: str = "/lambda/new?grace=0") -> Provider2:
    """The same of 2.0, with ``meta``."""
    return _until_at(lambda: Provider2(node, target).accept(), lambda one: worker_of(one.ws.handshake), worker)


def answering_at(node: Node, worker: int) -> Answering:
    """A lambda that this worker has opened, and that answers every call with its body."""
    return _until_at(lambda: Answering(node.address, echo), lambda one: worker_of(one.ws.handshake), worker)


def client_at(node: Node, worker: int) -> Client2:
    """A `/connect` socket at this worker."""
    return _until_at(lambda: Client2(node), lambda one: worker_of(one.ws.handshake), worker)


def moved_to(worker: int, provider: Provider2, keep: tuple[int, ...] = ()) -> Provider2:
    """The same lambda on another socket, at this worker: it moves until it is there."""
    for _ in range(_TRIES):
        before, provider = provider, provider.again(keep)
        assert before.ws.close_code() == 4409
        if worker_of(provider.ws.handshake) == worker:
            return provider
    raise AssertionError(f"none of {_TRIES} re-openings came to worker {worker}")


def served(provider: Provider2) -> Provider2:
    """The same, once its home has said yes to its socket: it has had a call. Before, it is nobody's if its home dies."""
    with calling(provider.node, provider.id) as http:
        provider.answer(provider.call())
        assert http.answer().status == 200
    return provider


def taken_back(node: Node, lambda_id: str) -> Provider:
    """The lambda re-opened without a key: its home has to be there, and to have heard of nobody who holds it."""
    opened: list[Provider] = []

    def is_taken() -> bool:
        try:
            opened.append(Provider(node.address, f"/lambda/new/{lambda_id}").accept())
        except WireError as refusal:
            if "recovering" not in str(refusal):
                raise
        return bool(opened)

    until(is_taken, f"{lambda_id} is taken back", REPLACED_S)
    return opened[0]


def reader_at(node: Node, worker: int) -> EventStream:
    """A reader of this worker's `/events`, which are those of all."""
    return _until_at(lambda: EventStream(node.address), lambda reader: worker_of(reader.head), worker)


def is_running(pid: int) -> bool:
    """Whether a process runs, stopped or not (Linux)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def is_worker(pid: int) -> bool:
    """Whether a process runs a worker's program (Linux)."""
    try:
        return b"lambdamesh.workers" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def children(node: Node) -> list[int]:
    """The processes that a node has started and that have not ended, in that order (Linux)."""
    return [int(pid) for pid in Path(f"/proc/{node.pid}/task/{node.pid}/children").read_text().split()]


class Crew:
    """The processes of the workers of a node that has just started; ``pids`` has that of each, by its number."""

    def __init__(self, node: Node, workers: int = 2) -> None:
        self.node = node
        self.pids = children(node)
        assert len(self.pids) == workers, self.pids

    def signal(self, worker: int, number: signal.Signals) -> None:
        """Send one of them a signal."""
        os.kill(self.pids[worker], number)

    def kill(self, worker: int) -> None:
        """End one of them as a crash would."""
        self.signal(worker, signal.SIGKILL)

    def fresh(self) -> list[int]:
        """Those that have come since, and are workers already: who is stopped before that stops its parent as well."""
        return [pid for pid in children(self.node) if pid not in self.pids and is_worker(pid)]

    def replaced(self, worker: int) -> None:
        """Wait until there is another process in the place of this one, and it answers."""

        def is_new() -> bool:
            fresh = self.fresh()
            if fresh and self.pids[worker] not in children(self.node):
                self.pids[worker] = fresh[0]
                return True
            return False

        until(is_new, f"worker {worker} has another process", REPLACED_S)
        until(lambda: is_whole(self.node), "all workers are there", REPLACED_S)


def is_whole(node: Node) -> bool:
    """Whether all workers are there, as one says that has a link to each of the others."""
    answer = node.fetch("GET", "/readyz")
    return answer.status == 200 and answer.json() == {"status": "ready"}
