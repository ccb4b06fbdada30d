"""What stands before TLS."""

from __future__ import annotations

import pytest

from lambdamesh.core.places import WORKERS_MOST
from lambdamesh.links.preamble import PREAMBLE_BYTES, is_begun, preamble, read_preamble

HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00"
"""How TLS begins."""


@pytest.mark.parametrize("worker", range(WORKERS_MOST))
def test_who_is_wanted_is_read_as_it_was_written(worker: int) -> None:
    text = preamble(worker)
    assert len(text) == PREAMBLE_BYTES
    assert read_preamble(text) == worker
    assert not is_begun(text)


def test_a_part_of_it_may_yet_become_one() -> None:
    text = preamble(3)
    for size in range(PREAMBLE_BYTES):
        assert is_begun(text[:size])
        assert read_preamble(text[:size]) is None


@pytest.mark.parametrize("text", [HELLO, HELLO[:1], b"GET / HTTP/1", b"lambdameshes", b"Lambdamesh\0\0", b"l\0"])
def test_anything_else_is_none(text: bytes) -> None:
    assert not is_begun(text[:PREAMBLE_BYTES])
    assert read_preamble(text[:PREAMBLE_BYTES]) is None
