"""Nodes of this version and of the last one in one mesh, which is also what a rolling upgrade goes through.

A node of the last version gives its callers no notice before it closes, so that their calls take long enough here for
them to hear that it drains.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.faults.restarts.rolling import NODES, Size, roll, trio_in
from tests.nodes import ROOT

LAST_VERSION = "31330fb"
SIZE = Size(work_s=0.5)


@pytest.fixture(scope="module")
def last(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source tree of the last version, from the history of this repository."""
    git = shutil.which("git")
    if git is None:
        pytest.skip("git is not installed: the last version cannot be had from the history")
    folder = tmp_path_factory.mktemp("last")
    archive = folder / "last.tar"
    took = subprocess.run(
        [git, "-C", str(ROOT), "archive", "-o", str(archive), LAST_VERSION, "src"], capture_output=True, check=False
    )
    if took.returncode != 0:
        pytest.skip(f"the last version, {LAST_VERSION}, is not in this copy's history: {took.stderr.decode().strip()}")
    shutil.unpack_archive(archive, folder, filter="data")
    return folder / "src"


@pytest.mark.parametrize(
    ("old_ones", "directory"), [({0, 1}, "peers"), ({1}, "nats")], ids=["two-old-one-new", "one-old-two-new"]
)
def test_no_call_fails_in_a_mixed_mesh(tmp_path: Path, last: Path, old_ones: set[int], directory: str) -> None:
    sources = [last if number in old_ones else None for number in range(NODES)]
    with trio_in(tmp_path, by_nats=directory == "nats", sources=sources) as trio:
        began_at = time.monotonic()
        account = roll(trio, tmp_path, SIZE)
        print(f"{account.calls} calls in {time.monotonic() - began_at:.1f} s, the slowest {account.slowest_s:.2f} s")
        account.check(least_calls=SIZE.rate)
        assert not any(node.complaints() for node in trio.nodes)


def test_no_call_fails_in_a_rolling_upgrade(tmp_path: Path, last: Path) -> None:
    with trio_in(tmp_path, by_nats=False, sources=[last] * NODES) as trio:
        trio.sources = [None] * NODES
        account = roll(trio, tmp_path, SIZE)
        account.check(least_calls=SIZE.rate)
        assert not any(node.complaints() for node in trio.nodes)
