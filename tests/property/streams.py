"""Streams, and every way of cutting them into pieces."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import strategies as st


def cut(stream: bytes, cuts: list[int]) -> list[bytes]:
    """Cut ``stream`` at positions that may lie anywhere."""
    at = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    return [stream[begin:end] for begin, end in itertools.pairwise(at)]


cuts: st.SearchStrategy[list[int]] = st.lists(st.integers(0, 1 << 16), max_size=12) | st.builds(
    list, st.just(range(4000))
)
"""Where to cut: in a few places, or behind every byte."""


scalars: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=8)
    | st.sampled_from(["\\ud800", '"', "\\", "}]{[", "\ue0000\ue001", "\x7f"])
)
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
"""Whatever JSON can say."""
