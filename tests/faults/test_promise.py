"""The promise: every accepted call ends in exactly one answer that says whether it was delivered, whatever is killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.run import report, run
from tests.faults.seeds import seed_of_run
from tests.faults.stage import StageSpec

CALLS = 100_000
"""The long run, `python -m tests.faults --calls 1000000`, makes ten times as many."""
WORKERS = 2
"""Processes of each node, so that one of them can die alone."""


@pytest.mark.timeout(400)
def test_every_call_is_answered_once_whatever_dies(tmp_path: Path) -> None:
    spec = StageSpec(seed_of_run(), WORKERS)
    print(f"seed {spec.seed}: LAMBDAMESH_FAULTS_SEED={spec.seed} repeats this")
    outcome = run(tmp_path, spec, CALLS, lambda *_: None)
    print(report(outcome, spec))
    assert outcome.is_kept
