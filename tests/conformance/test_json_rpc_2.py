"""Golden transcripts of ``json-rpc-2.0``: provider sockets, and ``/connect`` with the lambdas that it opens."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.stage import Stage
from tests.nodes import Node

TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts-2").glob("*.txt"))


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_transcript(node: Node, path: Path) -> None:
    Stage(node).play_all(path)


def test_there_are_transcripts() -> None:
    assert {"provider-meta", "provider-stream", "connect-lambdas"} <= {path.stem for path in TRANSCRIPTS}
