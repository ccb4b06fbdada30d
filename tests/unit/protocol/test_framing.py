"""Messages that are a stream: what cannot be cut ends the session."""

from __future__ import annotations

import pytest

from lambdamesh.protocol.framing import Framing
from lambdamesh.protocol.session import Bounds, SessionClosed


def test_it_is_idle_between_values_only() -> None:
    framing = Framing(Bounds(100, 8))
    assert framing.is_idle
    assert list(framing.values(b'{}{"a":')) == [b"{}"]
    assert not framing.is_idle
    assert list(framing.values(b"1} ")) == [b'{"a":1}']
    assert framing.is_idle


@pytest.mark.parametrize(("message", "close_code"), [(b"[]", 4400), (b"{}x", 4400), (b'{"a":"' + b"x" * 100, 1009)])
def test_what_cannot_be_cut_closes(message: bytes, close_code: int) -> None:
    with pytest.raises(SessionClosed) as closed:
        list(Framing(Bounds(100, 8)).values(message))
    assert closed.value.close_code == close_code
