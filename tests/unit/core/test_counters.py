"""The counters and the table that names them."""

from __future__ import annotations

import typing

from lambdamesh.core.counters import COUNTERS, Counters


def test_each_row_is_a_field_that_begins_at_0() -> None:
    names = [name for name, _ in COUNTERS]
    assert names == list(typing.get_type_hints(Counters))
    assert [getattr(Counters(), name) for name in names] == [0] * len(names)


def test_they_go_on_from_where_others_were() -> None:
    counters = Counters({"calls": 5, "unheard_of": 7})
    assert (counters.calls, counters.requests) == (5, 0)


def test_each_row_says_what_is_counted() -> None:
    assert all(meaning.endswith(".") for _, meaning in COUNTERS)
