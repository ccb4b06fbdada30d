"""What a node may answer to a connection, and what the client makes of it; with a node that does as it is told."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

import pytest

import lambdamesh
from lambdamesh import State
from tests.integration.client.fake_node import FakeNode, Link, fake_node, refusal
from tests.integration.client.states import States


@pytest.fixture
async def node() -> AsyncIterator[FakeNode]:
    async with fake_node() as node:
        yield node


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lambdamesh.client.reconnecting.FIRST_PAUSE_S", 0.01)


async def echo(body: Any) -> Any:
    return body


def jwt(exp: float) -> str:
    claims = urlsafe_b64encode(json.dumps({"exp": exp}).encode()).rstrip(b"=").decode()
    return f"e30.{claims}.c2lnbmVk"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (HTTPStatus.UNAUTHORIZED, lambdamesh.Unauthorized),
        (HTTPStatus.FORBIDDEN, lambdamesh.Forbidden),
        (HTTPStatus.NOT_FOUND, lambdamesh.NotFound),
        (HTTPStatus.BAD_REQUEST, lambdamesh.BadRequest),
    ],
)
async def test_a_refusal_raises_at_once(node: FakeNode, status: HTTPStatus, error: type[Exception]) -> None:
    node.refusals = [status]
    with pytest.raises(error, match="because"):
        await lambdamesh.connect(node.url)
    assert node.attempts == 1


async def test_a_busy_node_is_asked_again(node: FakeNode) -> None:
    node.refusals = [HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS]
    async with lambdamesh.connect(node.url) as mesh:
        assert mesh.state is State.OPEN
    assert node.attempts == 3


async def test_three_failures_name_what_to_look_at() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(lambdamesh.PeerUnreachable) as raised:
            await lambdamesh.connect(url)
    for word in (url, "Host", "Origin", "token", "lambdamesh serve"):
        assert word in raised.value.message
    assert raised.value.delivered == "no"


async def test_what_speaks_no_websocket_is_said() -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-none\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(lambdamesh.PeerUnreachable, match="does not speak WebSocket"):
            await lambdamesh.connect(f"127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("code", "error"), [(4403, lambdamesh.Forbidden), (4410, lambdamesh.LambdaGone), (4400, lambdamesh.BadRequest)]
)
async def test_a_final_close_ends_everything(node: FakeNode, code: int, error: type[Exception]) -> None:
    states = States()
    async with lambdamesh.connect(node.url, on_state=states) as mesh:
        link = await node.link()
        fn = await mesh.expose({"test": echo})
        calling = asyncio.create_task(mesh.call("a", "b"))
        await link.request("POST /lambda/a/b")
        await link.ws.close(code, "so it is")
        await states.wait(State.CLOSED)
        with pytest.raises(lambdamesh.LambdaLost, match="so it is"):
            await calling
        with pytest.raises(error, match="so it is"):
            await mesh.call("a", "b")
        assert fn.end is not None
    assert len(node.links) == 1


async def test_a_close_in_place_of_a_refusal_raises_at_once(node: FakeNode) -> None:
    async def close(link: Link) -> None:
        await link.ws.close(4403, "not you")

    node.greet = close
    with pytest.raises(lambdamesh.Forbidden, match="not you"):
        await lambdamesh.connect(node.url)
    assert node.attempts == 1


async def test_a_node_that_never_answers_is_given_up(node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lambdamesh.client.reconnector.HANDSHAKE_S", 0.05)
    node.answers_pings = False
    with pytest.raises(lambdamesh.PeerUnreachable, match="does not answer"):
        await lambdamesh.connect(node.url)
    assert node.attempts == 3


async def test_a_ticket_function_that_fails(node: FakeNode) -> None:
    def ticket() -> str:
        raise KeyError("secret")

    with pytest.raises(lambdamesh.Unauthorized, match=r"^the ticket function raised KeyError$") as raised:
        await lambdamesh.connect(node.url, ticket=ticket)
    assert isinstance(raised.value.__cause__, KeyError)


@pytest.mark.parametrize(
    ("given", "text"), [(None, "returned NoneType, and not a str"), ("a secret", "returned is not made of visible")]
)
async def test_a_ticket_function_that_gives_no_ticket(node: FakeNode, given: Any, text: str) -> None:
    with pytest.raises(lambdamesh.Unauthorized, match=f"^[a-z ]*the ticket function {text}") as raised:
        await lambdamesh.connect(node.url, ticket=lambda: given)
    assert "secret" not in str(raised.value)
    assert node.attempts == 0


async def test_a_final_close_tells_those_who_wait(node: FakeNode) -> None:
    states = States()
    async with lambdamesh.connect(node.url, on_state=states) as mesh:
        link = await node.link()
        node.refusals = [HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.FORBIDDEN]
        await link.cut()
        await states.wait(State.WAITING)
        with pytest.raises(lambdamesh.Forbidden):
            await mesh.call("a", "b")


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 4408, 4429, 4503])
async def test_other_closes_are_followed_by_another_attempt(node: FakeNode, code: int) -> None:
    states = States()
    async with lambdamesh.connect(node.url, on_state=states):
        link = await node.link()
        await link.ws.close(code, "later")
        await states.wait(State.OPEN, 2)


async def test_a_lambda_is_opened_again_with_its_newest_key(node: FakeNode) -> None:
    async with lambdamesh.connect(node.url, grace_s=60) as mesh:
        link = await node.link()
        fn = await mesh.expose({"test": echo})
        assert (await link.request("lambda.open"))["params"] == {"grace_s": 60}
        for number in (1, 2):
            await node.links[-1].cut()
            link = await node.link()
            again = (await link.request("lambda.open"))["params"]
            assert again == {"id": fn.id, "key": f"key-{number}", "grace_s": 60}


async def test_calls_that_run_are_kept_and_only_those_pending_are_answered(node: FakeNode) -> None:
    states, go_on = States(), asyncio.Event()
    ran: list[int] = []

    async def slow(body: int) -> int:
        await go_on.wait()
        ran.append(body)
        return body

    async with lambdamesh.connect(node.url, on_state=states) as mesh:
        link = await node.link()
        fn = await mesh.expose({"slow": slow, "test": echo})
        for number in (1, 2, 3):
            await link.call(fn.id, number, "slow", number)
        await link.call(fn.id, 4, "test")
        assert (await link.answer())["id"] == f"{fn.id}.4"
        node.pending = [1, 3]
        await link.cut()
        link = await node.link()
        assert (await link.request("lambda.open"))["params"]["keep"] == [1, 2, 3]
        await states.wait(State.OPEN, 2)
        go_on.set()
        answers = [await link.answer(), await link.answer()]
        assert sorted(answer["result"] for answer in answers) == [1, 3]
    assert sorted(ran) == [1, 3]


async def test_a_reopening_that_is_refused_for_now_is_tried_again(node: FakeNode) -> None:
    states, refusals = States(), [refusal(503, "recovering"), refusal(502, "peer_unreachable")]
    async with lambdamesh.connect(node.url, on_state=states) as mesh:
        link = await node.link()
        fn = await mesh.expose({"test": echo})
        node.open = lambda params: refusals.pop(0) if refusals else None
        await link.cut()
        await states.wait(State.OPEN, 2)
        assert (refusals, fn.end) == ([], None)


@pytest.mark.parametrize(("status", "code"), [(404, "lambda_not_found"), (410, "lambda_gone"), (403, "forbidden")])
async def test_a_reopening_that_is_refused_for_good_is_the_end_of_one(node: FakeNode, status: int, code: str) -> None:
    async with lambdamesh.connect(node.url) as mesh:
        link = await node.link()
        fn, other = await mesh.expose({"test": echo}), await mesh.expose({"test": echo})
        node.open = lambda params: refusal(status, code, "that one not") if params.get("id") == fn.id else None
        await link.cut()
        end = await asyncio.wait_for(fn.wait_ended(), 5.0)
        assert end.reason == "that one not"
        assert other.end is None


async def test_the_node_says_that_a_lambda_has_ended(node: FakeNode) -> None:
    async with lambdamesh.connect(node.url) as mesh:
        link = await node.link()
        fn = await mesh.expose({"test": echo})
        await link.send(method="lambda.closed", params={"id": fn.id, "code": 4409, "reason": "superseded"})
        assert await asyncio.wait_for(fn.wait_ended(), 5.0) == (4409, "superseded")
        await link.cut()
        await (await node.link()).ws.ping()
        assert "lambda.open" not in [message["method"] for message in drained(node.links[-1].requests)]


def drained(queue: asyncio.Queue[Any]) -> list[Any]:
    return [queue.get_nowait() for _ in range(queue.qsize())]


async def test_a_call_right_behind_the_answer_to_open(node: FakeNode) -> None:
    async with lambdamesh.connect(node.url) as mesh:
        link = await node.link()

        def open_and_call(params: Any) -> None:
            asyncio.get_running_loop().call_soon(lambda: tasks.append(asyncio.create_task(call())))

        async def call() -> None:
            await link.call("rhowRgEAAACXSQEA", 1, "test", 7)

        tasks: list[asyncio.Task[None]] = []
        node.open = open_and_call
        fn = await mesh.expose({"test": echo})
        answer = await link.answer()
        assert (answer["id"], answer["result"]) == (f"{fn.id}.1", 7)


async def test_either_side_may_ping(node: FakeNode) -> None:
    async with lambdamesh.connect(node.url):
        link = await node.link()
        await link.send(method="$/ping", id="p1")
        assert await link.answer() == {"jsonrpc": "2.0", "id": "p1", "result": None}


async def test_rubbish_is_passed_over(node: FakeNode) -> None:
    async with lambdamesh.connect(node.url) as mesh:
        link = await node.link()
        fn = await mesh.expose({"test": echo})
        for rubbish in ("[]", "{", '{"method":5}', '{"id":99,"result":1}', '{"method":"$/progress","params":{}}'):
            await link.ws.send(rubbish)
        await link.send(method="$/cancelRequest", params={"id": f"{fn.id}.9"})
        await link.send(method="$/credit", params={"id": "x.y", "add": 1})
        await link.call(fn.id, 1, "test", 1)
        assert (await link.answer())["result"] == 1
        assert mesh.state is State.OPEN


async def test_the_ticket_is_fetched_for_each_connection(node: FakeNode) -> None:
    fetched: list[str] = []

    async def ticket() -> str:
        fetched.append(f"ticket-{len(fetched)}")
        return fetched[-1]

    async with lambdamesh.connect(node.url, ticket=ticket):
        link = await node.link()
        assert link.head.headers["Sec-WebSocket-Protocol"] == "json-rpc-2.0, ticket.ticket-0"
        await link.ws.close(4401, "expired")
        link = await node.link()
        assert link.head.headers["Sec-WebSocket-Protocol"] == "json-rpc-2.0, ticket.ticket-1"


async def test_a_fresh_ticket_that_is_refused_is_the_end(node: FakeNode) -> None:
    node.refusals = [HTTPStatus.UNAUTHORIZED] * 5
    with pytest.raises(lambdamesh.Unauthorized) as raised:
        await lambdamesh.connect(node.url, ticket=lambda: "very-secret")
    assert node.attempts == 2
    assert "very-secret" not in str(raised.value)


async def test_a_ticket_is_renewed_before_it_ends(node: FakeNode) -> None:
    tickets = [jwt(time.time() + 1.1), jwt(time.time() + 3600)]
    async with lambdamesh.connect(node.url, ticket=lambda: tickets.pop(0)):
        link = await node.link()
        renewal = await link.request("ticket.renew")
        assert renewal["params"] == {"ticket": jwt_like(renewal["params"]["ticket"])}
        assert tickets == []


def jwt_like(ticket: str) -> str:
    assert ticket.count(".") == 2
    return ticket


@pytest.mark.parametrize("given", [{"token": "a, b"}, {"ticket": "a\r\nb"}])
def test_what_cannot_be_shown_at_a_door(given: Any) -> None:
    with pytest.raises(ValueError, match="visible ASCII"):
        lambdamesh.connect("localhost:1", **given)


def test_on_state_is_not_awaited() -> None:
    class Told:
        async def __call__(self, state: State) -> None: ...

    for told in (Told(), Told().__call__):
        with pytest.raises(TypeError, match="not async"):
            lambdamesh.connect("localhost:1", on_state=told)  # type: ignore[arg-type]


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
async def test_a_time_that_cannot_be_waited(node: FakeNode, seconds: float) -> None:
    async with lambdamesh.connect(node.url) as mesh:
        with pytest.raises(ValueError, match="above 0"):
            await mesh.call("a", "b", timeout=seconds)
        with pytest.raises(ValueError, match="above 0"):
            mesh.stream("a", "b", timeout=seconds)


async def test_a_refusal_says_what_the_node_says(node: FakeNode) -> None:
    node.refusals = [HTTPStatus.FORBIDDEN]
    node.because = '{"error":"not this Origin","code":"forbidden"}'
    with pytest.raises(lambdamesh.Forbidden, match=r"refused the connection: 403 not this Origin$"):
        await lambdamesh.connect(node.url)


async def test_the_token_goes_into_a_header(node: FakeNode) -> None:
    async with lambdamesh.connect(node.url, token="sesame\n"):
        link = await node.link()
        assert link.head.headers["Authorization"] == "Bearer sesame"


async def test_as_many_calls_wait_as_may(node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lambdamesh.client.session.WAITING_REQUESTS", 3)
    states = States()
    async with lambdamesh.connect(node.url, on_state=states) as mesh:
        link = await node.link()
        node.refusals = [HTTPStatus.SERVICE_UNAVAILABLE] * 1000
        await link.cut()
        await states.wait(State.WAITING)
        waiting = [asyncio.create_task(mesh.call("a", "b")) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(lambdamesh.Overloaded) as raised:
            await mesh.call("a", "b")
        assert raised.value.delivered == "no"
        node.refusals = []
        link = await node.link()
        for _ in range(3):
            asked = await link.request("POST /lambda/a/b")
            await link.send(id=asked["id"], result=1)
        assert await asyncio.gather(*waiting) == [1, 1, 1]


async def test_fragments_make_one_message(node: FakeNode) -> None:
    async with lambdamesh.connect(node.url) as mesh:
        link = await node.link()
        calling = asyncio.create_task(mesh.call("a", "b"))
        asked = await link.request("POST /lambda/a/b")
        text = json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": "é" * 1000})
        await link.ws.send([text[:50], text[50:500], text[500:]])
        assert await calling == "é" * 1000
