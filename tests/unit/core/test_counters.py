"""The counters and the table that names them."""

from __future__ import annotations

import typing

from lambdamesh.core.counters import COUNTERS, Counters


def test_each_row_is_a_field_that_begins_at_0() -> None:
    names = [name for name, _ in COUNTERS]
    assert names == list(typing.get_type_hints(Counters))
    assert [getattr(Counters(), name) for name in names] == [0] * len(names)


def test_each_row_says_what_is_counted() -> None:
    assert all(meaning.endswith(".") for _, meaning in COUNTERS)
