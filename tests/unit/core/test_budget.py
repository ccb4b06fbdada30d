"""A bound that many share."""

from __future__ import annotations

from lambdamesh.core.budget import Budget


def test_what_is_taken_is_bounded_and_comes_back() -> None:
    budget = Budget(10)
    assert budget.reserve(6)
    assert not budget.reserve(5)
    assert budget.used_bytes == 6
    assert budget.reserve(4)
    budget.release(6)
    assert budget.used_bytes == 4
    assert budget.reserve(6)
