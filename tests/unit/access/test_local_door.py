"""The rules of the local door, as a table: a head, and what is made of it."""

from __future__ import annotations

import pytest
import structlog

from lambdamesh.access.local_door import LocalDoor
from lambdamesh.core.admission import Admission
from lambdamesh.errors import Forbidden, Unauthorized

PLAIN = LocalDoor()
ALLOWING = LocalDoor(("Node.Example", "box:8080"), ("https://App.example/", "http://other.example:8080"))
DEV = LocalDoor(is_dev=True)
TOKEN = LocalDoor(token=b"s3cret")
HOST = "localhost:7630"


def admit(door: LocalDoor, host: str | None = HOST, **fields: str) -> Admission:
    """Judge a head; underscores in names are hyphens."""
    head = {name.replace("_", "-").encode(): value.encode("latin-1") for name, value in fields.items()}
    if host is not None:
        head[b"host"] = host.encode("latin-1")
    return door.admit(head)


def verdict(admission: Admission) -> str:
    """What is made of a request on most paths: ``own``, ``foreign`` or the word of the refusal."""
    if admission.refusal is not None:
        return admission.refusal.code
    return "own" if admission.is_own else "foreign"


# -- Host -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "pm3",
        "pm3:80",
        "PM3",
        "a.pm3",
        "a.b.pm3:7630",
        "localhost",
        "LocalHost:7630",
        "127.0.0.1",
        "127.0.0.1:7630",
        "127.8.9.10",
        "[::1]",
        "[::1]:7630",
        "[0:0:0:0:0:0:0:1]:1",
    ],
)
def test_names_of_this_machine(host: str) -> None:
    assert verdict(admit(PLAIN, host)) == "own"


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        ":7630",
        "example.com",
        "pm3.example.com",
        "evilpm3",
        "localhost.example.com",
        "0.0.0.0",
        "10.0.0.1",
        "[::2]",
        "::1",
        "[::1",
        "localhost:",
        "localhost:x",
        "localhost:123456",
        "localhost, pm3",
        "localhost/",
        "a b",
        "127.0.0.1.example.com",
        "127.1",
        "2130706433",
        "node.example",
        "user@localhost",
        "localhöst",
    ],
)
def test_other_names_are_refused(host: str | None) -> None:
    admission = admit(PLAIN, host)
    assert isinstance(admission.refusal, Forbidden)
    assert "--allow-host" in admission.refusal.message
    assert not admission.is_own
    assert not admission.spared


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("node.example", "own"),
        ("NODE.example:7630", "own"),
        ("box:8080", "own"),
        ("box:8081", "forbidden"),
        ("a.node.example", "forbidden"),
        ("localhost", "own"),
    ],
)
def test_allow_host_adds_names(host: str, expected: str) -> None:
    assert verdict(admit(ALLOWING, host)) == expected


# -- Origin -----------------------------------------------------------------------------------------------------

STANDING = ["http://pm3", "http://localhost", "http://127.0.0.1", "http://[::1]"]
LOOPBACK_PORTS = ["http://localhost:5173", "https://localhost:3000", "http://127.0.0.1:8000", "http://[::1]:8000"]
STRANGERS = [
    "",
    "null",
    "http://example.com",
    "https://pm3",
    "http://pm3:8080",
    "http://sub.pm3",
    "http://localhost.example.com",
    "http://localhost:5173/",
    "http://localhost:5173, http://localhost",
    "http://localhost@example.com",
    "http://user@localhost",
    "file://",
    "chrome-extension://abcdef",
    "localhost",
    "http://",
    "http://[::2]",
    "http://10.0.0.1",
    "http://localhost:7630\xff",
]

ORIGINS = [
    *((PLAIN, f"http://{host}", host, "own") for host in ("localhost:7630", "pm3", "127.0.0.1:7630", "[::1]:7630")),
    (PLAIN, "HTTP://LOCALHOST:7630", "localhost:7630", "own"),
    (PLAIN, "https://localhost:7630", "localhost:7630", "forbidden"),
    (PLAIN, "http://localhost:7630", "127.0.0.1:7630", "forbidden"),
    *((PLAIN, origin, HOST, "foreign") for origin in STANDING),
    *((PLAIN, origin, HOST, "forbidden") for origin in (*LOOPBACK_PORTS, *STRANGERS)),
    *((DEV, origin, HOST, "foreign") for origin in (*STANDING, *LOOPBACK_PORTS)),
    (DEV, "http://localhost:7630", HOST, "own"),
    *((DEV, origin, HOST, "forbidden") for origin in STRANGERS if origin != "https://pm3"),
    (ALLOWING, "https://app.example", HOST, "foreign"),
    (ALLOWING, "HTTPS://APP.EXAMPLE", HOST, "foreign"),
    (ALLOWING, "http://app.example", HOST, "forbidden"),
    (ALLOWING, "https://app.example:443", HOST, "forbidden"),
    (ALLOWING, "http://other.example:8080", HOST, "foreign"),
    (ALLOWING, "http://other.example", HOST, "forbidden"),
    (ALLOWING, "http://node.example", "node.example", "own"),
]


@pytest.mark.parametrize(("door", "origin", "host", "expected"), ORIGINS)
def test_origins(door: LocalDoor, origin: str, host: str, expected: str) -> None:
    assert verdict(admit(door, host, origin=origin)) == expected


@pytest.mark.parametrize("origin", ["http://localhost", "http://localhost:7630", "HTTP://PM3"])
def test_answers_to_an_allowed_page_say_so(origin: str) -> None:
    admission = admit(PLAIN, origin=origin)
    assert admission.origin == origin.encode()
    assert dict(line.split(b": ", 1) for line in admission.cors.splitlines()) == {
        b"Access-Control-Allow-Origin": origin.encode(),
        b"Access-Control-Expose-Headers": b"X-Ray, Retry-After",
        b"Vary": b"Origin",
    }
    assert admission.cors.endswith(b"\r\n")


@pytest.mark.parametrize(
    "admission", [admit(PLAIN), admit(PLAIN, origin="null"), admit(PLAIN, "evil", origin="http://pm3")]
)
def test_nobody_else_is_told(admission: Admission) -> None:
    assert admission.cors == b""


def test_a_refused_origin_is_logged_once_with_the_flag_that_would_allow_it() -> None:
    door = LocalDoor()
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            admit(door, origin="http://one.example")
        admit(door, origin="http://two.example")
        admit(door, origin="http://localhost")
    assert [entry["allow_with"] for entry in logs] == [
        "--allow-origin http://one.example",
        "--allow-origin http://two.example",
    ]


def test_the_log_of_refused_origins_is_bounded() -> None:
    door = LocalDoor()
    with structlog.testing.capture_logs() as logs:
        for number in range(1000):
            admit(door, origin=f"http://{number}.example")
    assert len(logs) <= 100


# -- Sec-Fetch-Site ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("site", "expected"),
    [
        ("same-origin", "own"),
        ("none", "own"),
        ("same-site", "forbidden"),
        ("cross-site", "forbidden"),
        ("x", "forbidden"),
    ],
)
def test_without_an_origin_the_site_counts(site: str, expected: str) -> None:
    assert verdict(admit(PLAIN, sec_fetch_site=site)) == expected


@pytest.mark.parametrize("site", ["same-site", "cross-site"])
@pytest.mark.parametrize(("origin", "expected"), [("http://localhost:7630", "own"), ("http://pm3", "foreign")])
def test_an_origin_alone_decides(site: str, origin: str, expected: str) -> None:
    assert verdict(admit(PLAIN, origin=origin, sec_fetch_site=site)) == expected


@pytest.mark.parametrize(("mode", "spared"), [("navigate", {b"/"}), ("cors", set()), ("no-cors", set())])
def test_a_link_to_the_front_page_may_be_followed(mode: str, spared: set[bytes]) -> None:
    admission = admit(PLAIN, sec_fetch_site="cross-site", sec_fetch_mode=mode)
    assert isinstance(admission.refusal, Forbidden)
    assert admission.spared == spared


# -- proxies ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["forwarded", "x_forwarded_for", "x_real_ip", "via", "cf_connecting_ip"])
def test_what_came_through_a_proxy_is_refused(name: str) -> None:
    admission = admit(PLAIN, **{name: "1.2.3.4"})
    assert isinstance(admission.refusal, Forbidden)
    assert "public door" in admission.refusal.message
    assert not admission.spared
    assert verdict(admit(LocalDoor(is_behind_proxy=True), **{name: "1.2.3.4"})) == "own"


@pytest.mark.parametrize("host", ["example.com", None])
def test_a_proxy_that_is_allowed_does_not_lift_the_other_rules(host: str | None) -> None:
    assert verdict(admit(LocalDoor(is_behind_proxy=True), host, via="1.1 x")) == "forbidden"


# -- token ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"authorization": "Bearer s3cret"}, "own"),
        ({"authorization": "bearer  s3cret "}, "own"),
        ({"authorization": "Bearer s3cret2"}, "unauthorized"),
        ({"authorization": "Bearer s3cre"}, "unauthorized"),
        ({"authorization": "Bearer"}, "unauthorized"),
        ({"authorization": "Bearer "}, "unauthorized"),
        ({"authorization": "s3cret"}, "unauthorized"),
        ({"authorization": "Basic s3cret"}, "unauthorized"),
        ({"authorization": "Bearer s\xe9cret"}, "unauthorized"),
        ({}, "unauthorized"),
        ({"sec_websocket_protocol": "json-rpc, token.s3cret"}, "own"),
        ({"sec_websocket_protocol": "token.s3cret,json-rpc"}, "own"),
        ({"sec_websocket_protocol": "json-rpc, token.wrong"}, "unauthorized"),
        ({"sec_websocket_protocol": "json-rpc, token."}, "unauthorized"),
        ({"sec_websocket_protocol": "json-rpc, key.s3cret"}, "unauthorized"),
        ({"sec_websocket_protocol": "json-rpc, s3cret"}, "unauthorized"),
        ({"origin": "http://pm3", "authorization": "Bearer s3cret"}, "foreign"),
        ({"origin": "http://pm3"}, "unauthorized"),
        ({"origin": "http://example.com", "authorization": "Bearer s3cret"}, "forbidden"),
        ({"via": "1.1 x", "authorization": "Bearer s3cret"}, "forbidden"),
        ({"sec_fetch_site": "cross-site", "authorization": "Bearer s3cret"}, "forbidden"),
    ],
)
def test_a_door_with_a_token(fields: dict[str, str], expected: str) -> None:
    assert verdict(admit(TOKEN, **fields)) == expected


def test_health_needs_no_token_and_the_refusal_can_be_read_by_the_page() -> None:
    admission = admit(TOKEN, origin="http://pm3")
    assert isinstance(admission.refusal, Unauthorized)
    assert admission.spared == {b"/healthz", b"/readyz"}
    assert b"Access-Control-Allow-Origin: http://pm3\r\n" in admission.cors


def test_a_token_spares_only_those_who_may_come_in_without_one() -> None:
    assert not admit(TOKEN, sec_fetch_site="cross-site").spared
    assert not admit(TOKEN, "example.com").spared
    assert not admit(TOKEN, origin="null").spared
