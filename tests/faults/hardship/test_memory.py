"""A node that gets no more memory: large bodies are refused, small calls go on, and it passes."""

from __future__ import annotations

import re
import resource
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from tests.faults.crowds.scale import node_settings
from tests.faults.hardship.conftest import StartMesh
from tests.faults.hardship.ids import Ids
from tests.integration.metering import metric
from tests.json_rpc_2 import Provider2, calling
from tests.nodes import Node, until
from tests.providers import Answering, echo
from tests.wire import Answer, RawHttp, WireError, request

MIB = 1 << 20
LARGE = b'"' + b"x" * (15 * MIB) + b'"'
AT_ONCE = 4
LEFT_MIB = (4, 12, 20, 28, 36, 44, 56, 72, 96, 144, 256)
"""How much memory the node may still take, one after the other: a body is refused at each step of its way."""


def leave_only(node: Node, more_bytes: int) -> tuple[int, int]:
    """Let the node map so much memory more; the limits before."""
    found = re.search(r"^VmSize:\s+([0-9]+) kB$", Path(f"/proc/{node.pid}/status").read_text(), re.MULTILINE)
    assert found
    before = resource.prlimit(node.pid, resource.RLIMIT_AS)
    resource.prlimit(node.pid, resource.RLIMIT_AS, (int(found[1]) * 1024 + more_bytes, before[1]))
    return before


def answer_or_end(http: RawHttp) -> Answer | None:
    """The answer to a large body; nothing where the node has ended the connection."""
    try:
        return http.answer()
    except (WireError, OSError):
        return None


def size(method: str, body: bytes) -> bytes:
    """How long the body is."""
    return b"%d" % len(body)


def large_calls(node: Node, lambda_id: str, steady: Callable[[], None], at_once: int = AT_ONCE) -> list[str]:
    """Make some calls with large bodies at once, and small ones beside them; what became of the large ones."""
    raw = request("POST", f"/lambda/{lambda_id}/m", LARGE)
    with ExitStack() as crowd:
        large = [crowd.enter_context(RawHttp(node.address)) for _ in range(at_once)]
        for http in large:
            # All but its end, so that all of them are there at once.
            http.send(raw[:-1])
            steady()
        for http in large:
            http.send(raw[-1:])
            steady()
        answers = [answer_or_end(http) for http in large]
    for one in answers:
        if one is not None and one.status == 200:
            assert one.json() == len(LARGE)
        elif one is not None:
            assert (one.status, one.delivered) in ((413, "no"), (502, "unknown"), (503, "no")), one
    return ["ended" if one is None else str(one.status) for one in answers]


def test_without_memory_for_large_bodies(start_mesh: StartMesh) -> None:
    [node] = start_mesh(1, **node_settings())
    ids = Ids()
    ids.mint(node)
    seen: list[str] = []
    with (
        Answering(node.address, echo) as small,
        Provider2(node).accept() as held,
        RawHttp(node.address) as http,
        calling(node, held.id) as caller,
    ):
        under_way = held.call()
        ids.saw(held.id)
        numbers = count(1)

        def steady() -> None:
            number = next(numbers)
            assert http.ask("POST", f"/lambda/{small.id}/m", b"%d" % number).json() == number

        steady()
        for left_mib in LEFT_MIB:
            with Answering(node.address, size) as provider:
                ids.saw(provider.id)
                before = leave_only(node, left_mib * MIB)
                found = large_calls(node, provider.id, steady)
                for _ in range(20):
                    steady()
                ids.mint(node, 1)
                resource.prlimit(node.pid, resource.RLIMIT_AS, before)
            print(f"{AT_ONCE} bodies of 15 MiB with {left_mib} MiB left: {found}")
            seen += found
            until(lambda: metric(node, "buffered_bytes") == 0, "what they held is given back")
        assert "503" in seen and "200" in seen, seen
        assert "memory" in node.wait_log("out_of_memory")["why"]
        held.answer(under_way, "once")
        assert caller.answer().json() == "once" and caller.quiet()
        with Answering(node.address, size) as provider:
            assert large_calls(node, provider.id, steady, 1) == ["200"]
        for name in ("calls_in_flight", "buffered_bytes"):
            assert metric(node, name) == 0
    assert node.process.poll() is None
