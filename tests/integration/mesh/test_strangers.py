"""Whoever knocks at the mesh door without being a node of the mesh, or is one and tells what is not true."""

from __future__ import annotations

import json
import socket
import ssl
import struct
from collections.abc import Callable
from contextlib import suppress

import pytest
import trustme

from lambdamesh.access.mesh_secret import mint_secret
from lambdamesh.protocol.link_frames import HEAD, Kind, frame, topic_frame
from tests.integration.mesh.mishaps import timed
from tests.integration.mesh.strangers import HELLO_S, Stranger, context_of, knock, the_refusal
from tests.meshes import Mesh, counters, peer_row
from tests.nodes import until

PUBLIC = trustme.CA(organization_name="A public CA")
TLS_ALERT = 0x15
GET = b"GET /lambda HTTP/1.1\r\nHost: localhost\r\n\r\n"

Knock = Callable[[socket.socket], bytes]
"""What somebody does at the door; what came back."""


def in_plain(text: bytes) -> Knock:
    def knocks(sock: socket.socket) -> bytes:
        sock.sendall(text)
        return rest_of(sock)

    return knocks


def in_tls(context: ssl.SSLContext) -> Knock:
    def knocks(sock: socket.socket) -> bytes:
        with suppress(ssl.SSLError, ConnectionError):
            tls = context.wrap_socket(sock)
            tls.sendall(GET)
            return rest_of(tls)
        return b""

    return knocks


def rest_of(sock: socket.socket) -> bytes:
    found = b""
    with suppress(ssl.SSLError, ConnectionError):
        while piece := sock.recv(1 << 16):
            found += piece
    return found


def trusting(*, certified_by: trustme.CA | None = None, most: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """A client that asks nobody who they are."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if certified_by is not None:
        certified_by.issue_cert("node.example").configure_cert(context)
    if most is not None:
        context.maximum_version = most
    return context


STRANGERS: dict[str, tuple[Knock, str]] = {
    "plain TCP": (in_plain(b"hello\n" * 20), "not TLS"),
    "plain HTTP": (in_plain(GET), "HTTP"),
    "nothing at all": (in_plain(b""), "in time"),
    "half a handshake": (in_plain(b"\x16\x03\x01\x01\x00\x01\x00"), "in time"),
    "TLS without a certificate": (in_tls(trusting()), "no certificate"),
    "TLS with a certificate of a public CA": (in_tls(trusting(certified_by=PUBLIC)), "another mesh or of a foreign CA"),
    "TLS 1.2": (in_tls(trusting(certified_by=PUBLIC, most=ssl.TLSVersion.TLSv1_2)), "TLS 1.3"),
    "a secret of another mesh": (in_tls(context_of(mint_secret(), 7)), "--mesh-secret-file"),
}


@pytest.mark.parametrize("who", STRANGERS)
def test_who_is_no_node_gets_nothing_and_one_line_in_the_log(pair: Mesh, who: str) -> None:
    door = pair.nodes[0]
    knocks, why = STRANGERS[who]
    before = counters(door)["links_refused"]
    with knock(door) as sock:
        source = sock.getsockname()[0]
        heard, took_s = timed(lambda: knocks(sock))
    # Why a handshake failed TLS itself says, in an alert of two bytes.
    assert heard == b"" or (heard[0] == TLS_ALERT and len(heard) == 7), heard
    assert took_s < 2 * HELLO_S
    refusal = the_refusal(door, source)
    assert why in refusal, refusal
    assert counters(door)["links_refused"] > before


def test_the_mesh_door_serves_links_only(pair: Mesh) -> None:
    door = pair.nodes[0]
    with Stranger.with_secret(door, pair.secret_file) as stranger:
        stranger.send(GET)
        heard = stranger.ended()
    assert b"HTTP/" not in heard
    assert "node" in the_refusal(door, stranger.source)


# -- certified, and not as they should be ---------------------------------------------------------------------------


def test_a_node_is_who_its_certificate_says(pair: Mesh) -> None:
    door = pair.nodes[0]
    with Stranger.with_secret(door, pair.secret_file, 0x77777701) as stranger:
        stranger.greet(machine="77777702")
        why = stranger.goodbye()
    assert "77777701" in why and "77777702" in why
    assert the_refusal(door, stranger.source) == why
    assert peer_row(door, "77777701") == peer_row(door, "77777702") == {}


def dialled_as(pair: Mesh, machine_id: str) -> tuple[str, str]:
    """Dial the first node with a certificate of a machine id that is taken; what is said, and what is logged."""
    door = pair.nodes[0]
    with Stranger.with_secret(door, pair.secret_file, int(machine_id, 16)) as stranger:
        stranger.greet()
        return stranger.goodbye(), the_refusal(door, stranger.source)


def test_another_node_with_the_machine_id_of_this_one_is_refused(pair: Mesh) -> None:
    machine_id = pair.nodes[0].machine_id
    said, logged = dialled_as(pair, machine_id)
    assert said == logged
    assert machine_id in said and "--machine-id" in said


def test_another_node_with_the_machine_id_of_one_that_has_a_link_is_refused(pair: Mesh) -> None:
    door, other = pair
    opened = counters(door)["links_opened"]

    def is_sure() -> bool:
        # A link that was silent is asked first, and stays.
        said, logged = dialled_as(pair, other.machine_id)
        assert said == logged and other.machine_id in said
        return "--machine-id" in said

    until(is_sure, "it is told that the machine id is in use")
    assert peer_row(door, other.machine_id)["state"] == "up"
    assert counters(door)["links_opened"] == opened


def test_versions_that_nobody_here_speaks_are_refused_with_both_ranges(pair: Mesh) -> None:
    door = pair.nodes[0]
    with Stranger.with_secret(door, pair.secret_file) as stranger:
        stranger.greet(versions=(7, 9))
        why = stranger.goodbye()
    assert "1 to 2" in why and "7 to 9" in why
    assert the_refusal(door, stranger.source) == why


def test_of_a_range_of_versions_the_common_one_is_spoken(pair: Mesh) -> None:
    with Stranger.with_secret(pair.nodes[0], pair.secret_file) as stranger:
        assert stranger.met(versions=(0, 9))["versions"] == [1, 2]


def test_frames_of_unknown_kinds_are_skipped(pair: Mesh) -> None:
    with Stranger.with_secret(pair.nodes[0], pair.secret_file) as stranger:
        stranger.met()
        for kind in (0, 6, 15, 23, 35, 99, 255):
            stranger.send(HEAD.pack(5 + 300, kind, kind) + bytes(300))
        stranger.settle()


def test_a_topic_that_nobody_knows_is_refused_and_told_ones_are_skipped(pair: Mesh) -> None:
    with Stranger.with_secret(pair.nodes[0], pair.secret_file) as stranger:
        stranger.met()
        stranger.tell("moonlight", {"is_full": True})
        stranger.tell("left", "what")
        stranger.send(frame(Kind.TELL, 1, b"\x02\xff\xfe{}"))
        stranger.send(frame(Kind.HELLO, 0, b"{}"))
        stranger.send(topic_frame(Kind.ASK, 3, "moonlight", b"{}"))
        assert json.loads(stranger.next(Kind.FAULT).payload)["code"] == "bad_request"
        stranger.settle()


GARBAGE = {
    "no frame": struct.pack(">I", 0xFFFF_FFFF) + bytes(100),
    "a frame of nothing": struct.pack(">I", 0) + bytes(100),
    "another frame first": frame(Kind.PING, 1),
    "a hello that is no JSON": frame(Kind.HELLO, 0, b"\x00hello"),
    "a hello without a machine": frame(Kind.HELLO, 0, b"{}"),
    "a hello of no machine": frame(Kind.HELLO, 0, b'{"machine":"moon","instance":"1"}'),
    "a very long hello": frame(Kind.HELLO, 0, b'{"machine":"77777703","instance":"%b"}' % (b"x" * 66_000)),
}


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_in_place_of_a_hello_ends_the_link(pair: Mesh, what: str) -> None:
    door = pair.nodes[0]
    with Stranger.with_secret(door, pair.secret_file) as stranger:
        stranger.send(GARBAGE[what])
        stranger.ended()
    assert the_refusal(door, stranger.source)


def test_garbage_behind_the_hello_ends_that_link_alone(pair: Mesh) -> None:
    door, other = pair
    texts = [
        frame(Kind.CALL, 1, b"short"),
        frame(Kind.PART, 1, struct.pack(">I", 10) + b"x" * 50),
        frame(Kind.ASK, 1, b"\xff"),
        frame(Kind.ASK, 1, b""),
    ]
    for text in texts:
        with Stranger.with_secret(door, pair.secret_file) as stranger:
            stranger.met()
            stranger.send(text)
            stranger.ended()
    assert peer_row(door, other.machine_id)["state"] == "up"
    assert not door.complaints()


def test_who_never_says_hello_is_cut(pair: Mesh) -> None:
    door = pair.nodes[0]
    with Stranger.with_secret(door, pair.secret_file) as stranger:
        _, took_s = timed(stranger.ended)
    assert HELLO_S * 0.8 <= took_s < HELLO_S + 1.0
    assert "no hello in time" in the_refusal(door, stranger.source)


def test_of_two_links_to_one_node_one_stays(pair: Mesh) -> None:
    door = pair.nodes[0]
    machine = 0x77777704
    with (
        Stranger.with_secret(door, pair.secret_file, machine) as one,
        Stranger.with_secret(door, pair.secret_file, machine) as two,
    ):
        one.met(instance="same")
        two.met(instance="same")
        # Both answer their pings all the while: whichever stays is the node's own choice.
        said: dict[Stranger, str] = {}

        def is_told() -> bool:
            said.update((link, why) for link in (one, two) if (why := link.has_parted()))
            return bool(said)

        until(is_told, "one of them is told to go")
        [(gone, why)] = said.items()
        assert "two links" in why
        stays = two if gone is one else one
        assert not stays.has_parted()
