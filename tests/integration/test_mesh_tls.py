"""TLS between nodes on real sockets, on both event loops: who is let in, and what is said of who is not."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import struct
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvloop

from lambdamesh.access.mesh_secret import mint_secret
from lambdamesh.access.mesh_trust import MeshTrust
from tests.integration.shaking_hands import (
    PATIENCE_S,
    Foreign,
    Speaker,
    between,
    foreign_context,
    listens,
    says,
    tls,
    with_foreign,
)
from tests.organisation import MACHINE, NODE, OTHER, OTHER_NODE, Issued, Organisation, private, written

SECRET, OTHER_SECRET = mint_secret(), mint_secret()
SAME_SECRET = "give both nodes the same --mesh-secret-file"
SAME_CA = "give both nodes the same --mesh-ca"
FOREVER = datetime(9999, 1, 1, tzinfo=UTC)
HTTP = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Run a coroutine on one of the two event loops."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        yield lambda work: runner.run(asyncio.wait_for(work, 6 * PATIENCE_S))


def node(path: Path, *secrets: str, machine: int = MACHINE) -> MeshTrust:
    return MeshTrust(machine=machine, secret_file=private(path, "\n".join(secrets).encode()))


@pytest.fixture
def trust(tmp_path: Path) -> MeshTrust:
    return node(tmp_path / "mesh.secret", SECRET)


PUBLIC = trustme.CA(organization_name="A public CA")
PUBLIC_LEAF = PUBLIC.issue_cert("node.example")


# --- nodes of one mesh, and of two ---


def test_two_nodes_with_one_secret_know_each_other_s_machine(run: Run, tmp_path: Path, trust: MeshTrust) -> None:
    other = node(tmp_path / "other", SECRET, machine=OTHER)
    assert run(between(trust, other)) == ("00000007", "46301aae")


def test_two_nodes_with_two_secrets_name_the_remedy_on_both_sides(run: Run, tmp_path: Path, trust: MeshTrust) -> None:
    at_server, at_client = run(between(trust, node(tmp_path / "other", OTHER_SECRET, machine=OTHER)))
    assert (
        at_client
        == f"its certificate is of another mesh or of a foreign CA, which this node does not trust: {SAME_SECRET}"
    )
    # Whether the loop lets the alert out is the loop's affair.
    assert re.match("it (hung up|does not trust the certificate of this node)", at_server)
    assert at_server.endswith(SAME_SECRET)


def test_rotation_goes_node_by_node(run: Run, tmp_path: Path) -> None:
    a = node(tmp_path / "a", OTHER_SECRET, machine=1)
    b = node(tmp_path / "b", SECRET, OTHER_SECRET, machine=2)
    c = node(tmp_path / "c", SECRET, machine=3)
    assert run(between(b, c)) == ("00000003", "00000002")
    assert run(between(c, b)) == ("00000002", "00000003")
    for one, two in ((a, c), (c, a)):
        assert all(SAME_SECRET in text for text in run(between(one, two)))
    b2 = node(tmp_path / "b2", OTHER_SECRET, SECRET, machine=2)
    assert run(between(a, b2)) == ("00000002", "00000001")
    assert run(between(b2, a)) == ("00000001", "00000002")


def test_a_reload_leaves_a_link_alone_and_holds_for_the_next(run: Run, tmp_path: Path, trust: MeshTrust) -> None:
    other = node(tmp_path / "other", SECRET, machine=OTHER)

    async def story() -> None:
        ours, theirs = Speaker(), Speaker()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            await asyncio.gather(ours.accept(trust, listener), theirs.dial(other, listener))
        private(tmp_path / "mesh.secret", OTHER_SECRET.encode())
        trust.reload()
        assert SAME_SECRET in (await between(trust, other))[1]
        ours.transport.write(b"still")
        theirs.transport.write(b"here")
        assert [await ours.heard, await theirs.heard] == [b"here", b"still"]
        private(tmp_path / "other", OTHER_SECRET.encode())
        other.reload()
        assert await between(trust, other) == ("00000007", "46301aae")
        ours.close()
        theirs.close()

    run(story())


# --- who knocks at the door of a node ---


def refusing_client(connection: socket.socket) -> None:
    tls(foreign_context(is_server=False, trusted=PUBLIC), is_server=False)(connection)


def old_client(connection: socket.socket) -> None:
    context = foreign_context(is_server=False, shown=PUBLIC_LEAF)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    tls(context, is_server=False)(connection)


def resetting(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize(
    ("foreign", "said"),
    [
        (
            tls(foreign_context(is_server=False, shown=PUBLIC_LEAF), is_server=False),
            f"its certificate is of another mesh or of a foreign CA, which this node does not trust: {SAME_SECRET}",
        ),
        (
            tls(foreign_context(is_server=False), is_server=False),
            f"it showed no certificate, so it is no node of this mesh: {SAME_SECRET}",
        ),
        (
            refusing_client,
            f"it does not trust the certificate of this node, which is of another mesh to it: {SAME_SECRET}",
        ),
        (old_client, "it does not speak TLS 1.3, which nodes need: is it a node, or is a proxy between?"),
        (
            lambda connection: says(connection, HTTP),
            "it spoke HTTP at the mesh door, which is for nodes only: use the local door",
        ),
        (
            lambda connection: says(connection, b"SSH-2.0-OpenSSH_9.2\r\n"),
            "it spoke something that is not TLS at the mesh door, which is for nodes only: use the local door",
        ),
        (
            lambda connection: None,
            "it hung up during the handshake, as a node does that does not trust this one, or a port scan: "
            + SAME_SECRET,
        ),
        (
            resetting,
            "it hung up during the handshake, as a node does that does not trust this one, or a port scan: "
            + SAME_SECRET,
        ),
    ],
    ids=["public CA", "no certificate", "refuses ours", "TLS 1.2", "HTTP", "SSH", "closes", "resets"],
)
def test_a_stranger_at_the_door_gets_nothing_and_one_clear_sentence(
    run: Run, trust: MeshTrust, foreign: Foreign, said: str
) -> None:
    assert run(with_foreign(trust, foreign, is_server=True)) == said


@pytest.mark.parametrize("words", [b"", b"\x16\x03", b"hi\n"], ids=["nothing", "half a record", "a word"])
def test_who_says_too_little_is_given_up(run: Run, trust: MeshTrust, words: bytes) -> None:
    seen = run(with_foreign(trust, lambda connection: says(connection, words), is_server=True, patience_s=0.2))
    assert seen == "it did not finish the TLS handshake in time: it is overloaded, or no node"


# --- what answers where a node dials ---


def old_server(connection: socket.socket) -> None:
    context = foreign_context(is_server=True, shown=PUBLIC_LEAF)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    tls(context, is_server=True)(connection)


def answers(words: bytes) -> Foreign:
    """A server of another protocol: it waits for the first bytes, and then speaks its own."""

    def answer(connection: socket.socket) -> None:
        connection.recv(10_000)
        connection.sendall(words)

    return answer


@pytest.mark.parametrize(
    ("foreign", "said"),
    [
        (
            tls(foreign_context(is_server=True, shown=PUBLIC_LEAF), is_server=True),
            f"its certificate is of another mesh or of a foreign CA, which this node does not trust: {SAME_SECRET}",
        ),
        (old_server, "it does not speak TLS 1.3, which nodes need: is it a node, or is a proxy between?"),
        (
            answers(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            "what answers there does not speak TLS: dial the mesh door of a node (port 7631 by default)",
        ),
        (
            lambda connection: connection.recv(10_000) and None,
            f"it hung up, as a node does that does not trust this one; its log says why: {SAME_SECRET}",
        ),
        (resetting, f"it hung up, as a node does that does not trust this one; its log says why: {SAME_SECRET}"),
    ],
    ids=["public CA", "TLS 1.2", "HTTP", "closes", "resets"],
)
def test_what_is_no_node_is_told_of_in_one_clear_sentence(
    run: Run, trust: MeshTrust, foreign: Foreign, said: str
) -> None:
    assert run(with_foreign(trust, foreign, is_server=False)) == said


def test_what_never_answers_is_given_up(run: Run, trust: MeshTrust) -> None:
    seen = run(with_foreign(trust, lambda connection: says(connection, b""), is_server=False, patience_s=0.2))
    assert seen == "it did not finish the TLS handshake in time: it is overloaded, or no node's mesh door"


def lends_its_certificate(tmp_path: Path, directory: str = "lent") -> tuple[Organisation, MeshTrust, Issued]:
    """An organisation with a node, and a second certificate of the same CA."""
    organisation = Organisation("Example CA", ends=FOREVER)
    files = written(tmp_path / directory, organisation.pem, organisation.issue(NODE, ends=FOREVER))
    return organisation, MeshTrust(machine=MACHINE, **files._asdict()), organisation.issue(OTHER_NODE, ends=FOREVER)


@pytest.mark.parametrize(
    ("is_blunt", "said"),
    [
        (False, f"it does not trust the certificate of this node, which is of another mesh to it: {SAME_CA}"),
        (True, f"it hung up, as a node does that does not trust this one; its log says why: {SAME_CA}"),
    ],
    ids=["with an alert", "without a word"],
)
def test_a_refusal_after_the_own_handshake_is_read_from_the_first_read(
    run: Run, tmp_path: Path, is_blunt: bool, said: str
) -> None:
    """The server is trusted, and trusts somebody else: under TLS 1.3 the client is connected before it is refused."""
    _, ours, lent = lends_its_certificate(tmp_path)
    context = foreign_context(is_server=True, trusted=None if is_blunt else PUBLIC)
    context.load_cert_chain(private(tmp_path / "pem", lent.chain + lent.key))

    def blunt(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(100)

    foreign = blunt if is_blunt else tls(context, is_server=True)
    assert run(with_foreign(ours, foreign, is_server=False)) == said


# --- certificates of an organisation ---


@pytest.mark.parametrize("is_server", [True, False], ids=["dials us", "is dialled"])
@pytest.mark.parametrize(
    ("uris", "ends", "said"),
    [
        ((OTHER_NODE,), FOREVER, "^00000007$"),
        ((OTHER_NODE,), datetime(2025, 6, 1, tzinfo=UTC), "its certificate expired on 2025-06-01T00:00:00Z: renew it"),
        ((), FOREVER, "its certificate names no machine"),
        ((OTHER_NODE, NODE), FOREVER, "its certificate names 2 machines"),
    ],
    ids=["a node", "expired", "no node", "two nodes"],
)
def test_only_certificates_of_nodes_are_nodes(
    run: Run, tmp_path: Path, uris: tuple[str, ...], ends: datetime, said: str, is_server: bool
) -> None:
    organisation, ours, _ = lends_its_certificate(tmp_path)
    shown = organisation.issue(*uris, ends=ends)
    context = foreign_context(is_server=not is_server)
    context.load_cert_chain(private(tmp_path / "pem", shown.chain + shown.key))

    def greet(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=not is_server) as secured:
            secured.sendall(b"hello")
            listens(secured)

    assert re.search(said, run(with_foreign(ours, greet, is_server=is_server)))


def test_a_node_of_a_secret_and_one_of_an_organisation_are_strangers(
    run: Run, tmp_path: Path, trust: MeshTrust
) -> None:
    _, ours, _ = lends_its_certificate(tmp_path)
    at_server, at_client = run(between(ours, trust))
    assert at_server.endswith(SAME_CA) and at_client.endswith(SAME_SECRET)


# --- no resumption ---


def test_no_session_is_ever_resumed(run: Run, tmp_path: Path) -> None:
    """A client that keeps sessions, as libraries do, has to show its certificate again each time."""
    _, ours, lent = lends_its_certificate(tmp_path)
    context = foreign_context(is_server=False)
    context.load_cert_chain(private(tmp_path / "pem", lent.chain + lent.key))
    sessions: list[ssl.SSLSession | None] = [None]
    reused: list[bool | None] = []

    def come_again(connection: socket.socket) -> None:
        with context.wrap_socket(connection, session=sessions[-1]) as secured:
            secured.sendall(b"hello")
            assert secured.recv(100) == b"hello"  # whatever else the node sends at a handshake has come before
            sessions.append(secured.session)
            reused.append(secured.session_reused)

    for _ in range(2):
        assert run(with_foreign(ours, come_again, is_server=True)) == "00000007"
    assert reused == [False, False]
    assert not any(session.has_ticket for session in sessions if session is not None)
