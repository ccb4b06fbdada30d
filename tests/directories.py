"""What tests of directories have in common: nodes that are only told of, and waiting for what a directory hears."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from lambdamesh.core.peering import Directory, NodeRecord

LOOK_S = 0.01


def record(machine: int, instance: str = "", **changes: object) -> NodeRecord:
    """A node that is not there."""
    node = NodeRecord(
        machine=machine,
        instance=instance or f"instance-of-{machine:x}",
        host=f"host-{machine:x}",
        address=f"10.0.0.{machine & 0xFF}:7631",
        version="1.2.3",
    )
    return msgspec.structs.replace(node, **changes)


async def soon(condition: Callable[[], object], what: str, within_s: float = 10.0) -> None:
    """Look at ``condition`` until it is true, for states that no event tells of."""
    ends_at = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < ends_at, f"not within {within_s} s: {what}"
        await asyncio.sleep(LOOK_S)


@dataclass
class Told:
    """Keeps what a directory tells."""

    changes: int = 0
    failures: list[str] = field(default_factory=list)

    def of(self, directory: Directory) -> Told:
        directory.changed = self._changed
        directory.failed = self.failures.append
        return self

    def _changed(self) -> None:
        self.changes += 1


class Probing:
    """A ``Probe`` that knows who answers where; everywhere else nobody does."""

    def __init__(self, **answers: NodeRecord) -> None:
        self.answers: dict[str, NodeRecord] = dict(answers)
        self.asked: list[str] = []

    async def __call__(self, address: str) -> NodeRecord | None:
        self.asked.append(address)
        return self.answers.get(address)
