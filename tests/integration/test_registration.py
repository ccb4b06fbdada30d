"""What a lambda shows of its registration request, and what it must not show."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.nodes import Node
from tests.providers import Provider
from tests.wire import RAY

StartNode = Callable[..., Node]
OpenLambda = Callable[..., Provider]


# The headers of the registration


def headers_of(node: Node, provider: Provider) -> dict[str, list[str]]:
    shown: dict[str, list[str]] = node.fetch("GET", f"/lambda/{provider.id}").json()["headers"]
    return shown


def test_headers_are_lists_under_canonical_names(node: Node, open_lambda: OpenLambda) -> None:
    sent = [
        ("x-custom-thing", "one"),
        ("X-CUSTOM-THING", "two, three"),
        ("uSER-aGENT", "probe"),
        ("Lambda-Label", "ü".encode().decode("latin-1")),
    ]
    shown = headers_of(node, open_lambda(node, headers=sent))
    assert shown["X-Custom-Thing"] == ["one", "two, three"]
    assert shown["User-Agent"] == ["probe"]
    assert shown["Connection"] == ["Upgrade"]
    assert shown["Upgrade"] == ["websocket"]
    assert shown["Sec-Websocket-Version"] == ["13"]
    assert "Lambda-Label" in shown
    for name, values in shown.items():
        assert name == "-".join(part[:1].upper() + part[1:].lower() for part in name.split("-"))
        assert values
        assert all(isinstance(value, str) for value in values)


def test_the_node_adds_its_own(node: Node, open_lambda: OpenLambda) -> None:
    provider = open_lambda(node)
    shown = headers_of(node, provider)
    assert shown["P-Ip"] == ["127.0.0.1"]
    assert shown["P-Asn"] == ["AS0 Local"]
    assert shown["P-Ip-Geo"] == ["XX"]
    assert shown["X-Forwarded-Proto"] == ["http"]
    assert shown["X-Ray"] == [provider.ws.handshake.header("X-Ray")]
    assert RAY.fullmatch(shown["X-Ray"][0])
    assert len(shown["P-Internal"]) == 1


def test_a_client_cannot_speak_for_the_node(node: Node, open_lambda: OpenLambda) -> None:
    lies = [
        ("P-Ip", "6.6.6.6"),
        ("p-internal", "lie"),
        ("P-Asn", "AS666 Lie"),
        ("P-Ip-Geo", "LI"),
        ("P-Evil", "lie"),
        ("X-Ray", "lie"),
        ("x-ray", "0000000000000000-LIE"),
        ("X-Forwarded-Proto", "lie"),
    ]
    provider = open_lambda(node, headers=lies)
    shown = json.dumps(headers_of(node, provider)).lower()
    assert "lie" not in shown
    assert "6.6.6.6" not in shown
    assert "p-evil" not in shown
    assert provider.ws.handshake.header("X-Ray") not in ("lie", "0000000000000000-LIE", None)


def test_an_x_ray_of_the_client_is_not_taken_over(node: Node) -> None:
    assert (
        node.fetch("GET", "/ping", headers=[("X-Ray", "0000000000000000-LIE")]).header("X-Ray")
        != "0000000000000000-LIE"
    )


SECRETS = [
    ("Authorization", "Bearer sesame"),
    ("Proxy-Authorization", "Basic sesame"),
    ("Cookie", "session=sesame"),
    ("X-Api-Key", "sesame"),
    ("X-Auth-User", "sesame"),
    ("X-Auth-Token", "sesame"),
    ("Github-Token", "sesame"),
    ("X-CSRF-TOKEN", "sesame"),
    ("Client-Secret", "sesame"),
    ("Lambda-Resume-Key", "sesame"),
]


def test_secrets_are_never_kept(node: Node, open_lambda: OpenLambda) -> None:
    provider = open_lambda(node, headers=[*SECRETS, ("X-Kept", "yes")], subprotocols=("key.sesame", "json-rpc"))
    assert "X-Kept" in headers_of(node, provider)
    assert headers_of(node, provider)["Sec-Websocket-Protocol"] == ["json-rpc"]
    for target in ("/lambda", f"/lambda/{provider.id}", "/metrics"):
        assert b"sesame" not in node.fetch("GET", target).body
    assert "sesame" not in node.log.text()


def test_keys_and_tickets_of_the_address_are_never_kept(node: Node, open_lambda: OpenLambda) -> None:
    open_lambda(node, "/lambda/new?key=sesame&ticket=sesame")
    assert b"sesame" not in node.fetch("GET", "/lambda").body
    assert "sesame" not in node.log.text()


def test_registration_headers_are_bounded_in_lines(node: Node, open_lambda: OpenLambda) -> None:
    provider = open_lambda(node, headers=[(f"X-N{n}", "v") for n in range(80)])
    kept = [value for name, values in headers_of(node, provider).items() if name.startswith("X-N") for value in values]
    assert 10 <= len(kept) <= 32


def test_registration_headers_are_bounded_in_bytes(node: Node, open_lambda: OpenLambda) -> None:
    provider = open_lambda(node, headers=[("X-Long", "v" * 5000), *((f"X-Mid{n}", "v" * 900) for n in range(5))])
    own = {"P-Internal", "P-Ip", "P-Asn", "P-Ip-Geo", "X-Forwarded-Proto", "X-Ray"}
    kept = {name: values for name, values in headers_of(node, provider).items() if name not in own}
    assert sum(len(name) + sum(map(len, values)) for name, values in kept.items()) <= 2048
