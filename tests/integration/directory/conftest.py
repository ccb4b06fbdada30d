"""Real NATS servers, and directories that use them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nats
import nats.js
import pytest
import pytest_asyncio

from lambdamesh.core.peering import NodeRecord, Probe
from lambdamesh.directory.nats import Nats
from lambdamesh.directory.nats_access import NatsAccess
from lambdamesh.directory.pace import Pace
from tests.directories import Probing, Told, record, soon
from tests.nats_servers import NatsProcess

FAST = Pace(
    heartbeat_s=0.3, dead_after_s=1.5, idle_s=0.1, ask_s=2.0, retry_s=0.1, first_pause_s=0.02, longest_pause_s=0.2
)


@dataclass
class Joined:
    """A node that is only a directory."""

    me: NodeRecord
    directory: Nats
    told: Told
    probing: Probing

    async def complete(self) -> Joined:
        await soon(self.directory.complete, f"the list, and no trouble: {self.directory.trouble()}")
        return self

    def sees(self, other: Joined) -> bool:
        """Whether it has another as it is, and alive."""
        machine = other.me.machine
        return self.directory.find(machine) == other.me and self.directory.is_alive(machine, 0)

    async def troubled(self, part: str, within_s: float = 10.0) -> str:
        """Wait for trouble that says ``part``."""
        try:
            await soon(lambda: part in (self.directory.trouble() or ""), part, within_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; but: {self.directory.trouble()}") from None
        return self.directory.trouble() or ""

    async def crash(self) -> None:
        """End without a word."""
        task = self.directory._task
        self.directory._task = None
        assert task is not None
        while not task.done():
            task.cancel()
            await asyncio.wait((task,), timeout=0.1)


@pytest.fixture
def start_nats(tmp_path: Path) -> Iterator[Callable[..., NatsProcess]]:
    servers: list[NatsProcess] = []

    def start(config: str = "", *, is_started: bool = True, **how: Any) -> NatsProcess:
        server = NatsProcess(tmp_path / f"nats{len(servers)}", config, **how)
        servers.append(server)
        return server.start() if is_started else server

    yield start
    for server in servers:
        server.kill()


@pytest.fixture
def server(start_nats: Callable[..., NatsProcess]) -> NatsProcess:
    """A server that lets everybody in."""
    return start_nats()


@pytest_asyncio.fixture
async def join() -> AsyncIterator[Callable[..., Any]]:
    """Start one more directory: ``await join(url, machine)``. Its node is complete when this returns, unless told not."""
    joined: list[Joined] = []

    async def start(
        access: str | NatsAccess,
        machine: int = 1,
        instance: str = "",
        *,
        is_awaited: bool = True,
        pace: Pace = FAST,
        started_at: float = 0.0,
        address: str = "",
        probe: Probe | None = None,
        **how: Any,
    ) -> Joined:
        probing = Probing()
        directory = Nats(NatsAccess(access) if isinstance(access, str) else access, probe or probing, pace=pace, **how)
        me = record(machine, instance, started_at=started_at, **({"address": address} if address else {}))
        node = Joined(me, directory, Told().of(directory), probing)
        joined.append(node)
        await directory.start(node.me)
        return await node.complete() if is_awaited else node

    yield start
    await asyncio.gather(*(node.directory.stop() for node in joined))


@pytest_asyncio.fixture
async def jetstream(server: NatsProcess) -> AsyncIterator[nats.js.JetStreamContext]:
    """The operator's own client."""
    client = await nats.connect(server.url)
    yield client.jetstream()
    await client.close()


@pytest.fixture(autouse=True)
def no_stray_errors(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Neither the library nor the loop may write a traceback of its own."""
    yield
    assert [entry.getMessage() for entry in caplog.records if entry.levelname in ("ERROR", "CRITICAL")] == []


@pytest.fixture(autouse=True)
def logs_as_ever(plain_log: None) -> None:
    """A node in this process may have made the logs quiet."""
