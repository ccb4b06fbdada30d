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


def _nested(levels: int) -> Any:
    """Lists and objects in one another by turns."""
    value: Any = 1
    for level in range(levels):
        value = [value, "]"] if level % 2 else {"}": value}
    return value


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


_PIECES = [
    '"',
    "\\",
    "\\\\",
    '\\"',
    "}",
    "]",
    "{",
    "[",
    "}]",
    "x" * 200,
    "x" * 17_000,
    "é",
    "\n",
    "{}" * 300,
    '"' * 300,
]

LONG_TEXT = 40_000
long_texts: st.SearchStrategy[str] = st.builds(
    lambda pieces, times: ("".join(pieces) * times)[:LONG_TEXT],
    st.lists(st.sampled_from(_PIECES), max_size=6),
    st.integers(1, 400),
)
"""Strings full of what looks like JSON, often longer than a reader looks at in one go."""
long_objects: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.text(max_size=3),
    long_texts
    | st.lists(long_texts, max_size=4)
    | st.lists(values, max_size=3)
    | st.builds(_nested, st.integers(0, 400)),
    max_size=4,
)
"""Objects of up to a few hundred KiB."""
