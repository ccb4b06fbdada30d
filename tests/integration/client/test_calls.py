"""Functions are exposed and called through a real node."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import pytest

import lambdamesh
from lambdamesh import Mesh
from tests.integration.client import exposed_module
from tests.nodes import Node


class Pair(msgspec.Struct):
    a: int
    b: Annotated[int, msgspec.Meta(ge=0)]


@dataclass
class Point:
    x: float
    y: float = 0.0


async def echo(body: Any) -> Any:
    return {"echo": body}


async def add(pair: Pair) -> int:
    return pair.a + pair.b


def move(point: Point, by: float = 1.0) -> Point:
    return Point(point.x + by, point.y)


async def test_the_example_of_the_contract(mesh: Mesh) -> None:
    fn = await mesh.expose({"test": echo})
    assert len(fn.id) == 16
    assert fn.methods == ["test"]
    assert await mesh.call(fn.id, "test", {"hello": "world"}, timeout=5) == {"echo": {"hello": "world"}}


async def test_http_callers_reach_it(node: Node, mesh: Mesh) -> None:
    fn = await mesh.expose({"test": echo})
    answer = await asyncio.to_thread(node.fetch, "POST", f"/lambda/{fn.id}/test", b'{"hello":"world"}')
    assert (answer.status, answer.body) == (200, b'{"echo":{"hello":"world"}}')


async def test_two_clients(node: Node, mesh: Mesh) -> None:
    fn = await mesh.expose({"test": echo})
    async with lambdamesh.connect(node.authority) as other:
        assert await other.call(fn.id, "test", 1) == {"echo": 1}


async def test_types_are_the_contract(mesh: Mesh) -> None:
    fn = await mesh.expose({"add": add, "move": move})
    assert await mesh.call(fn.id, "add", Pair(1, 2)) == 3
    assert await mesh.call(fn.id, "move", {"point": {"x": 1}, "by": 2}, type=Point) == Point(3.0)
    assert await mesh.call(fn.id, "move", [{"x": 1}], type=Point) == Point(2.0)


async def test_a_body_that_does_not_fit_is_the_callers_error(mesh: Mesh) -> None:
    fn = await mesh.expose({"add": add})
    with pytest.raises(lambdamesh.InvalidParams, match=r"`\$\.b`") as raised:
        await mesh.call(fn.id, "add", {"a": 1, "b": -1})
    assert raised.value.rpc_code == -32602
    assert raised.value.delivered == "yes"
    assert raised.value.ray


async def test_a_result_of_another_type_than_asked_for(mesh: Mesh) -> None:
    fn = await mesh.expose({"test": echo})
    with pytest.raises(lambdamesh.BadAnswer, match="Expected `int`"):
        await mesh.call(fn.id, "test", 1, type=int)


async def test_each_code_has_its_class(mesh: Mesh) -> None:
    fn = await mesh.expose({"test": echo})
    with pytest.raises(lambdamesh.MethodNotFound):
        await mesh.call(fn.id, "other")
    with pytest.raises(lambdamesh.BadRequest):
        await mesh.call(fn.id, "open")
    await fn.close()
    with pytest.raises(lambdamesh.LambdaGone) as raised:
        await mesh.call(fn.id, "test")
    assert raised.value.delivered == "no"
    with pytest.raises(lambdamesh.CallError):
        await mesh.call("BAAAAAAAAAAAAAAA", "test")


async def test_a_method_of_any_name(mesh: Mesh) -> None:
    fn = await mesh.expose({"größe/µ ?#%": echo})
    assert await mesh.call(fn.id, "größe/µ ?#%", 1) == {"echo": 1}


async def test_thousands_of_lambdas_on_one_socket(mesh: Mesh) -> None:
    exposed = await asyncio.gather(*(mesh.expose({"test": echo}) for _ in range(2000)))
    assert len({fn.id for fn in exposed}) == 2000
    assert await mesh.call(exposed[-1].id, "test", 1) == {"echo": 1}


async def test_notifications(mesh: Mesh) -> None:
    seen: asyncio.Queue[Any] = asyncio.Queue()

    async def note(body: Any) -> None:
        seen.put_nowait(body)

    fn = await mesh.expose({"seen": note})
    await mesh.notify(fn.id, "seen", 42)
    assert await asyncio.wait_for(seen.get(), 5.0) == 42


async def test_a_module_and_an_object(mesh: Mesh) -> None:
    class Counter:
        def __init__(self) -> None:
            self.count = 0

        def up(self, by: int = 1) -> int:
            self.count += by
            return self.count

        def _hidden(self) -> None: ...

    module = await mesh.expose(exposed_module)
    counter = await mesh.expose(Counter())
    assert module.methods == ["double"]
    assert counter.methods == ["up"]
    assert await mesh.call(module.id, "double", 4) == 8
    assert [await mesh.call(counter.id, "up"), await mesh.call(counter.id, "up", 5)] == [1, 6]


async def test_the_default_lambda(mesh: Mesh) -> None:
    @mesh.method
    async def one() -> int:
        return 1

    @mesh.method("two")
    async def second() -> int:
        return 2

    fn = await mesh.expose()
    assert await mesh.expose() is fn

    @mesh.method
    async def three() -> int:
        return 3

    assert [await mesh.call(fn.id, name) for name in ("one", "two", "three")] == [1, 2, 3]
    described = await mesh.call(fn.id, "rpc.discover")
    assert [method["name"] for method in described["methods"]] == ["one", "two", "three"]


async def test_it_describes_itself(node: Node, mesh: Mesh) -> None:
    fn = await mesh.expose({"add": add})
    answer = await asyncio.to_thread(node.fetch, "POST", f"/lambda/{fn.id}/rpc.discover")
    document = json.loads(answer.body)
    (method,) = document["methods"]
    assert document["openrpc"].startswith("1.3")
    assert method["params"] == [{"name": "pair", "required": True, "schema": {"$ref": "#/components/schemas/Pair"}}]
    assert document["components"]["schemas"]["Pair"]["properties"]["b"] == {"type": "integer", "minimum": 0}


async def test_a_deleted_lambda_is_told(node: Node, mesh: Mesh) -> None:
    fn = await mesh.expose({"test": echo})
    other = await mesh.expose({"test": echo})
    await asyncio.to_thread(node.fetch, "DELETE", f"/lambda/{fn.id}")
    end = await asyncio.wait_for(fn.wait_ended(), 5.0)
    assert end.code == 4410
    assert other.end is None
    assert await mesh.call(other.id, "test", 1) == {"echo": 1}


async def test_large_bodies(mesh: Mesh) -> None:
    fn = await mesh.expose({"test": echo})
    text = "é" * 1_500_000
    assert await mesh.call(fn.id, "test", text) == {"echo": text}
    with pytest.raises(lambdamesh.TooLarge):
        await mesh.call(fn.id, "test", "x" * (17 << 20))


async def test_a_result_over_the_limit_is_its_own_calls_error(mesh: Mesh) -> None:
    async def large() -> str:
        return "x" * (17 << 20)

    fn = await mesh.expose({"large": large, "test": echo})
    with pytest.raises(lambdamesh.LambdaError, match="bytes"):
        await mesh.call(fn.id, "large")
    assert await mesh.call(fn.id, "test", 1) == {"echo": 1}


async def test_lone_surrogates_and_large_numbers_pass(node: Node, mesh: Mesh) -> None:
    fn = await mesh.expose({"test": echo})
    body = rb'["\ud800",12345678901234567890123]'
    answer = await asyncio.to_thread(node.fetch, "POST", f"/lambda/{fn.id}/test", body)
    assert answer.body == b'{"echo":%b}' % body
    answer = await asyncio.to_thread(node.fetch, "POST", f"/lambda/{fn.id}/test", b"12345678901234567890")
    assert answer.body == b'{"echo":12345678901234567890}'


async def test_a_unix_socket(start_node: Any, tmp_path: Any) -> None:
    path = tmp_path / "door.sock"
    start_node(local=f"unix:{path}")
    async with lambdamesh.connect(f"unix:{path}") as mesh:
        fn = await mesh.expose({"test": echo})
        assert await mesh.call(fn.id, "test", 1) == {"echo": 1}


async def test_a_door_with_a_token(start_node: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    file.write_text("open-sesame")
    file.chmod(0o600)
    node = start_node(local_token_file=file)
    with pytest.raises(lambdamesh.Unauthorized) as raised:
        await lambdamesh.connect(node.url, token="wrong-word")
    assert "wrong-word" not in str(raised.value)
    monkeypatch.setenv("LAMBDAMESH_TOKEN", "open-sesame")
    monkeypatch.setenv("LAMBDAMESH_URL", node.url)
    async with lambdamesh.connect() as mesh:
        assert mesh.url == node.url


def test_it_runs_on_uvloop_as_well(node: Node) -> None:
    uvloop = pytest.importorskip("uvloop")

    def count(n: int) -> Iterator[int]:
        yield from range(n)

    async def run() -> Any:
        async with lambdamesh.connect(node.url) as mesh:
            fn = await mesh.expose({"test": echo, "count": count})
            results = await asyncio.gather(*(mesh.call(fn.id, "test", number) for number in range(200)))
            return results, [item async for item in mesh.stream(fn.id, "count", 50)]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        results, items = runner.run(run())
    assert results == [{"echo": number} for number in range(200)]
    assert items == list(range(50))
