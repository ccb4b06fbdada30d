"""Whom a node trusts: one secret or several, an organisation's own certificates, and how they are changed."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.integration.mesh.mishaps import stream_of
from tests.integration.mesh.strangers import Ended, Stranger, context_with, the_refusal
from tests.json_rpc_2 import Provider2
from tests.meshes import Mesh, call, counters, secret, secret_file
from tests.nodes import Node, until
from tests.organisation import Files, Organisation, private, written
from tests.providers import Answering, echo

BAD_CONFIGURATION = 78
NOW = datetime.now(UTC)
BEGAN, ENDED, ENDS = NOW - timedelta(days=60), NOW - timedelta(days=1), NOW + timedelta(days=60)

Start = Callable[..., Node]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a node that joins others: ``start(mesh_secret_file=..., peer=...)``."""
    nodes: list[Node] = []

    def start_one(*, is_awaited: bool = True, **settings: object) -> Node:
        number = len(nodes) + 1
        node = Node(tmp_path / f"state{number}", {"mesh": "127.0.0.1:0", "host_name": f"node{number}", **settings})
        nodes.append(node)
        return node.ready() if is_awaited else node

    yield start_one
    for node in nodes:
        node.stop()
        assert not node.complaints()


def linked(*nodes: Node) -> None:
    """Wait until each of two nodes has a link to the other."""
    for node in nodes:
        until(lambda node=node: counters(node)["links"] == 1, "there is a link", 10)  # type: ignore[misc]


def folder(path: Path, *lines: str) -> Path:
    """A file of its own with secrets."""
    path.mkdir()
    return secret_file(path, *lines)


# -- secrets --------------------------------------------------------------------------------------------------------


def test_another_secret_is_refused_and_both_sides_say_so(start: Start, tmp_path: Path) -> None:
    one = start(mesh_secret_file=folder(tmp_path / "one"))
    other = start(mesh_secret_file=folder(tmp_path / "other"), peer=one.mesh_address)
    assert "--mesh-secret-file" in one.wait_log("link_refused")["why"]
    line = other.wait_log("link_failed")
    assert one.mesh_address in line["address"] and "--mesh-secret-file" in line["why"]
    assert counters(one)["links"] == counters(other)["links"] == 0
    assert counters(other)["mesh_degraded"] == 1
    with Answering(other.address, echo) as provider:
        assert call(other, provider.id) == (200, 1)
        status, body = call(one, provider.id)
        assert (status, body["code"]) in {(404, "lambda_not_found"), (502, "peer_unreachable")}
    # It is dialled again and again, and said once.
    until(lambda: counters(other)["links_failed"] >= 3, "it has tried again")
    assert len(other.log.wait("link_failed")) == 1
    assert len(one.log.wait("link_refused")) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "holds no mesh secret"),
        ("\n# nothing yet\n", "holds no mesh secret"),
        ("lms1_tooshort\n", "line 1 is no mesh secret"),
        ("password\n", "line 1 is no mesh secret"),
        ("\x00\xff\n", "line 1 is no mesh secret"),
    ],
    ids=["empty", "a remark", "too short", "a password", "binary"],
)
def test_a_file_without_a_secret_exits_78(start: Start, tmp_path: Path, content: str, said: str) -> None:
    path = private(tmp_path / "mesh.secret", content.encode("latin-1"))
    node = start(mesh_secret_file=path, is_awaited=False)
    assert node.wait() == BAD_CONFIGURATION
    assert said in node.log.text() and path in node.log.text() and "lambdamesh secret" in node.log.text()
    assert content.strip() == "" or content.strip() not in node.log.text()


def test_a_file_that_is_not_there_exits_78(start: Start, tmp_path: Path) -> None:
    node = start(mesh_secret_file=tmp_path / "nowhere", is_awaited=False)
    assert node.wait() == BAD_CONFIGURATION
    assert "No such file" in node.log.text() and "--mesh-secret-file" in node.log.text()


def test_a_secret_is_changed_while_the_mesh_runs(start: Start, tmp_path: Path) -> None:
    old, new = secret(), secret()
    paths = [folder(tmp_path / "one", old), folder(tmp_path / "two", old)]
    one = start(mesh_secret_file=paths[0])
    two = start(mesh_secret_file=paths[1], peer=one.mesh_address)
    linked(one, two)

    def write(*lines: str) -> None:
        for node, path in zip((one, two), paths, strict=True):
            reloaded = sum(line.get("event") == "mesh_trust_reloaded" for line in node.logs)
            path.write_text("".join(f"{line}\n" for line in lines), "ascii")
            node.signal(signal.SIGHUP)
            node.wait_log("mesh_trust_reloaded", count=reloaded + 1)
            items.send()

    def welcome(text: str) -> None:
        for node in (one, two):
            with Stranger.with_secret(node, text) as stranger:
                stranger.met()

    def unwelcome(text: str) -> None:
        for node in (one, two):
            with Stranger.with_secret(node, text) as stranger, pytest.raises(Ended):
                stranger.met()

    with Provider2(one).accept() as provider, stream_of(two, provider) as items:
        items.send()
        welcome(old)
        unwelcome(new)
        write(old, new)
        welcome(old)
        welcome(new)
        write(new, old)
        welcome(old)
        welcome(new)
        write(new)
        welcome(new)
        unwelcome(old)
        items.send()
    with Answering(one.address, echo) as provider_2:
        assert call(two, provider_2.id) == (200, 1)
    for node in (one, two):
        lost = [line for line in node.logs if line.get("event") == "link_lost"]
        assert all(line["node"].startswith("stranger") for line in lost), lost
    third = start(mesh_secret_file=folder(tmp_path / "three", new), peer=one.mesh_address)
    linked(third)
    for text in (old, new):
        assert not any(text in node.log.text() for node in (one, two, third))


def test_a_secret_that_cannot_be_read_changes_nothing(start: Start, tmp_path: Path) -> None:
    path = folder(tmp_path / "one")
    text = path.read_text("ascii")
    node = start(mesh_secret_file=path)
    path.write_text("lms1_oops\n", "ascii")
    node.signal(signal.SIGHUP)
    assert "line 1" in node.wait_log("mesh_trust_not_reloaded")["why"]
    with Stranger.with_secret(node, text) as stranger:
        stranger.met()


# -- certificates of one's own --------------------------------------------------------------------------------------


def own(files: Files, machine: str) -> dict[str, object]:
    """The settings of a node that has its certificate from an organisation."""
    ca, cert, key = files
    return {"mesh_ca": ca, "mesh_cert": cert, "mesh_key": key, "machine_id": machine}


@pytest.fixture
def organisation() -> Organisation:
    return Organisation("Example CA", began=BEGAN, ends=ENDS)


def issued(organisation: Organisation, machine: str, path: Path, ends: datetime = ENDS) -> dict[str, object]:
    certificate = organisation.issue(f"lambdamesh:node:{machine}", began=BEGAN, ends=ends)
    return own(written(path, organisation.pem, certificate), machine)


def test_nodes_trust_certificates_of_their_organisation(
    start: Start, tmp_path: Path, organisation: Organisation
) -> None:
    one = start(**issued(organisation, "00000001", tmp_path / "one"))
    two = start(**issued(organisation, "00000002", tmp_path / "two"), peer=one.mesh_address)
    linked(one, two)
    with Answering(one.address, echo) as provider:
        assert call(two, provider.id) == (200, 1)
    foreign = start(**issued(Organisation("Other CA", began=BEGAN, ends=ENDS), "00000003", tmp_path / "three"))
    foreign.stop()
    with Stranger(
        one,
        context_with(
            organisation.pem, Organisation("Third CA", began=BEGAN, ends=ENDS).issue("lambdamesh:node:00000004")
        ),
        4,
    ) as stranger:
        assert stranger.ended() == b""
    assert "--mesh-ca" in the_refusal(one, stranger.source)


def test_an_expired_certificate_is_named_with_its_date(
    start: Start, tmp_path: Path, organisation: Organisation
) -> None:
    date = f"{ENDED:%Y-%m-%dT%H:%M:%SZ}"
    node = start(**issued(organisation, "00000001", tmp_path / "one", ends=ENDED), is_awaited=False)
    assert node.wait() == BAD_CONFIGURATION
    assert f"expired on {date}" in node.log.text() and "--mesh-cert" in node.log.text()
    door = start(**issued(organisation, "00000002", tmp_path / "two"))
    expired = organisation.issue("lambdamesh:node:00000003", began=BEGAN, ends=ENDED)
    with Stranger(door, context_with(organisation.pem, expired), 3) as stranger:
        assert stranger.ended() == b""
    assert f"expired on {date}" in the_refusal(door, stranger.source)


def test_a_certificate_is_for_one_machine(start: Start, tmp_path: Path, organisation: Organisation) -> None:
    files = issued(organisation, "00000001", tmp_path / "one")
    node = start(**files | {"machine_id": "00000009"}, is_awaited=False)
    assert node.wait() == BAD_CONFIGURATION
    assert "that of machine 00000001" in node.log.text() and "--machine-id" in node.log.text()
    door = start(**issued(organisation, "00000002", tmp_path / "two"))
    certificate = organisation.issue("lambdamesh:node:00000001", began=BEGAN, ends=ENDS)
    with Stranger(door, context_with(organisation.pem, certificate), 9) as stranger:
        stranger.greet()
        why = stranger.goodbye()
    assert "00000009" in why and "00000001" in why
    assert the_refusal(door, stranger.source) == why


def test_a_certificate_that_is_no_nodes_gets_nothing(start: Start, tmp_path: Path, organisation: Organisation) -> None:
    door = start(**issued(organisation, "00000002", tmp_path / "two"))
    for uris in ((), ("https://node.example/",), ("lambdamesh:node:00000001", "lambdamesh:node:00000003")):
        certificate = organisation.issue(*uris, began=BEGAN, ends=ENDS)
        with Stranger(door, context_with(organisation.pem, certificate), 1) as stranger:
            assert stranger.ended() == b""
        assert "subjectAltName" in the_refusal(door, stranger.source)


def test_a_certificate_is_renewed_while_the_mesh_runs(start: Start, tmp_path: Path, organisation: Organisation) -> None:
    one = start(**issued(organisation, "00000001", tmp_path / "one"))
    two = start(**issued(organisation, "00000002", tmp_path / "two"), peer=one.mesh_address)
    linked(one, two)
    with Provider2(one).accept() as provider, stream_of(two, provider) as items:
        items.send()
        issued(organisation, "00000001", tmp_path / "one")
        one.signal(signal.SIGHUP)
        one.wait_log("mesh_trust_reloaded")
        items.send()
    assert counters(one)["links_lost"] == counters(two)["links_lost"] == 0


def test_links_stay_between_meshes_that_share_no_secret_any_more(start: Start, tmp_path: Path) -> None:
    mesh = Mesh(tmp_path)
    path = mesh.secret_file
    one = start(mesh_secret_file=path)
    two = start(mesh_secret_file=path, peer=one.mesh_address)
    linked(one, two)
    path.write_text(f"{secret()}\n", "ascii")
    one.signal(signal.SIGHUP)
    one.wait_log("mesh_trust_reloaded")
    with Answering(one.address, echo) as provider:
        assert call(two, provider.id) == (200, 1)
    assert counters(two)["links_opened"] == 1
