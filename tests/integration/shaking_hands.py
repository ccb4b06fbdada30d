"""Handshakes between a node's trust and another's, or somebody's who is no node, over loopback."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Any

import trustme

from lambdamesh.access.mesh_trust import MeshTrust, Untrusted
from lambdamesh.ids import machine_id_text

PATIENCE_S = 10.0

Foreign = Callable[[socket.socket], None]
"""What the other side does with its end of a connection, in a thread of its own."""


class Speaker(asyncio.Protocol):
    """One end of a connection: says something when told to, and waits for the first word of the other."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def accept(self, trust: MeshTrust, listener: socket.socket, patience_s: float = PATIENCE_S) -> None:
        """Shake hands with whoever dials. What the loop returns beside the transport is not always the protocol."""
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        accepted, _ = await loop.sock_accept(listener)
        await loop.connect_accepted_socket(
            lambda: self, accepted, ssl=trust.server_context(), ssl_handshake_timeout=patience_s
        )

    async def dial(self, trust: MeshTrust, listener: socket.socket, patience_s: float = PATIENCE_S) -> None:
        """Shake hands with whoever accepts."""
        host, port = listener.getsockname()
        await asyncio.get_running_loop().create_connection(
            lambda: self, host, port, ssl=trust.client_context(), ssl_handshake_timeout=patience_s
        )

    def close(self) -> None:
        """Hang up, where there is a connection."""
        if hasattr(self, "transport"):
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, piece: bytes) -> None:
        if not self.heard.done():
            self.heard.set_result(piece)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.heard.done():
            self.heard.set_exception(error or EOFError())
            self.heard.exception()

    @property
    def ssl_object(self) -> Any:
        return self.transport.get_extra_info("ssl_object")


async def meet(
    speaker: Speaker, trust: MeshTrust, listener: socket.socket, *, is_server: bool, patience_s: float = PATIENCE_S
) -> str:
    """Do as a node does: shake hands, look who it is, greet. Return the other's machine id, or what went wrong."""
    begin = speaker.accept if is_server else speaker.dial
    try:
        await begin(trust, listener, patience_s)
        machine = trust.identity(speaker.ssl_object)
        speaker.transport.write(b"hello")
        await asyncio.wait_for(asyncio.shield(speaker.heard), patience_s)
    except (OSError, EOFError, Untrusted) as error:
        speaker.close()
        return trust.handshake_failure(error, is_server=is_server)
    return machine_id_text(machine)


async def between(server: MeshTrust, client: MeshTrust) -> tuple[str, str]:
    """Let two nodes meet; return what the server says of the client, and the other way round."""
    one, two = Speaker(), Speaker()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        seen = await asyncio.gather(
            meet(one, server, listener, is_server=True), meet(two, client, listener, is_server=False)
        )
    # Who has heard enough must not hang up before the other has.
    one.close()
    two.close()
    return seen[0], seen[1]


async def with_foreign(trust: MeshTrust, foreign: Foreign, *, is_server: bool, patience_s: float = PATIENCE_S) -> str:
    """Let a node meet something that blocks in a thread of its own; return what the node says of it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE_S)

        def behave() -> None:
            connection = socket.create_connection(listener.getsockname()) if is_server else listener.accept()[0]
            with connection, contextlib.suppress(OSError):
                connection.settimeout(PATIENCE_S)
                foreign(connection)

        there = asyncio.create_task(asyncio.to_thread(behave))
        speaker = Speaker()
        seen = await meet(speaker, trust, listener, is_server=is_server, patience_s=patience_s)
        speaker.close()
        await there
    return seen


def tls(context: ssl.SSLContext, *, is_server: bool) -> Foreign:
    """Something that speaks TLS with ``context``, and listens until the node hangs up."""

    def speak(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=is_server, do_handshake_on_connect=False) as secured:
            try:
                secured.do_handshake()
            except ssl.SSLError:
                # Unread bytes at a close would reset the connection, and the alert might be lost with it.
                with socket.socket(fileno=secured.detach()) as bare:
                    bare.settimeout(PATIENCE_S)
                    listens(bare)
            else:
                listens(secured)

    return speak


def foreign_context(*, is_server: bool, shown: object = None, trusted: object = None) -> ssl.SSLContext:
    """A context as anybody's library makes it: it shows what it has, and insists only on what it is given to trust."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if is_server else ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if isinstance(shown, trustme.LeafCert):
        shown.configure_cert(context)
    if isinstance(trusted, trustme.CA):
        trusted.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def says(connection: socket.socket, words: bytes) -> None:
    """Say something, and listen until the node hangs up."""
    if words:
        connection.sendall(words)
    listens(connection)


def listens(connection: socket.socket) -> None:
    """Listen until the node hangs up."""
    while connection.recv(100):
        pass
