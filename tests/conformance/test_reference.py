"""Golden transcripts: JSON-RPC 1.0 byte for byte as the reference shows it, with the caller's side of each exchange."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from tests.conformance.stage import Stage
from tests.lambda_ids import parse
from tests.nodes import Node

TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_transcript(node: Node, path: Path) -> None:
    Stage(node).play_all(path)


def test_the_id_of_the_reference() -> None:
    """Its timestamp is the one that the reference lists for it."""
    shown = parse("rhowRuuCUoE5vlcA")
    assert (shown.machine, shown.uid) == (0x46301AAE, 0x57BE39815282EB)
    assert shown.at_ms == datetime.fromisoformat("2024-03-09T04:38:57.413+01:00").timestamp() * 1000
    assert str(shown) == "rhowRuuCUoE5vlcA"


def test_there_are_transcripts() -> None:
    assert {"reference", "out-of-order", "value-over-frames"} <= {path.stem for path in TRANSCRIPTS}
