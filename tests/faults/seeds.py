"""Where the chance of a run comes from."""

from __future__ import annotations

import os
import secrets


def seed_of_run() -> int:
    """The seed that ``LAMBDAMESH_FAULTS_SEED`` names, else one of chance."""
    return int(os.environ.get("LAMBDAMESH_FAULTS_SEED") or secrets.randbelow(1_000_000))
