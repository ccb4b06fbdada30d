"""Values become JSON text and come back, lone surrogates included."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from lambdamesh.client.values import decode_plain, encode_plain

SURROGATES = st.text(st.characters(categories=["Cs", "Ll"]), max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | SURROGATES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(SURROGATES, inner, max_size=4),
    max_leaves=8,
)


class Point(msgspec.Struct):
    name: str


def utf_16(value: Any) -> Any:
    """Two halves that meet are one character in JSON."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass")
    if isinstance(value, dict):
        return {utf_16(key): utf_16(inner) for key, inner in value.items()}
    return [utf_16(inner) for inner in value] if isinstance(value, list) else value


@given(VALUES)
def test_what_goes_out_comes_back(value: Any) -> None:
    assert utf_16(decode_plain(encode_plain(value))) == utf_16(value)


def test_a_lone_surrogate_is_escaped_wherever_it_is() -> None:
    assert encode_plain([Point("\ud800"), {"\udfff": 1}]) == b'[{"name":"\\ud800"},{"\\udfff":1}]'


@pytest.mark.parametrize("value", [object(), ["\ud800", object()], {(1, 2): 3}, ["\ud800", float("nan")]])
def test_what_is_not_json_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError):
        encode_plain(value)
