"""Each rule about re-opened lambdas is seen to be broken."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.faults.crowds.court import SUPERSEDED, Asked, Seat, judge

GOOD = Asked(1, frozenset((7,)), is_race=False, status=200, serial=7, echoed=1)
LOSS = replace(GOOD, is_race=True, status=502, serial=None, echoed=None, code="lambda_lost", delivered="unknown")
OWNER = Seat(7, has_key=True, executed=[1])
LOSER = Seat(7, has_key=True, code=SUPERSEDED, executed=[1])


REFUSED = replace(GOOD, status=503, serial=None, echoed=None, code="recovering", delivered="no")


@pytest.mark.parametrize(
    ("seats", "call", "is_wrong"),
    [
        ([Seat(7, has_key=True)], REFUSED, False),
        ([OWNER], REFUSED, True),
        ([Seat(7, has_key=True)], replace(REFUSED, delivered="unknown"), True),
        ([Seat(7, has_key=True)], replace(REFUSED, status=0), True),
    ],
)
def test_on_a_machine_that_starves_its_nodes_an_honest_refusal_is_well(
    seats: list[Seat], call: Asked, is_wrong: bool
) -> None:
    assert bool(judge(seats, [call], is_starved=True)) is is_wrong
    assert judge(seats, [call])


def test_what_is_well() -> None:
    assert judge([OWNER], [GOOD]) == []
    assert judge([LOSER], [LOSS]) == []


@pytest.mark.parametrize(
    ("seats", "call", "said"),
    [
        ([OWNER], replace(GOOD, status=0), "no answer"),
        ([OWNER, Seat(8, has_key=True, executed=[1])], GOOD, "executed 2 times"),
        ([Seat(7, has_key=True, executed=[1, 1])], GOOD, "executed 2 times"),
        ([OWNER], replace(GOOD, echoed=2), "belongs to call 2"),
        ([OWNER], replace(GOOD, serial=8), "executed by [7]"),
        ([OWNER], replace(GOOD, rightful=frozenset((8,))), "not its owner"),
        ([Seat(7, has_key=False, executed=[1])], GOOD, "without having shown a key"),
        ([OWNER], replace(GOOD, status=503, code="overloaded", delivered="no"), "503 overloaded"),
        ([LOSER], replace(LOSS, is_race=False), "nobody else wanted"),
        ([OWNER], LOSS, "no socket that was superseded"),
        ([LOSER], replace(LOSS, delivered="no"), "delivered no"),
        ([Seat(7, has_key=True, executed=[1, 9])], GOOD, "call 9 was executed and nobody made it"),
    ],
)
def test_what_is_wrong(seats: list[Seat], call: Asked, said: str) -> None:
    wrong = judge(seats, [call])
    assert any(said in one for one in wrong), wrong
