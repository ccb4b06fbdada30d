"""What one worker says of the node it says for all: lists, events, metrics, readiness, nodes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.events import EventStream
from tests.integration.workers.conftest import SHARED, StartNode
from tests.integration.workers.crew import children, entry, home_of, provider_2_at, provider_at, reader_at, worker_of
from tests.json_rpc_2 import Client2
from tests.meshes import counters
from tests.nodes import Node, until
from tests.providers import Provider
from tests.wire import RawHttp, refused


@pytest.fixture
def doors(trio: Node) -> Iterator[list[RawHttp]]:
    """A connection to each worker."""
    with ExitStack() as opened:
        yield [opened.enter_context(entry(trio, worker)) for worker in range(SHARED)]


@pytest.fixture
def lambdas(trio: Node) -> Iterator[list[Provider]]:
    """A lambda of each worker."""
    with ExitStack() as opened:
        yield [opened.enter_context(provider_at(trio, worker)) for worker in range(SHARED)]


def test_every_worker_lists_the_lambdas_of_all(doors: list[RawHttp], lambdas: list[Provider]) -> None:
    ids = {provider.id for provider in lambdas}
    lists = [http.ask("GET", "/lambda").json() for http in doors]
    assert all(ids <= listed.keys() for listed in lists)
    assert lists[0] == lists[1] == lists[2]
    assert [http.ask("GET", "/lambda?count").json() for http in doors] == [{"count": len(lists[0])}] * SHARED
    assert [http.ask("GET", "/lambda?scope=mesh").json() for http in doors] == lists


def test_a_limit_holds_for_all_workers_together(doors: list[RawHttp], lambdas: list[Provider]) -> None:
    for http in doors:
        everything = http.ask("GET", "/lambda").json()
        for limit in (0, 1, 2, len(everything)):
            answer = http.ask("GET", f"/lambda?limit={limit}")
            assert len(answer.json()) == limit
            assert answer.json().items() <= everything.items()
            assert answer.header("Lambda-Truncated") == ("true" if limit < len(everything) else None)
            assert answer.header("Lambda-Unreachable") is None


def test_every_worker_shows_a_lambda(doors: list[RawHttp], lambdas: list[Provider]) -> None:
    for provider in lambdas:
        shown = [http.ask("GET", f"/lambda/{provider.id}") for http in doors]
        assert {answer.body for answer in shown} == {shown[0].body}
        assert shown[0].json()["id"] == provider.id
        assert all(http.ask("HEAD", f"/lambda/{provider.id}").status == 200 for http in doors)


@pytest.mark.parametrize("asked", range(SHARED))
def test_any_worker_deletes_for_good(trio: Node, doors: list[RawHttp], asked: int) -> None:
    with provider_2_at(trio, 1) as provider:
        answer = doors[asked].ask("DELETE", f"/lambda/{provider.id}")
        assert (answer.status, answer.json()) == (200, {})
        assert provider.ws.close_code() == 4410
        for http in doors:
            refused(http.ask("POST", f"/lambda/{provider.id}/m", b"1"), 410, "lambda_gone")
            assert http.ask("GET", f"/lambda/{provider.id}").status == 410


def test_ids_of_homes_that_do_not_know_them_are_refused_alike(doors: list[RawHttp], lambdas: list[Provider]) -> None:
    never = [provider.id[:-2] + "AA" for provider in lambdas]
    statuses = {http.ask("GET", f"/lambda/{lambda_id}").status for http in doors for lambda_id in never}
    assert statuses <= {404, 503}
    assert len(statuses) == 1


def test_events_of_all_workers_come_once_to_readers_at_each(trio: Node) -> None:
    with ExitStack() as opened:
        readers = [opened.enter_context(reader_at(trio, worker)) for worker in range(SHARED)]
        ids: list[str] = []
        while {home_of(lambda_id, SHARED) for lambda_id in ids} != set(range(SHARED)):
            with Provider(trio.address) as provider:
                ids.append(provider.accept().id)
        for reader in readers:
            told = [reader.next_event() for _ in range(2 * len(ids))]
            for lambda_id in ids:
                assert [kind for kind, of in told if of["id"] == lambda_id] == ["open", "close"]
        _nothing_more(trio, readers)


def _nothing_more(node: Node, readers: list[EventStream]) -> None:
    """Check that the next event of each reader is that of a lambda that is opened only now."""
    with Provider(node.address) as last:
        last.accept()
        for reader in readers:
            kind, told = reader.next_event()
            assert (kind, told["id"]) == ("open", last.id)


def test_a_takeover_within_the_node_is_an_opening_and_no_close(trio: Node) -> None:
    with ExitStack() as opened:
        readers = [opened.enter_context(reader_at(trio, worker)) for worker in range(SHARED)]
        first = opened.enter_context(provider_2_at(trio, 0))
        lambda_id = first.id
        for reader in readers:
            assert _of(reader, lambda_id) == ("open", False)
        moves = 0
        for target in (1, 2, 0):
            again = opened.enter_context(first.again())
            moves += 1
            while worker_of(again.ws.handshake) != target:
                again = opened.enter_context(again.again())
                moves += 1
            first = again
        first.ws.send_close(1000)
        for reader in readers:
            told = [_of(reader, lambda_id) for _ in range(moves + 1)]
            assert told == [("open", True)] * moves + [("close", "closed")]
        _nothing_more(trio, readers)


def _of(reader: EventStream, lambda_id: str) -> tuple[str, object]:
    kind, told = reader.of(lambda_id)
    return kind, told["reopened"] if kind == "open" else told["reason"]


def test_metrics_are_the_sums_of_all_workers(trio: Node, lambdas: list[Provider], doors: list[RawHttp]) -> None:
    def of_each(name: str) -> list[float]:
        texts = [http.ask("GET", "/metrics").body.decode().splitlines() for http in doors]
        return [float(line.rpartition(" ")[2]) for lines in texts for line in lines if line.startswith(f"{name} ")]

    assert of_each("lambdamesh_workers") == [SHARED] * SHARED
    assert of_each("lambdamesh_ready") == [1] * SHARED
    count = doors[0].ask("GET", "/lambda?count").json()["count"]
    assert of_each("lambdamesh_lambdas") == [count] * SHARED
    before = of_each("lambdamesh_lambdas_opened_total")
    with provider_at(trio, 1), provider_at(trio, 2):
        assert all(after >= before[0] + 2 for after in of_each("lambdamesh_lambdas_opened_total"))
    told_before = of_each("lambdamesh_notifications_total")[0]
    for provider in lambdas:
        for http in doors:
            assert http.ask("POST", f"/lambda/{provider.id}/m", b"1", [("Prefer", "respond-async")]).status == 202
    assert all(told >= told_before + SHARED**2 for told in of_each("lambdamesh_notifications_total"))
    own_files = [len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in children(trio)]
    assert all(files > max(own_files) for files in of_each("process_open_fds"))


def test_the_node_is_one_row_with_the_lambdas_of_all(doors: list[RawHttp], lambdas: list[Provider]) -> None:
    count = doors[0].ask("GET", "/lambda?count").json()["count"]

    def told() -> bool:
        rows = [http.ask("GET", "/peers").json() for http in doors]
        assert all(len(row) == 1 and row[0]["me"] is True for row in rows)
        assert len({row[0]["machine_id"] for row in rows}) == 1
        return [row[0]["lambdas"] for row in rows] == [count] * SHARED

    until(told, "each has heard of the lambdas of the others", 20.0)
    assert [http.ask("GET", "/readyz").json() for http in doors] == [{"status": "ready"}] * SHARED


def test_many_lambdas_are_truncated_and_counted(start_node: StartNode) -> None:
    own = start_node(workers=2)
    with ExitStack() as opened:
        clients = [opened.enter_context(Client2(own)) for _ in range(8)]
        for client in clients:
            numbers = [client.ask("lambda.open", {"grace_s": 0}) for _ in range(50)]
            assert all("result" in client.next() for _ in numbers)
        assert own.fetch("GET", "/lambda?count").json() == {"count": 400}
        for worker in range(2):
            with entry(own, worker) as http:
                assert len(http.ask("GET", "/lambda").json()) == 400
                some = http.ask("GET", "/lambda?limit=399")
                assert (len(some.json()), some.header("Lambda-Truncated")) == (399, "true")
        assert counters(own)["lambdas"] == 400
    until(lambda: own.fetch("GET", "/lambda?count").json() == {"count": 0}, "all have gone", 20.0)
