"""What a door asks of its siblings: who may come in, which keys are right, who else is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from lambdamesh.core.admission import Admission
from lambdamesh.core.words import MeasuresWords


class Access(Protocol):
    """The rules of one door."""

    def admit(self, fields: Mapping[bytes, bytes]) -> Admission:
        """Judge a head by its fields (lower-case names)."""


class ResumeKeys(Protocol):
    """Mints and checks the keys by which lambdas are re-opened."""

    def mint(self, lambda_id: bytes, now_s: float) -> bytes:
        """Return a key for ``lambda_id``; ``now_s`` is Unix time."""

    def is_right(self, key: bytes, lambda_id: bytes, now_s: float) -> bool:
        """Whether ``key`` re-opens ``lambda_id`` now, in constant time."""


class Peers(Protocol):
    """The nodes of the mesh, for a reader."""

    def listing(self, unix_s: float) -> list[dict[str, object]]:
        """Every node known, this one included."""


class Exposition(Protocol):
    """Writes the metrics."""

    def __call__(self, siblings: Sequence[MeasuresWords]) -> bytes:
        """Return the metrics in Prometheus's text format, those of the other workers of this node included."""
