"""What a node says of its mesh."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from lambdamesh.core.peering import NodeRecord
from lambdamesh.membership import _lambdas_of, _row


@pytest.mark.parametrize(
    ("heard_s", "shown_s"),
    [(1_711_843_200.25, 1_711_843_200.25), (1e300, 0), (-1e300, 0), (float("nan"), 0), (float("inf"), 0), (0, 0)],
)
def test_a_row_is_shown_whenever_its_node_was_heard(heard_s: float, shown_s: float) -> None:
    row = _row(NodeRecord(machine=7), heard_s, is_alive=True)
    assert datetime.fromisoformat(str(row["heartbeat"])).timestamp() == shown_s


@pytest.mark.parametrize(
    ("said", "workers", "lambdas"),
    [([7], 1, 7), ([3, 4], 2, 7), ([3], 2, None), ([3, None], 2, None), ([None], 1, None), ([], 1, None)],
)
def test_a_node_holds_what_all_of_its_workers_hold(said: list[int | None], workers: int, lambdas: int | None) -> None:
    """What some of them hold is not shown as what the node does."""
    peers: list[Any] = [SimpleNamespace(best=SimpleNamespace(peer_lambdas=count)) for count in said]
    peers.append(SimpleNamespace(best=None))
    assert _lambdas_of(peers, workers) == lambdas
