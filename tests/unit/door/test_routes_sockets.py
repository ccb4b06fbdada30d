"""The routes that become WebSockets."""

from __future__ import annotations

import pytest

from lambdamesh.door.caller import CallerSocket
from lambdamesh.door.provider import ProviderSocket
from lambdamesh.door.turned_away import TurnedAway
from tests.unit.door.doors import Reply, Stage, get
from tests.unit.door.heads import FOREIGN, HANDSHAKE, OWN, request_of
from tests.unit.fakes import NOW_MS, TEXT, an_id

ID = TEXT.decode()
CLOSED = an_id(77).decode()

PAGE = (b"Origin", b"http://localhost:7630")


def shake(stage: Stage, target: str, *lines: tuple[bytes, bytes], foreign: bool = False) -> Reply:
    return stage.ask(request_of("GET", target, *HANDSHAKE, *lines, admission=FOREIGN if foreign else OWN))


@pytest.mark.parametrize(
    ("target", "kind", "has_key"),
    [
        ("/lambda/new", ProviderSocket, True),
        (f"/lambda/new/{CLOSED}", ProviderSocket, True),
        ("/connect", CallerSocket, False),
    ],
)
@pytest.mark.parametrize(
    ("offer", "codec"), [(None, None), (b"json-rpc", b"json-rpc"), (b"chat, json-rpc", b"json-rpc"), (b"chat", None)]
)
def test_a_handshake_opens_a_socket(
    target: str, kind: type, has_key: bool, offer: bytes | None, codec: bytes | None
) -> None:
    stage = Stage()
    reply = shake(stage, target, *([] if offer is None else [(b"Sec-WebSocket-Protocol", offer)]))
    fields = dict(reply.fields)
    assert (reply.status, type(reply.socket)) == (101, kind)
    assert fields.get(b"Sec-WebSocket-Protocol") == codec
    assert (b"Lambda-Resume-Key" in fields) is has_key


@pytest.mark.parametrize(
    ("target", "kind"),
    [("/lambda/new", ProviderSocket), (f"/lambda/new/{CLOSED}", ProviderSocket), ("/connect", CallerSocket)],
)
@pytest.mark.parametrize("offer", [b"json-rpc-2.0", b"chat, json-rpc-2.0, json-rpc", b"json-rpc-2.0, token.abc"])
def test_a_handshake_may_choose_the_other_codec(target: str, kind: type, offer: bytes) -> None:
    """Its key comes in ``open``, not in a header that a page could not read."""
    reply = shake(Stage(), target, (b"Sec-WebSocket-Protocol", offer))
    fields = dict(reply.fields)
    assert (reply.status, type(reply.socket)) == (101, kind)
    assert fields[b"Sec-WebSocket-Protocol"] == b"json-rpc-2.0"
    assert b"Lambda-Resume-Key" not in fields


def test_a_lambda_is_not_listed_before_it_is_open() -> None:
    stage = Stage()
    shake(stage, "/lambda/new")
    assert get(stage, "/lambda?count") == {"count": 1}


def right_key(stage: Stage, text: str = ID) -> bytes:
    return stage.keys.mint(text.encode(), NOW_MS / 1000)


@pytest.mark.parametrize("how", ["header", "query", "subprotocol"])
def test_a_key_comes_in_three_ways(how: str) -> None:
    stage = Stage()
    key = right_key(stage)
    lines, query = [], ""
    if how == "header":
        lines = [(b"Lambda-Resume-Key", key)]
    elif how == "query":
        query = f"?key={key.decode()}"
    else:
        lines = [(b"Sec-WebSocket-Protocol", b"json-rpc, key." + key)]
    reply = shake(stage, f"/lambda/new/{ID}{query}", *lines)
    assert isinstance(reply.socket, ProviderSocket)
    assert not stage.seat.closed


@pytest.mark.parametrize(
    ("target", "lines", "status", "close_code"),
    [
        (f"/lambda/new/{ID}", [], 403, 4403),
        (f"/lambda/new/{ID}?key=wrong", [], 403, 4403),
        (f"/lambda/new/{CLOSED}", [(b"Lambda-Resume-Key", b"wrong")], 403, 4403),
        ("/lambda/new/nonsense", [], 400, 4400),
        (f"/lambda/new/{an_id(machine=7).decode()}", [], 404, 4404),
    ],
)
def test_a_refused_reopen_is_a_status_or_to_a_page_a_close_code(
    target: str, lines: list[tuple[bytes, bytes]], status: int, close_code: int
) -> None:
    stage = Stage()
    assert shake(stage, target, *lines).status == status
    page = shake(stage, target, *lines, PAGE)
    assert isinstance(page.socket, TurnedAway)
    assert page.socket._error.close_code == close_code
    assert stage.world.counters.reopens_refused == 2
    assert not stage.seat.closed


def test_a_page_of_another_origin_reopens_with_its_key_only() -> None:
    stage = Stage()
    origin = (b"Origin", b"http://pm3")
    without = shake(stage, f"/lambda/new/{CLOSED}", origin, foreign=True)
    assert isinstance(without.socket, TurnedAway)
    key = (b"Sec-WebSocket-Protocol", b"json-rpc, key." + right_key(stage, CLOSED))
    assert isinstance(shake(stage, f"/lambda/new/{CLOSED}", origin, key, foreign=True).socket, ProviderSocket)


@pytest.mark.parametrize("target", ["/lambda/new", f"/lambda/new/{CLOSED}", "/connect"])
def test_a_node_that_goes_down_takes_no_new_sockets(target: str) -> None:
    stage = Stage()
    stage.door.is_ready = False
    assert shake(stage, target).status == 503
    page = shake(stage, target, PAGE)
    assert isinstance(page.socket, TurnedAway)
    assert page.socket._error.close_code == 4503


@pytest.mark.parametrize(
    ("grace", "status"), [("0", 101), ("300", 101), ("301", 400), ("-1", 400), ("x", 400), ("", 400)]
)
@pytest.mark.parametrize("path", ["/lambda/new", f"/lambda/new/{CLOSED}"])
def test_a_grace_is_asked_for_at_open(path: str, grace: str, status: int) -> None:
    assert shake(Stage(), f"{path}?grace={grace}").status == status


@pytest.mark.parametrize("target", ["/lambda/new", f"/lambda/new/{CLOSED}", "/connect"])
def test_a_credential_without_a_codec(target: str) -> None:
    assert shake(Stage(), target, (b"Sec-WebSocket-Protocol", b"key.abc"), PAGE).status == 400
