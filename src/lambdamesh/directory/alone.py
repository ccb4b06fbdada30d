"""The directory of a node that has joined no others: it knows itself, and that there is nobody else."""

from __future__ import annotations

from datetime import UTC, datetime

from lambdamesh.ids import machine_id_text


class Alone:
    """A mesh of one."""

    def __init__(self, machine: int, host: str, version: str) -> None:
        self._machine = machine
        self._host = host
        self._version = version
        self.address = ""

    def complete(self) -> bool:
        """There is nobody else to be learned of."""
        return True

    def knows(self, machine: int) -> bool:
        """No other machine is known."""
        return False

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
