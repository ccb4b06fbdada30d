"""Messages that are a stream: what cannot be cut ends the session."""

from __future__ import annotations

import pytest

from lambdamesh.protocol.framing import Framing
from lambdamesh.protocol.session import Bounds, SessionClosed


def test_it_is_idle_between_values_only() -> None:
    framing = Framing(Bounds(100, 8))
    assert framing.scanner is None
    assert list(framing.values(b'{}{"a":')) == [b"{}"]
    assert framing.scanner is not None
    assert list(framing.values(b"1} ")) == [b'{"a":1}']
    assert framing.scanner is None


@pytest.mark.parametrize(("message", "close_code"), [(b"[]", 4400), (b"{}x", 4400), (b'{"a":"' + b"x" * 100, 1009)])
def test_what_cannot_be_cut_closes(message: bytes, close_code: int) -> None:
    with pytest.raises(SessionClosed) as closed:
        list(Framing(Bounds(100, 8)).values(message))
    assert closed.value.close_code == close_code


@pytest.mark.parametrize("space", [b"", b" \n"])
def test_a_message_holds_so_many_values(space: bytes) -> None:
    framing = Framing(Bounds(100, 3))
    assert list(framing.values(space.join([b"{}"] * 3))) == [b"{}"] * 3
    found = framing.values(space.join([b"{}"] * 4))
    assert [next(found) for _ in range(3)] == [b"{}"] * 3
    with pytest.raises(SessionClosed) as closed:
        next(found)
    assert closed.value.close_code == 1009


def test_values_are_counted_by_the_message_that_completes_them() -> None:
    framing = Framing(Bounds(100, 2))
    assert [len(list(framing.values(message))) for message in [b'{}{"a":1', *[b'}{}{"a":1'] * 5, b"}"]] == [
        1,
        *[2] * 5,
        1,
    ]
