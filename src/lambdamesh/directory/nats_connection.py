"""One connection to one NATS server. It does not reconnect: whoever opened it opens another."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from nats.aio.client import Client
from nats.errors import SecureConnWantedError

from lambdamesh.directory.nats_access import NatsAccess, NatsServer
from lambdamesh.directory.nats_key import NatsKey

_REMEMBERED_ERRORS = 8
_PING_EVERY_S = 10
_CLOSE_WITHIN_S = 0.5
_CREDS = re.compile(r"BEGIN NATS USER JWT-+\s+([\w.-]+)\s.*BEGIN USER NKEY SEED-+\s+(SU[A-Z2-7]+)\s", re.DOTALL)
_SEED = re.compile(r"^\s*(SU[A-Z2-7]+)\s*$", re.MULTILINE)


class Unwell(Exception):
    """Something about NATS is not as it must be; the text says what, and what to do. It has no secret in it."""


class _StrictClient(Client):
    """Says who it is over TLS only, where TLS was asked for: whatever is between may not talk it out of that.

    ``public_key`` is what a server knows this node by that has it prove a key, and no JWT.
    """

    must_be_tls = False
    public_key: str | None = None

    def _connect_command(self) -> bytes:
        if self.must_be_tls and not self._server_info.get("tls_required"):
            raise SecureConnWantedError
        # The library thinks of keys only where it reads them itself, by a library of their own.
        self._auth_configured = self._auth_configured or self._signature_cb is not None
        self._public_nkey = self.public_key
        return super()._connect_command()


class Connection:
    """An open connection. ``client`` is the library's; ``errors`` are what it was told of last, latest last."""

    def __init__(self, server: NatsServer, client: Client, errors: deque[Exception]) -> None:
        self.server = server
        self.client = client
        self.errors = errors

    @property
    def is_closed(self) -> bool:
        """Whether it has ended."""
        return self.client.is_closed

    @property
    def is_clustered(self) -> bool:
        """Whether the server is one of several."""
        return bool(self.client._server_info.get("cluster"))

    def discovered(self) -> tuple[NatsServer, ...]:
        """Return the other servers of its cluster, to be reached as this one was."""
        servers = []
        for url in self.client.discovered_servers:
            if url.hostname and url.port:
                name = self.server.tls_name or self.server.host
                servers.append(replace(self.server, host=url.hostname, port=url.port, tls_name=name))
        return tuple(servers)


@asynccontextmanager
async def connected(
    server: NatsServer, access: NatsAccess, within_s: float, on_end: Callable[[], None], errors: deque[Exception]
) -> AsyncIterator[Connection]:
    """Open a connection, and close it at the end. ``errors`` collects what the library is told.

    Raises:
        Unwell: a file of ``access`` cannot be used.
        Exception: whatever the library makes of the rest.
    """
    logging.getLogger("nats").setLevel(logging.CRITICAL + 1)  # it writes tracebacks of what the callbacks tell of
    client = _StrictClient()
    client.must_be_tls = server.is_tls or access.tls_ca is not None or access.tls_cert is not None

    client.public_key, identity = _identity(server, access)

    async def complain(error: Exception) -> None:
        errors.append(error)

    async def end() -> None:
        on_end()

    try:
        await client.connect(
            servers=[server.url],
            error_cb=complain,
            closed_cb=end,
            name="lambdamesh",
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=within_s,  # type: ignore[arg-type] # any number will do
            ping_interval=_PING_EVERY_S,
            **identity,
        )
        yield Connection(server, client, errors)
    finally:
        if client.last_error is not None:
            errors.append(client.last_error)
        # A connection whose TLS came to nothing says never that it is closed.
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_CLOSE_WITHIN_S):
                await client.close()


def remembered_errors() -> deque[Exception]:
    """An empty list of the last errors of a connection."""
    return deque(maxlen=_REMEMBERED_ERRORS)


def _identity(server: NatsServer, access: NatsAccess) -> tuple[str | None, dict[str, Any]]:
    """Who we are: a public key, where that is all, and the rest as the library wants to know it.

    Files are read at each connection: they may have been renewed.
    """
    public_key: str | None = None
    options: dict[str, Any] = {"user": server.user, "password": server.password, "token": server.token}
    if access.creds_file is not None:
        jwt, key = _creds(access.creds_file)
        options |= {"user_jwt_cb": lambda: bytearray(jwt.encode()), "signature_cb": key.answer}
    if access.nkey_file is not None:
        key = _seed(access.nkey_file)
        public_key = key.public
        options["signature_cb"] = key.answer
    if server.is_tls or access.tls_ca is not None or access.tls_cert is not None:
        options["tls"] = _tls(access)
    if server.tls_name is not None:
        options["tls_hostname"] = server.tls_name
    return public_key, options


def _tls(access: NatsAccess) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=access.tls_ca)
    except (OSError, ValueError) as error:
        raise Unwell(f"--nats-tls-ca {access.tls_ca}: {_reason(error)}: name a file of certificates in PEM") from None
    if access.tls_cert is not None:
        try:
            context.load_cert_chain(access.tls_cert, access.tls_key, password=_no_password)
        except (OSError, ValueError) as error:
            raise Unwell(
                f"--nats-tls-cert {access.tls_cert}, --nats-tls-key {access.tls_key}: {_reason(error)}: "
                "name a certificate and its key, both in PEM, the key without a password"
            ) from None
    return context


def _no_password() -> str:
    # Without it OpenSSL would ask at the terminal, and the node would stand still until somebody answers.
    raise ValueError("the key has a password")


def _creds(path: str) -> tuple[str, NatsKey]:
    found = _CREDS.search(_read("--nats-creds", path))
    key = _key(found[2]) if found is not None else None
    if found is None or key is None:
        raise Unwell(
            f"--nats-creds {path}: it has no JWT and seed of a user in it: name a .creds file as nsc writes it"
        )
    return found[1], key


def _seed(path: str) -> NatsKey:
    found = _SEED.search(_read("--nats-nkey", path))
    key = _key(found[1]) if found is not None else None
    if key is None:
        raise Unwell(f"--nats-nkey {path}: it has no seed of a user (SU...) in it: make one with nk -gen user")
    return key


def _key(seed: str) -> NatsKey | None:
    try:
        return NatsKey(seed)
    except ValueError:
        return None


def _read(flag: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise Unwell(
            f"{flag} {path}: it cannot be read ({error.strerror}): check the path and who may read it"
        ) from None
    except ValueError:
        raise Unwell(f"{flag} {path}: it is not text: name the file that the NATS tools wrote") from None


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"OpenSSL cannot use it ({error.reason or 'not PEM'})"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
