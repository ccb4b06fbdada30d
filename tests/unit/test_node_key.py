"""A node key that cannot be read is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lambdamesh.state import StateError, open_state


def test_a_node_key_that_is_a_directory_is_named(tmp_path: Path) -> None:
    state = open_state(tmp_path / "state")
    file = state.path / "node-key"
    file.mkdir()
    with pytest.raises(StateError, match=re.escape(str(file))):
        state.node_key()
    assert file.is_dir()
    state.close()
