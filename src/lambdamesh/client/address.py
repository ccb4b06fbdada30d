"""Where a node is: what people write, taken apart."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

DEFAULT_URL = "http://localhost:7630"

_SECURE = {"http": False, "ws": False, "https": True, "wss": True}
_ROUTES = ("", "/", "/connect")


class Address(msgspec.Struct, frozen=True):
    """The address of a node's door. ``path`` is that of a Unix socket, or ``None`` for TCP."""

    url: str
    host: str
    port: int
    path: str | None = None
    is_secure: bool = False

    @property
    def authority(self) -> str:
        """What the handshake says in ``Host``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_secure else 80) else f"{host}:{self.port}"


def parse_address(url: str) -> Address:
    """Read ``http://host:port``, ``ws://host:port``, the same with TLS, ``host:port`` or ``unix:/path``.

    Raises:
        ValueError: anything else.
    """
    if url.startswith("unix:"):
        path = url.removeprefix("unix:")
        path = path.removeprefix("//") if path.startswith("///") else path
        if not path.startswith("/"):
            raise ValueError(f"{url!r}: the path of a socket is absolute, as in unix:/run/lambdamesh.sock")
        return Address(url, "localhost", 80, path)
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{url!r}: {error}") from None
    is_secure = _SECURE.get(parts.scheme)
    if is_secure is None or not parts.hostname or parts.path not in _ROUTES or parts.query or parts.fragment:
        raise ValueError(f"{url!r} is no address of a node: give http://host:port, host:port or unix:/path")
    if parts.username or parts.password:
        raise ValueError("an address holds no password: give token= or ticket=")
    return Address(url, parts.hostname, port or (443 if is_secure else 80), None, is_secure)
