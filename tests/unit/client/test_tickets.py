"""When a ticket ends, and when a new one is due."""

from __future__ import annotations

import pytest

from lambdamesh.client.tickets import clean_credential, expires_at, renew_in_s


@pytest.mark.parametrize(
    ("ticket", "exp"),
    [
        ("e30.eyJleHAiOjE3MDAwMDAwMDB9.x", 1_700_000_000.0),
        ("e30.e30.x", None),
        ("e30.%%%.x", None),
        ("opaque", None),
        ("", None),
        ("e30.eyJleHAiOiJzb29uIn0.x", None),
    ],
)
def test_expiry(ticket: str, exp: float | None) -> None:
    assert expires_at(ticket) == exp


def test_renewal_comes_before_the_end() -> None:
    assert renew_in_s(3600.0, 0.0) == 3540.0
    assert renew_in_s(100.0, 0.0) == 90.0
    assert renew_in_s(0.5, 0.0) == 1.0
    assert renew_in_s(0.0, 100.0) == 1.0


def test_white_space_around_a_credential_is_cut_off() -> None:
    assert clean_credential(" abc.DEF-_~/+=\n", "the token") == "abc.DEF-_~/+="


@pytest.mark.parametrize(
    "text", ["", " ", "secret, b", "secret b", "secret\r\nHost: x", "secret\x7f", "secr\u00e9t", "a,b"]
)
def test_what_cannot_stand_in_a_header_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^the token is not made of visible ASCII") as raised:
        clean_credential(text, "the token")
    assert "secr" not in str(raised.value)
