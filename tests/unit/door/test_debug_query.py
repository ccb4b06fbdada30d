"""``/debug/headers`` shows the request line as it came: nothing in it becomes a line of its own, secrets are blanked."""

from __future__ import annotations

import pytest

from tests.unit.door.doors import Stage
from tests.unit.door.heads import request_of


def shown(target: str, *lines: tuple[bytes, bytes]) -> list[str]:
    """The lines of the answer."""
    reply = Stage().ask(request_of("GET", target, *lines))
    assert reply.status == 200
    return reply.body.decode().removesuffix("\r\n").split("\r\n")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("a=%0d%0aX-Evil:%201", "a=%0d%0aX-Evil:%201"),
        ("%0D%0AX-Evil:%201=a", "%0D%0AX-Evil:%201=a"),
        ("a=1&a=2&b&c=", "a=1&a=2&b&c="),
        ("a=%26key=1", "a=%26key=1"),
        ("key=s3cret&a=%0a&Token=s3cret", "key=***&a=%0a&Token=***"),
        ("%6bey=s3cret&t%4Fken=s3cret", "%6bey=***&t%4Fken=***"),
        ("key=s3cret=s3cret", "key=***"),
        ("", ""),
    ],
)
def test_the_query_is_shown_as_it_came_but_for_secrets(query: str, expected: str) -> None:
    lines = shown(f"/debug/headers?{query}")
    assert lines[0] == f"GET /debug/headers?{expected} HTTP/1.1"
    assert len(lines) == len(shown("/debug/headers"))


@pytest.mark.parametrize("user", ["me", "me:s3cret", ":s3cret", "s3cret%40:s3cret", "me:s3c@ret"])
@pytest.mark.parametrize("rest", ["", "/page", "/page?a=@", "/page?key=s3cret", "/page#key=s3cret"])
def test_a_referer_names_no_user(user: str, rest: str) -> None:
    lines = shown("/debug/headers", (b"Referer", f"https://{user}@pm3:80{rest}".encode()))
    assert f"Referer: https://pm3:80{rest.partition('?')[0].partition('#')[0]}" in lines


def test_a_referer_may_have_an_at_in_its_path() -> None:
    assert "Referer: https://pm3/@page" in shown("/debug/headers", (b"Referer", b"https://pm3/@page"))
