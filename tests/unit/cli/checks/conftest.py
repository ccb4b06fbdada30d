"""Surroundings for the checks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lambdamesh.cli.checks.surroundings import Surroundings
from lambdamesh.settings import Settings

NOW_S = 1_800_000_000.0

Around = Callable[..., Surroundings]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory as a node leaves it that has ended."""
    path = tmp_path / "state"
    path.mkdir(0o700)
    for name, content in (("lock", b"99999999\n"), ("machine-id", b"46301aae\n"), ("node-key", bytes(32))):
        (path / name).touch(0o600)
        (path / name).write_bytes(content)
    return path


@pytest.fixture
def around(state: Path) -> Around:
    """Make surroundings: ``around(machine_id="00000007")`` with settings, ``around(url=...)`` with the rest."""

    def make(**given: Any) -> Surroundings:
        own = {key: given.pop(key) for key in ("sources", "state", "url", "token") if key in given}
        return Surroundings(
            settings=Settings(**given),
            sources=own.get("sources", {}),
            state=own.get("state", state),
            url=own.get("url"),
            token=own.get("token"),
            unix_s=lambda: NOW_S,
        )

    return make
