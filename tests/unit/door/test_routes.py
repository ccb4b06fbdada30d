"""The table of routes: every path with every verb, and who may use it."""

from __future__ import annotations

import itertools
import json
from urllib.parse import quote

import pytest

from lambdamesh.access.local_door import LocalDoor
from lambdamesh.core.limits import Limits
from lambdamesh.door.endpoints.calls import Calls
from lambdamesh.errors import Forbidden, MeshError, TooLarge, Unsupported
from lambdamesh.protocol.json_text import is_json
from tests.unit.door.doors import VERSION, Stage, get
from tests.unit.door.heads import FOREIGN, OWN, request_of
from tests.unit.fakes import TEXT, an_id

ID = TEXT.decode()
CLOSED = an_id(77).decode()
CALL = f"/lambda/{ID}/test"
VERBS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]

# For each path what each verb that it takes is answered with, and whether a page of another origin may ask for it.
TABLE: dict[str, tuple[dict[str, int], bool]] = {
    "/lambda": ({"GET": 200, "HEAD": 200, "POST": 200}, False),
    "/lambda/new": ({"GET": 426, "HEAD": 426}, True),
    f"/lambda/new/{ID}": ({"GET": 426, "HEAD": 426}, True),
    f"/lambda/{ID}": ({"GET": 200, "HEAD": 200, "DELETE": 200}, True),
    CALL: ({"POST": 0, "OPTIONS": 204}, True),
    "/connect": ({"GET": 426, "HEAD": 426}, True),
    "/events": ({"GET": 200, "HEAD": 200}, False),
    "/ping": ({"GET": 200, "HEAD": 200, "POST": 200}, True),
    "/version": ({"GET": 200, "HEAD": 200, "POST": 200}, True),
    "/peers": ({"GET": 200, "HEAD": 200, "POST": 200}, False),
    "/peers/alive": ({"GET": 200, "HEAD": 200, "POST": 200}, False),
    "/debug/headers": ({"GET": 200, "HEAD": 200}, False),
    "/healthz": ({"GET": 200, "HEAD": 200}, True),
    "/readyz": ({"GET": 200, "HEAD": 200}, True),
    "/metrics": ({"GET": 200, "HEAD": 200}, False),
    "/": ({"GET": 200, "HEAD": 200}, False),
}
CELLS = list(itertools.product(TABLE, VERBS))


# -- the table --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "verb"), CELLS)
def test_every_path_with_every_verb(path: str, verb: str) -> None:
    answers, _ = TABLE[path]
    stage = Stage()
    reply = stage.ask(request_of(verb, path))
    if verb in answers:
        assert reply.status == answers[verb]
        assert (reply.flight is not None) is (path == CALL and verb == "POST")
    else:
        assert reply.status == 405
        ((name, allow),) = reply.fields
        assert name == b"Allow"
        assert set(allow.decode().split(", ")) == set(answers)


@pytest.mark.parametrize(("path", "verb"), CELLS)
def test_what_a_page_of_another_origin_may_ask_for(path: str, verb: str) -> None:
    answers, is_for_pages = TABLE[path]
    if verb not in answers:
        return
    may = is_for_pages and verb != "DELETE"
    reply = Stage().ask(request_of(verb, path, admission=FOREIGN))
    assert reply.status == (answers[verb] if may else 403)


@pytest.mark.parametrize(("path", "verb"), CELLS)
@pytest.mark.parametrize("spared", [frozenset[bytes](), frozenset((b"/healthz", b"/readyz"))])
def test_a_head_that_is_refused_is_refused_everywhere_else(path: str, verb: str, spared: frozenset[bytes]) -> None:
    admission = type(OWN)(Forbidden("no"), spared)
    status = Stage().ask(request_of(verb, path, admission=admission)).status
    assert (status == 403) is (path.encode() not in spared)


@pytest.mark.parametrize(("path", "verb"), CELLS)
def test_over_a_socket_every_route_that_answers_json_can_be_asked_for(path: str, verb: str) -> None:
    answers, _ = TABLE[path]
    if verb not in answers:
        return
    answers_json = path not in ("/lambda/new", f"/lambda/new/{ID}", "/connect", "/events", "/debug/headers", "/metrics")
    reply = Stage().ask(request_of(verb, path), over_http=False)
    assert reply.status == (answers[verb] if answers_json else 400)
    assert reply.socket is None


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/ping/",
        "//ping",
        "/PING",
        "/lambda/",
        f"/lambda/{ID}/",
        f"/lambda/{ID}/a/b",
        "/lambda/new/x/y",
        "/peers/dead",
        "/debug",
        "/%70ing",
    ],
)
@pytest.mark.parametrize("verb", ["GET", "DELETE"])
def test_there_are_no_others(path: str, verb: str) -> None:
    status = Stage().ask(request_of(verb, path)).status
    # An empty id or method is a bad one.
    assert status in ((404, 400, 405) if path in ("/lambda/", f"/lambda/{ID}/") else (404,))


@pytest.mark.parametrize("verb", VERBS)
def test_new_is_no_id(verb: str) -> None:
    reply = Stage().ask(request_of(verb, "/lambda/new/test"))
    assert reply.status == (426 if verb in ("GET", "HEAD") else 405)


# -- what a door's rules and the routes make of it together ------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/", {b"sec-fetch-site": b"cross-site", b"sec-fetch-mode": b"navigate"}, 200),
        ("/", {b"sec-fetch-site": b"cross-site", b"sec-fetch-mode": b"cors"}, 403),
        ("/ping", {b"sec-fetch-site": b"cross-site", b"sec-fetch-mode": b"navigate"}, 403),
        ("/lambda", {b"origin": b"http://localhost:7630"}, 200),
        ("/lambda", {b"origin": b"http://pm3"}, 403),
        ("/ping", {b"origin": b"http://pm3"}, 200),
        ("/ping", {b"origin": b"http://example.com"}, 403),
        ("/ping", {b"via": b"1.1 x"}, 403),
    ],
)
def test_the_local_door(path: str, fields: dict[bytes, bytes], status: int) -> None:
    stage = Stage()
    admission = stage.access.admit({b"host": b"localhost:7630", **fields})
    assert stage.ask(request_of("GET", path, admission=admission)).status == status


@pytest.mark.parametrize(("path", "status"), [("/healthz", 200), ("/readyz", 200), ("/ping", 401), ("/", 401)])
def test_the_local_door_with_a_token(path: str, status: int) -> None:
    stage = Stage(access=LocalDoor(token=b"s3cret"))
    admission = stage.access.admit({b"host": b"localhost"})
    assert stage.ask(request_of("GET", path, admission=admission)).status == status


# -- answers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("/ping", "my-host"),
        ("/version", VERSION),
        ("/", VERSION),
        ("/lambda?count", {"count": 1}),
        ("/lambda?count=1", {"count": 1}),
        ("/lambda?limit=0", {}),
    ],
)
def test_json_answers(target: str, answer: object) -> None:
    assert get(Stage(), target) == answer


@pytest.mark.parametrize("target", ["/lambda", f"/lambda/{ID}", "/peers", "/peers/alive", "/healthz", "/readyz"])
def test_everything_that_answers_json_is_json(target: str) -> None:
    assert is_json(Stage().ask(request_of("GET", target)).body)


def test_the_list_is_cut_and_says_so() -> None:
    stage = Stage(Limits(listing_lambdas=2))
    for sequence in range(2, 4):
        stage.world.open(an_id(sequence))
    reply = stage.ask(request_of("GET", "/lambda"))
    assert len(json.loads(reply.body)) == 2
    assert reply.fields == ((b"Lambda-Truncated", b"true"),)
    assert stage.ask(request_of("GET", "/lambda?limit=3")).status == 400
    assert stage.ask(request_of("GET", "/lambda?count")).body == b'{"count":3}'


@pytest.mark.parametrize("limit", ["-1", "x", "1.5", "", "10001", "99999999999999999999", "²"])
def test_what_is_no_limit(limit: str) -> None:
    assert Stage().ask(request_of("GET", f"/lambda?limit={quote(limit)}")).status == 400


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/lambda/{ID}", 200),
        (f"/lambda/{CLOSED}", 410),
        (f"/lambda/{an_id(5).decode()}", 404),
        ("/lambda/x", 400),
        (f"/lambda/{an_id(machine=7).decode()}", 404),
    ],
)
@pytest.mark.parametrize("verb", ["GET", "HEAD", "DELETE"])
def test_one_lambda(verb: str, path: str, status: int) -> None:
    stage = Stage()
    stage.world.leave(stage.world.open(CLOSED.encode()), text=CLOSED.encode())
    assert stage.ask(request_of(verb, path)).status == status


def test_delete_closes_it_for_good() -> None:
    stage = Stage()
    assert stage.ask(request_of("DELETE", f"/lambda/{ID}")).body == b"{}"
    assert stage.seat.closed == [4410]
    assert stage.ask(request_of("GET", f"/lambda/{ID}")).status == 410


def test_a_node_that_goes_down_is_alive_and_not_ready() -> None:
    stage = Stage()
    stage.door.is_ready = False
    reply = stage.ask(request_of("GET", "/readyz"))
    assert (reply.status, reply.body) == (503, b"draining")
    assert stage.ask(request_of("GET", "/healthz")).status == 200


def test_the_request_as_the_node_sees_it_without_its_secrets() -> None:
    request = request_of(
        "GET",
        "/debug/headers?key=s3cret&a=b",
        (b"authorization", b"Bearer s3cret"),
        (b"x-api-key", b"s3cret"),
        (b"Sec-WebSocket-Protocol", b"json-rpc, key.s3cret, ticket.s3cret"),
        (b"x-a", b"1"),
    )
    reply = Stage().ask(request)
    assert reply.fields[0] == (b"Content-Type", b"text/plain; charset=utf-8")
    lines = reply.body.decode().split("\r\n")
    assert lines[0] == "GET /debug/headers?key=***&a=b HTTP/1.1"
    assert {"X-A: 1", "Authorization: ***", "X-Api-Key: ***", "P-Ip: 127.0.0.1"} < set(lines)
    assert "Sec-Websocket-Protocol: json-rpc, key.***, ticket.***" in lines
    assert "s3cret" not in reply.body.decode()


def test_metrics_are_text() -> None:
    reply = Stage().ask(request_of("GET", "/metrics"))
    assert reply.fields[0][1].startswith(b"text/plain; version=0.0.4")


def test_events_are_a_stream() -> None:
    stage = Stage()
    reply = stage.ask(request_of("GET", "/events"))
    stage.world.open(an_id(2))
    stage.door.events.publish(stage.world.registry.live[an_id(2)], "open", "new")
    assert reply.content_type.startswith(b"text/event-stream")
    assert reply.pieces[-1].startswith(b"event: open\n")


# -- calls ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [1, 3])
def test_a_call_carries_method_and_body(times: int) -> None:
    stage = Stage()
    for number in range(1, times + 1):
        reply = stage.ask(request_of("POST", f"/lambda/{ID}/a%20%22b", body=b'{"a": 1.0}'))
        assert stage.seat.provider.calls[-1] == (number, b'"a \\"b"', b'{"a": 1.0}')
        stage.seat.provider.answer(number, b"5")
        assert reply.raw == b"5"


def test_an_empty_body_is_null() -> None:
    stage = Stage()
    stage.ask(request_of("POST", CALL))
    assert stage.seat.provider.calls == [(1, b'"test"', b"null")]


@pytest.mark.parametrize("is_known", [False, True], ids=["first", "again"])
@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (request_of("POST", CALL, body=b"{"), b"bad_request"),
        (request_of("POST", CALL, body=b"\xff"), b"bad_request"),
        (request_of("POST", CALL, body=b"[" * 513 + b"]" * 513), b"bad_request"),
        (request_of("POST", CALL, (b"Content-Encoding", b"gzip")), b"unsupported"),
        (request_of("POST", "/lambda/short/test"), b"bad_request"),
        (request_of("POST", f"/lambda/{ID}/open"), b"bad_request"),
        (request_of("POST", f"/lambda/{ID}/$/ping"), b"not_found"),
        (request_of("POST", f"/lambda/{ID}/%24%2Fping"), b"bad_request"),
        (request_of("POST", f"/lambda/{ID}/"), b"bad_request"),
        (request_of("POST", f"/lambda/{ID}/%FF"), b"bad_request"),
        (request_of("POST", f"{CALL}?timeout=x"), b"bad_request"),
        (request_of("POST", f"{CALL}?timeout=3601"), b"bad_request"),
        (request_of("POST", f"{CALL}?timeout=0"), b"bad_request"),
        (request_of("POST", f"{CALL}?a=%FF"), b"bad_request"),
    ],
)
def test_calls_that_break_the_rules(request_: object, code: bytes, is_known: bool) -> None:
    stage = Stage()
    if is_known:
        stage.ask(request_of("POST", CALL))
    before = len(stage.seat.provider.calls)
    reply = stage.ask(request_)  # type: ignore[arg-type]
    assert reply.body == code
    assert len(stage.seat.provider.calls) == before


@pytest.mark.parametrize("is_known", [False, True], ids=["first", "again"])
@pytest.mark.parametrize(
    ("target", "is_call", "pretty"),
    [
        (CALL, True, False),
        (f"{CALL}?pretty", True, True),
        (f"{CALL}?pretty=0", True, False),
        ("/ping?pretty", False, True),
    ],
)
def test_how_answers_are_written(target: str, is_call: bool, pretty: bool, is_known: bool) -> None:
    stage = Stage()
    if is_known:
        stage.ask(request_of("POST", target))
    request = request_of("POST", target)
    stage.ask(request)
    assert (request.is_call, request.pretty) == (is_call, pretty)


@pytest.mark.parametrize(
    ("target", "prefer", "timeout_s"),
    [
        (CALL, b"", 60.0),
        (CALL, b"wait=5", 5.0),
        (f"{CALL}?timeout=1.5", b"", 1.5),
        (f"{CALL}?timeout=1.5", b"wait=5", 1.5),
        (CALL, b"wait=999999", 3600.0),
        (f"{CALL}?timeout=3600", b"", 3600.0),
    ],
)
def test_deadlines(monkeypatch: pytest.MonkeyPatch, target: str, prefer: bytes, timeout_s: float) -> None:
    stage = Stage()
    monkeypatch.setattr("lambdamesh.door.endpoints.calls.monotonic", lambda: stage.world.now)
    reply = stage.ask(request_of("POST", target, (b"Prefer", prefer)))
    stage.world.pass_time(timeout_s)
    assert reply.outcomes == 0
    stage.world.pass_time(0.05)
    assert reply.error.code == "timeout"


def test_a_caller_that_does_not_wait_sends_a_notification() -> None:
    stage = Stage()
    reply = stage.ask(request_of("POST", CALL, (b"Prefer", b"respond-async"), body=b"42"))
    assert (reply.status, reply.body) == (202, b"{}")
    assert stage.seat.provider.notifications == [(b'"test"', b"42")]
    nobody = stage.ask(request_of("POST", f"/lambda/{an_id(9).decode()}/test", (b"Prefer", b"respond-async")))
    assert nobody.status == 404


def test_targets_are_remembered_only_so_far() -> None:
    calls = Calls(Stage().door)
    for number in range(5000):
        assert calls.target(f"/lambda/{ID}/m{number}".encode()).method == b'"m%d"' % number
    assert len(calls.known_targets) <= 4096


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (request_of("POST", CALL), None),
        (request_of("GET", "/ping"), None),
        (request_of("POST", CALL, (b"Content-Encoding", b"br")), "unsupported"),
        (request_of("POST", f"/lambda/{ID}/open"), "bad_request"),
        (request_of("POST", "/nothing"), "not_found"),
        (request_of("PUT", CALL), "method_not_allowed"),
        (request_of("POST", "/lambda", admission=FOREIGN), "forbidden"),
    ],
)
def test_what_would_be_refused_whatever_its_body(request_: object, code: str | None) -> None:
    error = Stage().routes.precheck(request_)  # type: ignore[arg-type]
    assert (None if error is None else error.code) == code


@pytest.mark.parametrize(
    ("error", "target", "is_call"),
    [(TooLarge("x"), CALL, True), (Unsupported("x"), "/ping?pretty", False), (TooLarge("x"), "/a?b=%FF", False)],
)
def test_a_request_that_was_refused_while_it_was_read(error: MeshError, target: str, is_call: bool) -> None:
    request = request_of("POST", target)
    request.refusal = error
    reply = Stage().ask(request)
    assert reply.body == error.code.encode()
    assert request.is_call is is_call


def test_a_preflight() -> None:
    reply = Stage().ask(request_of("OPTIONS", CALL, admission=FOREIGN))
    assert (reply.status, reply.body) == (204, b"")
    assert dict(reply.fields) == {
        b"Access-Control-Allow-Methods": b"POST",
        b"Access-Control-Allow-Headers": b"authorization, content-type, accept, prefer, traceparent",
        b"Access-Control-Max-Age": b"600",
    }
