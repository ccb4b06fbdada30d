"""Every route but the call: what it answers."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from tests.integration.test_registration import SECRETS
from tests.lambda_ids import parse, sibling, stranger
from tests.nodes import Node
from tests.providers import Answering, Provider
from tests.wire import RawHttp, refused, request, sound

StartNode = Callable[..., Node]
OpenLambda = Callable[..., Provider]


MEMBERS = {"id", "timestamp", "code", "state", "headers"}
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d)")


# Lambdas


def test_the_listing_maps_ids_to_lambdas(node: Node, open_lambda: OpenLambda) -> None:
    first, second = open_lambda(node), open_lambda(node)
    listing = node.fetch("GET", "/lambda").json()
    assert all(set(shown) == MEMBERS and shown["id"] == lambda_id for lambda_id, shown in listing.items())
    for opened in (first, second):
        shown = listing[opened.id]
        assert (shown["code"], shown["state"]) == ("json-rpc", "open")


def test_one_lambda_is_as_in_the_listing(node: Node, open_lambda: OpenLambda) -> None:
    lambda_id = open_lambda(node).id
    assert node.fetch("GET", f"/lambda/{lambda_id}").json() == node.fetch("GET", "/lambda").json()[lambda_id]


def test_pretty_indents_a_listing(node: Node, echo: Answering) -> None:
    with RawHttp(node.address) as http:
        flat, indented = http.ask("GET", f"/lambda/{echo.id}"), http.ask("GET", f"/lambda/{echo.id}?pretty")
    assert b"\n" not in flat.body.strip()
    assert indented.body.count(b"\n") > len(MEMBERS)
    assert indented.json() == flat.json()


@pytest.mark.parametrize("verb", ["GET", "HEAD", "DELETE"])
def test_a_lambda_that_never_was_is_404(node: Node, echo: Answering, verb: str) -> None:
    for lambda_id in (sibling(echo.id), stranger(echo.id)):
        answer = sound(node.fetch(verb, f"/lambda/{lambda_id}"))
        assert answer.status == 404
        if verb != "HEAD":
            refused(answer, 404, "lambda_not_found")


@pytest.mark.parametrize(
    "lambda_id", ["x", "rhowRuuCUoE5vlc", "rhowRuuCUoE5vlcAA", "rhowRuuCUoE5vl+A", "rhowRuuCUoE5vl%2FA"]
)
@pytest.mark.parametrize("verb", ["GET", "DELETE"])
def test_a_bad_id_is_400(node: Node, verb: str, lambda_id: str) -> None:
    refused(sound(node.fetch(verb, f"/lambda/{lambda_id}")), 400, "bad_request")


@pytest.fixture
def populated(start_node: StartNode, open_lambda: OpenLambda) -> tuple[Node, list[str]]:
    """A node of its own with five lambdas."""
    own = start_node(listing_lambdas=4)
    return own, [open_lambda(own).id for _ in range(5)]


def test_count_limit_and_truncation(populated: tuple[Node, list[str]]) -> None:
    own, ids = populated
    assert own.fetch("GET", "/lambda?count").json() == {"count": 5}
    cut = own.fetch("GET", "/lambda?limit=3")
    assert len(cut.json()) == 3
    assert set(cut.json()) <= set(ids)
    assert cut.header("Lambda-Truncated") == "true"
    assert own.fetch("GET", "/lambda?limit=0").status in (200, 400)
    capped = own.fetch("GET", "/lambda")
    assert len(capped.json()) == 4
    assert capped.header("Lambda-Truncated") == "true"


def test_a_whole_listing_is_not_truncated(node: Node, echo: Answering) -> None:
    assert node.fetch("GET", "/lambda?limit=10000").header("Lambda-Truncated") is None
    assert node.fetch("GET", "/lambda").header("Lambda-Truncated") is None


@pytest.mark.parametrize("limit", ["x", "-1", "1.5", ""])
def test_a_bad_limit_is_400(node: Node, limit: str) -> None:
    refused(node.fetch("GET", f"/lambda?limit={limit}"), 400, "bad_request")


def test_a_node_alone_is_the_whole_mesh(node: Node, echo: Answering) -> None:
    answer = node.fetch("GET", "/lambda?scope=mesh")
    assert echo.id in answer.json()
    assert answer.header("Lambda-Unreachable") is None


def test_ids_are_of_one_machine_and_rise(node: Node, open_lambda: OpenLambda) -> None:
    ids = [parse(open_lambda(node).id) for _ in range(5)]
    assert len({one.machine for one in ids}) == 1
    assert ids[0].machine != 0
    assert [one.uid for one in ids] == sorted({one.uid for one in ids})


def test_the_timestamp_is_that_of_the_id_with_the_local_offset(start_node: StartNode, open_lambda: OpenLambda) -> None:
    own = start_node(TZ="XXX-05:30")
    provider = open_lambda(own)
    text = own.fetch("GET", f"/lambda/{provider.id}").json()["timestamp"]
    assert RFC_3339.fullmatch(text)
    assert text.endswith("+05:30")
    at = datetime.fromisoformat(text)
    assert at.utcoffset() == timedelta(hours=5, minutes=30)
    assert round(at.timestamp() * 1000) == parse(provider.id).at_ms


# DELETE


def test_delete_closes_for_good(node: Node, open_lambda: OpenLambda) -> None:
    provider = open_lambda(node)
    with RawHttp(node.address) as caller:
        caller.send(request("POST", f"/lambda/{provider.id}/m"))
        provider.next_call()
        answer = sound(node.fetch("DELETE", f"/lambda/{provider.id}"))
        assert (answer.status, answer.json()) == (200, {})
        refused(caller.answer(), 502, "lambda_lost")
    assert provider.ws.close_code() == 4410
    assert provider.id not in node.fetch("GET", "/lambda").json()
    for verb in ("GET", "DELETE"):
        refused(node.fetch(verb, f"/lambda/{provider.id}"), 410, "lambda_gone")
    assert refused(node.fetch("POST", f"/lambda/{provider.id}/m"), 410, "lambda_gone").delivered == "no"


# The node itself


def test_ping_is_the_host_name(node: Node) -> None:
    assert node.fetch("GET", "/ping").json() == socket.gethostname()


def test_version(node: Node) -> None:
    version = node.fetch("GET", "/version").json()
    assert re.fullmatch(r"\d+\.\d+(\.\d+)?\S*", version)
    assert node.fetch("GET", "/").json() == version
    assert node.fetch("GET", "/", headers=[("Accept", "application/json")]).json() == version


@pytest.mark.parametrize("target", ["/peers", "/peers/alive"])
def test_a_node_alone_is_its_own_peer(node: Node, echo: Answering, target: str) -> None:
    (me,) = node.fetch("GET", target).json()
    described = {"machine_id", "host", "address", "version", "heartbeat", "alive", "me"}
    assert set(me) == described | {"state", "latency_ms", "lambdas"}
    assert (me["state"], me["latency_ms"], me["lambdas"]) == (
        "me",
        0,
        node.fetch("GET", "/lambda?count").json()["count"],
    )
    assert me["machine_id"] == f"{parse(echo.id).machine:08x}"
    assert me["host"] == socket.gethostname()
    assert me["version"] == node.fetch("GET", "/version").json()
    assert (me["alive"], me["me"]) == (True, True)


def test_debug_headers_shows_the_request_without_its_secrets(node: Node) -> None:
    answer = node.fetch(
        "GET", "/debug/headers?key=sesame&ticket=sesame&a=b", headers=[*SECRETS, ("X-Shown", "plainly")]
    )
    assert (answer.header("Content-Type") or "").startswith("text/plain")
    text = answer.body.decode()
    assert "plainly" in text
    assert "x-shown" in text.lower()
    assert "authorization" in text.lower()
    assert "sesame" not in text


def test_health(node: Node) -> None:
    for target in ("/healthz", "/readyz"):
        assert sound(node.fetch("GET", target)).status == 200


SAMPLE = re.compile(
    r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{[a-zA-Z_][a-zA-Z0-9_]*="[^"\n]*"(,[a-zA-Z_][a-zA-Z0-9_]*="[^"\n]*")*\})? (\S+)'
)


def metrics(node: Node) -> dict[str, float]:
    """Every sample, by name with labels."""
    samples = {}
    for line in node.fetch("GET", "/metrics").body.decode().splitlines():
        if line and not line.startswith("#"):
            found = SAMPLE.fullmatch(line)
            assert found, line
            samples[found[1] + (found[2] or "")] = float(found[4])
    return samples


def test_metrics_are_prometheus_text(node: Node, echo: Answering) -> None:
    answer = node.fetch("GET", "/metrics")
    assert (answer.header("Content-Type") or "").startswith("text/plain; version=")
    assert b"# TYPE " in answer.body
    assert any(name.startswith("lambdamesh_") for name in metrics(node))


def test_metrics_count_calls_without_naming_them(node: Node, echo: Answering) -> None:
    before = metrics(node)
    for _ in range(7):
        assert node.fetch("POST", f"/lambda/{echo.id}/peculiar", b"1").status == 200
    after = metrics(node)
    assert set(after) >= set(before)
    assert any(after[name] - before.get(name, 0.0) == 7.0 for name in after if name.startswith("lambdamesh_"))
    assert not any(echo.id in name or "peculiar" in name for name in after)


def test_metrics_have_no_series_for_what_clients_make_up(node: Node) -> None:
    before = set(metrics(node))
    for number in range(20):
        node.fetch("GET", f"/made-up/{number}")
        node.fetch("POST", f"/lambda/rhowRuuCUoE5vlc{'ABCDEFGHIJKLMNOPQRSTUVWXYZ'[number]}/m{number}")
    grown = set(metrics(node)) - before
    assert len(grown) < 10
    assert not any("made" in name for name in grown)
