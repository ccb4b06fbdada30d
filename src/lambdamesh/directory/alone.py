"""The directory of a node that has joined no others: it knows itself, and that there is nobody else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from lambdamesh.core.peering import NodeRecord
from lambdamesh.ids import machine_id_text


class Alone:
    """A mesh of one."""

    def __init__(self, machine: int, host: str, version: str) -> None:
        self.changed: Callable[[], None] = lambda: None
        self.failed: Callable[[str], None] = lambda reason: None
        self._machine = machine
        self._host = host
        self._version = version
        self.address = ""

    async def start(self, me: NodeRecord) -> None:
        """There is nobody to look for."""

    async def stop(self) -> None:
        """There is nobody to say goodbye to."""

    def complete(self) -> bool:
        """There is nobody else to be learned of."""
        return True

    def trouble(self) -> str | None:
        """All is well."""
        return None

    def knows(self, machine: int) -> bool:
        """No other machine is known."""
        return False

    def find(self, machine: int) -> NodeRecord | None:
        """No other machine is known."""
        return None

    def nodes(self) -> tuple[NodeRecord, ...]:
        """There are no others."""
        return ()

    def heard_at(self, machine: int) -> float | None:
        """No other machine is known."""
        return None

    def is_alive(self, machine: int, unix_s: float) -> bool:
        """No other machine is known."""
        return False

    def seeds(self) -> tuple[str, ...]:
        """There is nobody to be linked with."""
        return ()

    def answered(self, seed: str, record: NodeRecord) -> None:
        """There are no seeds that could."""

    def parted(self, machine: int) -> None:
        """There was no link."""

    def learn(self, record: NodeRecord, unix_s: float, *, is_hearsay: bool) -> None:
        """Whoever says hello is in another mesh."""

    def overhear(self, words: Iterable[tuple[NodeRecord, float]]) -> None:
        """Whoever is told of is in another mesh."""

    def listing(self, unix_s: float) -> list[dict[str, object]]:
        """This node."""
        heartbeat = datetime.fromtimestamp(unix_s, UTC).astimezone().isoformat(timespec="milliseconds")
        return [
            {
                "machine_id": machine_id_text(self._machine),
                "host": self._host,
                "address": self.address,
                "version": self._version,
                "heartbeat": heartbeat,
                "alive": True,
                "me": True,
            }
        ]
