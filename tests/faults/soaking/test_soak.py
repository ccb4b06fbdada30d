"""A short soak: all is given back, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from tests.faults.crowds.scale import node_settings
from tests.faults.soak import run
from tests.faults.soaking.load import WAYS
from tests.faults.soaking.soak import Plan

SECONDS = 12.0


def test_all_is_given_back(tmp_path: Path) -> None:
    report = run(Plan(SECONDS), tmp_path, Console(width=160), **node_settings())
    assert not report.verdict
    assert all(report.done[way] for way in WAYS)
    assert report.done["calls"] > SECONDS * 300
