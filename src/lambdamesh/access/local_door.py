"""The rules of the local door: which names, pages and tokens it lets in (contract: doors).

Headers only ever take trust away. What the door is reached by (loopback, a socket file) is what gives it.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Mapping
from functools import lru_cache

import structlog

from lambdamesh.core.admission import Admission
from lambdamesh.errors import Forbidden, MeshError, Unauthorized

log = structlog.get_logger(__name__)

PROXY_FIELDS = (b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via", b"cf-connecting-ip")
HEALTH_PATHS = frozenset((b"/healthz", b"/readyz"))
FRONT_PAGE = frozenset((b"/",))

_STANDING_ORIGINS = (b"http://pm3", b"http://localhost", b"http://127.0.0.1", b"http://[::1]")
_HOST = re.compile(rb"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?\Z")
_ORIGIN = re.compile(rb"https?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?\Z")
_LOGGED_ORIGINS = 100


class LocalDoor:
    """Judges heads for the local door.

    ``hosts`` are names beside the standing ones; ``origins`` pages beside the standing ones; ``is_dev`` lets in pages
    of every loopback origin; ``token`` is what every request must show, or ``None``.
    """

    def __init__(
        self,
        hosts: tuple[str, ...] = (),
        origins: tuple[str, ...] = (),
        *,
        is_dev: bool = False,
        is_behind_proxy: bool = False,
        token: bytes | None = None,
    ) -> None:
        self._hosts = frozenset(_host_pattern(host) for host in hosts)
        self._origins = frozenset((*_STANDING_ORIGINS, *(origin.lower().rstrip("/").encode() for origin in origins)))
        self._is_dev = is_dev
        self._is_behind_proxy = is_behind_proxy
        self._token = token
        self._logged: set[bytes] = set()

    def admit(self, fields: Mapping[bytes, bytes]) -> Admission:
        """Judge a head by its fields (lower-case names)."""
        host = fields.get(b"host", b"").lower()
        refusal = self._host_refusal(host) or self._proxy_refusal(fields)
        if refusal is not None:
            return Admission(refusal, is_own=False)
        origin = fields.get(b"origin")
        is_own = origin is None or origin.lower() == b"http://" + host
        cors = b""
        if origin is not None:
            if not is_own and not self._is_allowed(origin.lower()):
                self._log_refused(origin)
                text = "pages of this origin may not use this door: allow it with --allow-origin"
                return Admission(Forbidden(text), is_own=False)
            cors = _cors(origin)
        is_foreign = origin is None and fields.get(b"sec-fetch-site", b"none") not in (b"same-origin", b"none")
        if self._token is not None and not self._shows_token(fields):
            text = "this door wants its token: send Authorization: Bearer TOKEN (LAMBDAMESH_TOKEN for our tools)"
            return Admission(Unauthorized(text), frozenset() if is_foreign else HEALTH_PATHS, is_own, origin, cors)
        if is_foreign:
            spared = FRONT_PAGE if fields.get(b"sec-fetch-mode") == b"navigate" else frozenset()
            return Admission(Forbidden("a page of another site may not use this door"), spared)
        return Admission(None, frozenset(), is_own, origin, cors)

    def _host_refusal(self, host: bytes) -> MeshError | None:
        match = _HOST.match(host)
        name = b"" if match is None else match.group(1)
        if name in (b"pm3", b"localhost") or name.endswith(b".pm3") or not self._hosts.isdisjoint((name, host)):
            return None
        if b"*." + name.partition(b".")[2] in self._hosts:
            return None
        if name and _is_loopback(name):
            return None
        return Forbidden("this door is not known by that Host: use localhost or pm3, or allow it with --allow-host")

    def _proxy_refusal(self, fields: Mapping[bytes, bytes]) -> MeshError | None:
        if self._is_behind_proxy or not any(name in fields for name in PROXY_FIELDS):
            return None
        return Forbidden(
            "this came through a proxy, and the local door is for this machine only: use the public door, "
            "or --local-behind-proxy if the proxy lets in nobody else"
        )

    def _is_allowed(self, origin: bytes) -> bool:
        if origin in self._origins:
            return True
        match = _ORIGIN.match(origin)
        return self._is_dev and match is not None and (match.group(1) == b"localhost" or _is_loopback(match.group(1)))

    def _log_refused(self, origin: bytes) -> None:
        if origin not in self._logged and len(self._logged) < _LOGGED_ORIGINS:
            self._logged.add(origin)
            shown = origin[:200].decode("ascii", "replace")
            log.warning("origin_refused", origin=shown, allow_with=f"--allow-origin {shown}")

    def _shows_token(self, fields: Mapping[bytes, bytes]) -> bool:
        scheme, _, shown = fields.get(b"authorization", b"").partition(b" ")
        candidates = [shown.strip()] if scheme.lower() == b"bearer" else []
        for entry in fields.get(b"sec-websocket-protocol", b"").split(b","):
            kind, dot, value = entry.strip().partition(b".")
            if dot and kind == b"token":
                candidates.append(value)
        return any(hmac.compare_digest(candidate, self._token or b"") for candidate in candidates if candidate)


def _host_pattern(host: str) -> bytes:
    """Read a name as ``--allow-host`` takes it: ``*.name`` for all directly below, IPv6 with or without brackets."""
    try:
        return f"[{ipaddress.IPv6Address(host)}]".encode()
    except ValueError:
        return host.lower().encode()


def _cors(origin: bytes) -> bytes:
    return (
        b"Access-Control-Allow-Origin: %b\r\nAccess-Control-Expose-Headers: X-Ray, Retry-After\r\nVary: Origin\r\n"
        % origin
    )


@lru_cache(maxsize=256)
def _is_loopback(name: bytes) -> bool:
    try:
        return ipaddress.ip_address(name.decode().strip("[]")).is_loopback
    except ValueError:
        return False
