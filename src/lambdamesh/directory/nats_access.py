"""Where NATS is and who this node is to it: the settings of ``--nats``, checked without a connection."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import unquote, urlsplit

DEFAULT_PORT = 4222
_PLACE = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:/@?#\[\]]+)(?::[0-9]+)?/?")


@dataclass(frozen=True, slots=True)
class NatsAccess:
    """How NATS is reached. ``urls`` is the text of ``--nats``; the others are paths of files, or ``None``."""

    urls: str
    creds_file: str | None = None
    nkey_file: str | None = None
    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None

    def __repr__(self) -> str:
        return f"NatsAccess({mask_nats_urls(self.urls)})"


@dataclass(frozen=True, slots=True)
class NatsServer:
    """One server, with what its URL says of who we are. ``str()`` of it has no secret."""

    host: str
    port: int
    is_tls: bool = False
    user: str | None = None
    password: str | None = None
    token: str | None = None
    tls_name: str | None = None
    """What its certificate is to name, where that is not ``host``."""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    __repr__ = __str__

    def known_as(self, other: NatsServer) -> NatsServer:
        """Return this server with the credentials of another."""
        return replace(self, user=other.user, password=other.password, token=other.token)

    @property
    def url(self) -> str:
        """Its URL, without credentials."""
        return f"{'tls' if self.is_tls else 'nats'}://{self}"


def check_nats_urls(text: str) -> tuple[NatsServer, ...]:
    """Read the text of ``--nats``: URLs with commas between them.

    ``nats://`` may be left out, the port is 4222 where there is none. ``user:password@`` and ``token@`` are
    percent-decoded. The credentials of one URL hold for those that have none.

    Raises:
        ValueError: it is not that; the text names what is wrong and shows no credentials.
    """
    urls = [part.strip() for part in text.split(",")]
    if not all(urls):
        raise ValueError("--nats wants a URL, as in nats://nats.example:4222, or several with commas between them")
    return tuple(_read(url) for url in urls)


def mask_nats_urls(text: str) -> str:
    """Return ``text`` with ``***`` for whatever is not plainly a host and a port; for listings and logs."""
    return ",".join(_mask(part) for part in text.split(","))


def _mask(url: str) -> str:
    scheme, slashes, rest = url.strip().rpartition("://")
    _, at, place = rest.rpartition("@")
    # A password may hold the very characters that end one: then no part of it looks like a place.
    return f"{scheme}{slashes}{'***@' if at else ''}{place if _PLACE.fullmatch(place) else '***'}"


def _read(url: str) -> NatsServer:
    shown = _mask(url)
    text = url if "://" in url else f"nats://{url}"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
        parts = urlsplit("")
    if not text.startswith(("nats://", "tls://")):
        raise ValueError(f"--nats {shown}: only nats:// and tls:// can be used: name the server's client port (4222)")
    is_place = _PLACE.fullmatch(text.rpartition("://")[2].rpartition("@")[2]) is not None
    if not host or not is_place or port == 0 or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(
            f"--nats {shown}: it is not nats://HOST:PORT; in a password write %2F for a slash, %40 for an @ and so on"
        )
    user = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password is not None else None
    is_token = user is not None and password is None
    return NatsServer(
        host,
        port or DEFAULT_PORT,
        is_tls=parts.scheme == "tls",
        user=None if is_token else user,
        password=password,
        token=user if is_token else None,
    )
