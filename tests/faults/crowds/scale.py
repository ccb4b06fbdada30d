"""How large a run is: short among the other tests, full where ``LAMBDAMESH_FAULTS=full`` says so; and its chance."""

from __future__ import annotations

import os
import secrets
from typing import TypeVar

Size = TypeVar("Size", int, float)

IS_FULL = os.environ.get("LAMBDAMESH_FAULTS") == "full"


WORKERS = int(os.environ.get("LAMBDAMESH_FAULTS_WORKERS", "1"))
"""How many workers each node has."""


def scaled(short: Size, full: Size) -> Size:
    """The size of this run."""
    return full if IS_FULL else short


def chosen_seed() -> int:
    """The seed of this run, printed: that of ``LAMBDAMESH_FAULTS_SEED``, else a new one."""
    seed = int(os.environ.get("LAMBDAMESH_FAULTS_SEED") or secrets.randbelow(1 << 31))
    print(f"seed {seed} (LAMBDAMESH_FAULTS_SEED={seed} repeats its choices)")
    return seed


def node_settings() -> dict[str, object]:
    """What all nodes of the suite are started with."""
    return {} if WORKERS == 1 else {"workers": WORKERS}
