"""What becomes of addresses that nobody can dial."""

from __future__ import annotations

from typing import Any, cast

import pytest

from lambdamesh.links.connection import Connection
from lambdamesh.links.dialling import Unreachable, dial
from lambdamesh.links.ports import Trust


@pytest.mark.parametrize(
    "address",
    [
        "garbage",
        "",
        "host:port",
        "10.0.0.1:99999",
        "a..b:7631",
        "x" * 64 + ".example:1",
        "127.0.0.1:-1",
        "a\x00b:1",
        ":",
    ],
)
async def test_an_address_that_is_none_is_out_of_reach_like_others(address: str) -> None:
    nobody: Any = None
    with pytest.raises(Unreachable) as raised:
        await dial(address, cast("Connection", nobody), cast("Trust", nobody), 5.0)
    assert address[:8] in raised.value.why or repr(address) in raised.value.why
    assert "mesh door" in raised.value.why or "--peer" in raised.value.why
