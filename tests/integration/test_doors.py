"""Who may come through the local door, on every route and on handshakes too: hosts, pages, proxies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.knocking import APP, EVERY_ROUTE, REFUSED_ROUTES, Route, forbidden, knock
from tests.nodes import Node
from tests.providers import Provider
from tests.websocket import WebSocket
from tests.wire import RawHttp, request, sound

StartNode = Callable[..., Node]
OpenLambda = Callable[..., Provider]


# Host

GOOD_HOSTS = [
    "pm3", "PM3", "pm3:80", "a.pm3", "a.b.pm3:7630", "localhost", "LocalHost:1", "127.0.0.1", "127.0.0.1:7630",
    "127.8.9.10", "[::1]", "[::1]:7630", "names.example", "also.example:99",
]  # fmt: skip
BAD_HOSTS = [
    "example.com", "localhost.example.com", "pm3.example.com", "127.0.0.1.example.com", "xpm3", "notpm3", "192.168.1.1",
    "0.0.0.0", "[::]", "[2001:db8::1]", "127.0.0.1@example.com", "x.names.example", "128.0.0.1", "localhost..", "1270.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("host", GOOD_HOSTS)
def test_good_hosts(door: Node, host: str) -> None:
    assert knock(door, Route("GET", "/ping"), "", host=host).status == 200
    assert knock(door, Route("GET", "/connect", upgrade=True), "", host=host).status == 101


@pytest.mark.parametrize("host", BAD_HOSTS)
def test_bad_hosts(door: Node, host: str) -> None:
    assert sound(knock(door, Route("GET", "/ping"), "", host=host)).status in (400, 403)
    assert sound(knock(door, Route("GET", "/connect", upgrade=True), "", host=host)).status in (400, 403)


@REFUSED_ROUTES
def test_a_foreign_host_is_refused_on_every_route(door: Node, lambda_id: str, route: Route) -> None:
    """DNS rebinding: the name is the attacker's, the address is ours."""
    forbidden(knock(door, route, lambda_id, host="evil.example"), route)
    assert door.fetch("GET", f"/lambda/{lambda_id}").status == 200


def test_the_attackers_own_origin_does_not_help(door: Node) -> None:
    answer = knock(door, Route("GET", "/ping"), "", [("Origin", "http://evil.example")], host="evil.example")
    assert answer.status == 403


# Origin


def own_origins(door: Node) -> list[tuple[str, str]]:
    """Pairs of Host and the origin that is the door's own for it."""
    return [(host, f"http://{host}") for host in (f"localhost:{door.port}", door.authority, "pm3", "names.example:81")]


@EVERY_ROUTE
def test_the_doors_own_origin_may_do_all(door: Node, answering_id: str, route: Route) -> None:
    for host, origin in own_origins(door) if route.verb != "DELETE" else own_origins(door)[:1]:
        assert knock(door, route, answering_id, [("Origin", origin)], host).status == route.status


@EVERY_ROUTE
@pytest.mark.parametrize("origin", [APP, "http://localhost", "http://pm3", "http://127.0.0.1", "http://[::1]"])
def test_allowed_foreign_origins_may_do_some(door: Node, answering_id: str, route: Route, origin: str) -> None:
    answer = knock(door, route, answering_id, [("Origin", origin)], host=f"localhost:{door.port}")
    if route.foreign:
        assert answer.status == route.status
    else:
        forbidden(answer, route)


BAD_ORIGINS = [
    "https://evil.example", "null", "http://app.example", "https://app.example:444", "https://app.example.evil.example",
    "https://x.app.example", "http://localhost:5173", "https://localhost", "http://127.0.0.1:1", "http://[::1]:99",
    "file://", "chrome-extension://abcdef", "http://", "app.example", "https://app.example/", "https://app.example/path",
    "https://user@app.example", "http://localhost:99999", "http://localhost:abc", "http://local host", "http://[::1", "*", "",
]  # fmt: skip


@pytest.mark.parametrize("origin", BAD_ORIGINS)
def test_other_origins_are_refused(door: Node, origin: str) -> None:
    for route in (Route("GET", "/ping"), Route("GET", "/connect", upgrade=True)):
        answer = knock(door, route, "", [("Origin", origin)])
        forbidden(answer, route)
        assert answer.header("Access-Control-Allow-Origin") is None


@REFUSED_ROUTES
@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_a_foreign_page_is_refused_on_every_route(door: Node, lambda_id: str, route: Route, origin: str) -> None:
    forbidden(knock(door, route, lambda_id, [("Origin", origin)]), route)
    assert door.fetch("GET", f"/lambda/{lambda_id}").status == 200


def test_two_origins_are_refused(door: Node) -> None:
    answer = knock(door, Route("GET", "/ping"), "", [("Origin", APP), ("Origin", APP)])
    assert answer.status in (400, 403)


def test_a_refused_origin_is_logged_once_with_the_flag(start_node: StartNode) -> None:
    own = start_node()
    for origin in ("https://one.example", "https://one.example", "https://two.example", "https://one.example"):
        assert own.fetch("GET", "/ping", headers=[("Origin", origin)]).status == 403
    assert own.fetch("GET", "/ping").status == 200
    own.stop()
    told = [str(line) for line in own.logs if "--allow-origin" in str(line)]
    assert sum("https://one.example" in line for line in told) == 1
    assert sum("https://two.example" in line for line in told) == 1


def test_the_log_of_refused_origins_is_bounded(start_node: StartNode) -> None:
    own = start_node()
    with RawHttp(own.address) as http:
        for number in range(3000):
            assert http.ask("GET", "/ping", headers=[("Origin", f"https://{number}.example")]).status == 403
    own.stop()
    assert sum("--allow-origin" in str(line) for line in own.logs) < 3000


def test_dev_allows_loopback_origins_with_any_port(tmp_path: Path) -> None:
    own = Node(tmp_path / "state", {}, arguments=("--dev",)).ready()
    try:
        for origin in ("http://localhost:5173", "http://127.0.0.1:3000", "http://[::1]:8080"):
            assert own.fetch("GET", "/ping", headers=[("Origin", origin)]).status == 200
            assert own.fetch("GET", "/lambda", headers=[("Origin", origin)]).status == 403
        assert own.fetch("GET", "/ping", headers=[("Origin", "http://evil.example:5173")]).status == 403
    finally:
        own.stop()


# Foreign pages on a socket


def test_a_foreign_page_may_ask_over_connect_what_it_may_ask_over_http(door: Node, answering_id: str) -> None:
    with WebSocket.open(door.address, "/connect", headers=[("Origin", APP)]) as ws:
        for number, (method, allowed) in enumerate(
            [
                ("/ping", True),
                ("GET /version", True),
                (f"GET /lambda/{answering_id}", True),
                (f"POST /lambda/{answering_id}/m", True),
                ("GET /healthz", True),
                ("GET /lambda", False),
                ("POST /lambda", False),
                (f"DELETE /lambda/{answering_id}", False),
                ("GET /peers", False),
                ("GET /metrics", False),
                ("GET /debug/headers", False),
            ]
        ):
            ws.send(b'{"id":%d,"method":"%b","params":[1]}' % (number, method.encode()))
            answer = ws.json()
            assert answer["id"] == number
            refusal = (answer["error"] or "").startswith("error 403: ")
            assert refusal is not allowed, (method, answer)
    assert door.fetch("GET", f"/lambda/{answering_id}").status == 200


def test_a_foreign_page_may_open_and_answer(door: Node, open_lambda: OpenLambda) -> None:
    provider = open_lambda(door, headers=[("Origin", APP)])
    with RawHttp(door.address) as http:
        http.send(request("POST", f"/lambda/{provider.id}/m", b"1", [("Origin", "http://other.example:8080")]))
        provider.answer(provider.next_call(), b"2")
        answer = http.answer()
        assert answer.json() == 2
        assert answer.header("Access-Control-Allow-Origin") == "http://other.example:8080"


# Sec-Fetch-Site


@REFUSED_ROUTES
@pytest.mark.parametrize("site", ["cross-site", "same-site", "anything"])
def test_other_sites_without_an_origin_are_refused(door: Node, lambda_id: str, route: Route, site: str) -> None:
    """A link, an image or a form of another site sends no Origin with a GET."""
    forbidden(knock(door, route, lambda_id, [("Sec-Fetch-Site", site)]), route)


@EVERY_ROUTE
@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_our_own_pages_and_typed_addresses_are_taken(door: Node, answering_id: str, route: Route, site: str) -> None:
    assert knock(door, route, answering_id, [("Sec-Fetch-Site", site)]).status == route.status


def test_an_origin_alone_decides_where_there_is_one(door: Node) -> None:
    for origin, status in ((APP, 200), ("https://evil.example", 403)):
        for site in ("cross-site", "same-origin"):
            headers = [("Origin", origin), ("Sec-Fetch-Site", site)]
            assert knock(door, Route("GET", "/ping"), "", headers).status == status


def test_a_navigation_to_the_dashboard_is_taken(door: Node) -> None:
    navigation = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")]
    assert knock(door, Route("GET", "/"), "", navigation).status == 200
    assert knock(door, Route("GET", "/lambda"), "", navigation).status == 403
    assert knock(door, Route("GET", "/debug/headers"), "", navigation).status == 403
    assert (
        knock(door, Route("GET", "/"), "", [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors")]).status
        == 403
    )


# Proxies

PROXIES = [
    ("Forwarded", "for=1.2.3.4"),
    ("X-Forwarded-For", "1.2.3.4"),
    ("X-Real-IP", "1.2.3.4"),
    ("Via", "1.1 proxy"),
    ("CF-Connecting-IP", "1.2.3.4"),
]


@REFUSED_ROUTES
@pytest.mark.parametrize("header", PROXIES, ids=lambda header: header[0])
def test_what_came_through_a_proxy_is_refused(
    door: Node, lambda_id: str, route: Route, header: tuple[str, str]
) -> None:
    answer = knock(door, route, lambda_id, [header])
    forbidden(answer, route)
    if route.verb != "HEAD":
        assert "public" in answer.json()["error"]


@pytest.mark.parametrize("header", [("x-forwarded-for", "127.0.0.1"), ("VIA", "x"), ("Forwarded", "")])
def test_a_proxy_is_known_whatever_it_writes(door: Node, header: tuple[str, str]) -> None:
    assert knock(door, Route("GET", "/ping"), "", [header]).status == 403


def test_behind_proxy_lifts_that_and_nothing_else(start_node: StartNode) -> None:
    own = start_node(local_behind_proxy=True)
    for header in PROXIES:
        assert own.fetch("GET", "/ping", headers=[header]).status == 200
        assert own.fetch("GET", "/ping", headers=[header, ("Origin", "https://evil.example")]).status == 403
