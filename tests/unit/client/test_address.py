"""What people write as the address of a node."""

from __future__ import annotations

import pytest

from lambdamesh.client.address import Address, parse_address


@pytest.mark.parametrize(
    ("url", "host", "port", "authority"),
    [
        ("http://localhost:7630", "localhost", 7630, "localhost:7630"),
        ("ws://localhost:7630/", "localhost", 7630, "localhost:7630"),
        ("ws://127.0.0.1:7630/connect", "127.0.0.1", 7630, "127.0.0.1:7630"),
        ("localhost:7630", "localhost", 7630, "localhost:7630"),
        ("pm3", "pm3", 80, "pm3"),
        ("http://[::1]:7630", "::1", 7630, "[::1]:7630"),
    ],
)
def test_plain(url: str, host: str, port: int, authority: str) -> None:
    address = parse_address(url)
    assert (address.host, address.port, address.authority) == (host, port, authority)
    assert address.path is None
    assert not address.is_secure


def test_with_tls() -> None:
    address = parse_address("https://mesh.example.test")
    assert (address.port, address.is_secure, address.authority) == (443, True, "mesh.example.test")
    assert parse_address("wss://mesh.example.test:8443").authority == "mesh.example.test:8443"


@pytest.mark.parametrize("url", ["unix:/run/mesh.sock", "unix:///run/mesh.sock"])
def test_unix(url: str) -> None:
    assert parse_address(url) == Address(url, "localhost", 80, "/run/mesh.sock")
    assert parse_address(url).authority == "localhost"


@pytest.mark.parametrize(
    "url", ["", "ftp://x", "http://", "http://x:99999", "http://x/path", "http://x?y", "unix:relative", "http://a:b@x"]
)
def test_anything_else(url: str) -> None:
    with pytest.raises(ValueError, match=r"address|absolute|Port|password"):
        parse_address(url)
