"""``/debug/headers``: the request as the node sees it, without what is secret or forged."""

from __future__ import annotations

import pytest

from tests.unit.door.doors import Stage
from tests.unit.door.heads import request_of


def shown(target: str, *lines: tuple[bytes, bytes]) -> list[str]:
    """The lines of the answer."""
    reply = Stage().ask(request_of("GET", target, *lines))
    assert reply.status == 200
    text = reply.body.decode()
    assert text.endswith("\r\n")
    return text.removesuffix("\r\n").split("\r\n")


@pytest.mark.parametrize("name", [b"P-Ip", b"p-internal", b"P-Asn", b"P-Anything", b"X-Ray", b"x-ray"])
def test_what_only_the_node_says_is_not_believed(name: bytes) -> None:
    assert shown("/debug/headers", (name, b"forged")) == shown("/debug/headers")


def test_what_the_node_says_is_there_once() -> None:
    lines = shown("/debug/headers", (b"P-Ip", b"8.8.8.8"), (b"X-Ray", b"forged"))
    assert [line for line in lines if line.startswith(("P-", "X-Ray"))] == [
        "P-Ip: 127.0.0.1",
        "X-Ray: 0057be39815282ea-MYH",
    ]


@pytest.mark.parametrize("name", ["key", "Key", "KEY", "ticket", "Ticket", "token", "Token", "TOKEN"])
def test_secrets_of_the_query_are_blanked_whatever_their_case(name: str) -> None:
    assert shown(f"/debug/headers?{name}=s3cret&a=b")[0] == f"GET /debug/headers?{name}=***&a=b HTTP/1.1"


@pytest.mark.parametrize("name", [b"Token", b"Key", b"Ticket", b"Secret", b"X-Api-Key", b"Cookie", b"X-Auth-User"])
def test_secrets_among_the_headers_are_blanked(name: bytes) -> None:
    lines = shown("/debug/headers", (name, b"s3cret"), (name.lower(), b"s3cret"))
    assert "s3cret" not in "".join(lines)
    assert lines.count(f"{name.decode()}: ***") == 2


@pytest.mark.parametrize("name", [b"Referer", b"referer"])
def test_a_referer_has_no_query(name: bytes) -> None:
    lines = shown("/debug/headers", (name, b"http://pm3/page?key=s3cret"))
    assert "Referer: http://pm3/page" in lines
