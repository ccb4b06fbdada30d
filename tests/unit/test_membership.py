"""What a node says of its mesh."""

from __future__ import annotations

from datetime import datetime

import pytest

from lambdamesh.core.peering import NodeRecord
from lambdamesh.membership import _row


@pytest.mark.parametrize(
    ("heard_s", "shown_s"),
    [(1_711_843_200.25, 1_711_843_200.25), (1e300, 0), (-1e300, 0), (float("nan"), 0), (float("inf"), 0), (0, 0)],
)
def test_a_row_is_shown_whenever_its_node_was_heard(heard_s: float, shown_s: float) -> None:
    row = _row(NodeRecord(machine=7), heard_s, is_alive=True)
    assert datetime.fromisoformat(str(row["heartbeat"])).timestamp() == shown_s
