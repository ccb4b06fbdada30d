"""What a node holds at a moment, by the system's word and by its own."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from tests.faults.crowds.sockets import Caller
from tests.nodes import Node

COUNTED = (
    "lambdas", "waiting_lambdas", "calls_in_flight", "connections", "websockets", "buffered_bytes", "link_calls",
    "link_waiting_bytes", "tasks",
)  # fmt: skip
"""The gauges that have to come back to where they were."""
BLOCK = "loop_block_seconds"


@dataclass(frozen=True)
class Look:
    """``gauges`` has those of ``COUNTED`` and ``BLOCK``. ``ping_s``: how long the answer took."""

    at: float
    memory_kib: int
    descriptors: int
    gauges: dict[str, float]
    ping_s: float

    @property
    def counts(self) -> dict[str, float]:
        """All that has to come back to where it was, by name."""
        return {"descriptors": self.descriptors} | {name: self.gauges[name] for name in COUNTED}


class Watch:
    """Looks at one node, over one connection that it keeps."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.looks: list[Look] = []
        self._caller: Caller | None = None

    async def look(self) -> Look:
        """Look now."""
        if self._caller is None:
            self._caller = await Caller.connect((self.node.host, self.node.port))
        began_at = time.monotonic()
        await self._caller.ask("GET", "/ping")
        ping_s = time.monotonic() - began_at
        _, raw = await self._caller.ask("GET", "/metrics")
        pids = processes(self.node.pid)
        look = Look(
            at=time.monotonic(),
            memory_kib=sum(map(memory_kib, pids)),
            descriptors=sum(map(descriptors, pids)),
            gauges=gauges(raw.decode()),
            ping_s=ping_s,
        )
        self.looks.append(look)
        return look

    def close(self) -> None:
        """Look no more."""
        if self._caller is not None:
            self._caller.close()


def gauges(text: str) -> dict[str, float]:
    """The values of those metrics that are looked at. Raises: KeyError where one of them is not told."""
    pairs = (line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("lambdamesh_"))
    found = {name.removeprefix("lambdamesh_"): float(value) for name, value in pairs}
    return {name: found[name] for name in (*COUNTED, BLOCK)}


def processes(pid: int) -> list[int]:
    """A process and all that it has started (Linux)."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in processes(int(child)))]


def memory_kib(pid: int) -> int:
    """What a process holds in memory that it shares with no file."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return int(fields["RssAnon"].split()[0])


def descriptors(pid: int) -> int:
    """How many a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
