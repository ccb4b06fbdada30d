"""Every setting of a node with its default; the text below each is its reference."""

from __future__ import annotations

import os
from typing import Any, Literal

import msgspec

from lambdamesh.core.limits import Limits
from lambdamesh.core.places import WORKERS_MOST
from lambdamesh.directory.nats_access import NatsAccess
from lambdamesh.settings.addresses import MESH_PORT
from lambdamesh.settings.nats_urls import masked_urls

LogFormat = Literal["auto", "json", "console"]
LogLevel = Literal["debug", "info", "warning", "error"]
Workers = int | Literal["auto"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a node can be told."""

    local: tuple[str, ...] = ("127.0.0.1:7630", "[::1]:7630")
    """Addresses of the local door: ``host:port``, ``[v6]:port`` or ``unix:/path``; port 0 takes a free one."""
    state: str | None = None
    """State directory; without it ``$STATE_DIRECTORY``, else ``/var/lib/lambdamesh`` as root, else
    ``$XDG_STATE_HOME/lambdamesh``."""
    workers: Workers = 1
    """Processes that share the work, 1 to 64; ``"auto"`` is one for each core that the node may use."""
    dev: bool = False
    """Allow pages of every loopback origin, whatever their port."""
    allow_host: tuple[str, ...] = ()
    """More names that ``Host`` may have on the local door."""
    allow_origin: tuple[str, ...] = ()
    """More origins, such as ``http://app.test:3000``, whose pages may use the local door."""
    local_behind_proxy: bool = False
    """Accept forwarding headers on the local door: whoever reaches the proxy is trusted like this machine."""
    local_token_file: str | None = None
    """File with the token that requests of the local door must carry; needed on addresses that are not loopback."""
    mesh: str | None = None
    """Address of the mesh door; ``0.0.0.0:7631`` when the node joins others (peer, nats, a secret or own
    certificates are given), else off."""
    advertise: str | None = None
    """``host:port`` that other nodes dial; without it the address of the mesh door, or this machine's address
    towards the others where that listens on all."""
    peer: tuple[str, ...] = ()
    """``HOST:PORT`` of another node's mesh door, repeatable; the port may be left out where it is 7631; a name with
    many addresses counts as many."""
    nats: str | None = None
    """URL of a NATS server in which nodes find each other, several with commas between them: ``nats://HOST:4222``,
    ``tls://HOST``, with ``user:password@`` or ``token@`` where it wants them (which everybody on this machine can
    read on a command line: a variable or the TOML file is the place for them)."""
    nats_creds: str | None = None
    """File with the NATS credentials (JWT and seed) of a user, as NATS writes them (``.creds``)."""
    nats_nkey: str | None = None
    """File with the NKEY seed of a NATS user."""
    nats_tls_ca: str | None = None
    """File with the CAs, in PEM, by which NATS servers are trusted; without it the system's."""
    nats_tls_cert: str | None = None
    """File with the certificate, in PEM, that is shown to NATS servers; goes with ``nats_tls_key``."""
    nats_tls_key: str | None = None
    """File with the key of ``nats_tls_cert``, in PEM."""
    require_directory: bool = False
    """Do not listen before every NATS list is read and every peer's name has answered once."""
    mesh_secret_file: str | None = None
    """File with the secret of the mesh, the same on each node; `lambdamesh secret` makes one. Several lines are
    several secrets: all are trusted, the first signs."""
    mesh_ca: str | None = None
    """File with the CAs, in PEM, whose certificates make a node, in place of a secret; goes with ``mesh_cert`` and
    ``mesh_key``."""
    mesh_cert: str | None = None
    """File with this node's certificate, in PEM, with ``URI:lambdamesh:node:MACHINE_ID`` as its alternative name."""
    mesh_key: str | None = None
    """File with the key of ``mesh_cert``, in PEM."""
    machine_id: str | None = None
    """Machine id, 8 hex digits; without it a random one that is kept in the state directory."""
    host_name: str | None = None
    """Name of this machine in answers and ray ids; without it the system's."""
    log_format: LogFormat = "auto"
    """``json`` lines, lines for people (``console``), or by whether stderr is a terminal (``auto``)."""
    log_level: LogLevel = "info"
    """Least level that is logged."""
    limits: Limits = Limits()
    """The bounds, a table of their own in TOML."""

    @property
    def joins(self) -> bool:
        """Whether the node is to be one of a mesh, which opens its mesh door."""
        own = (self.mesh_ca, self.mesh_cert, self.mesh_key)
        return bool(self.mesh or self.peer or self.nats or self.mesh_secret_file or any(own))

    @property
    def worker_count(self) -> int:
        """How many worker processes there are to be."""
        if self.workers != "auto":
            return self.workers
        affinity = getattr(os, "sched_getaffinity", None)
        cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
        return min(cores, WORKERS_MOST)

    @property
    def nats_access(self) -> NatsAccess | None:
        """How NATS is reached; ``None`` where none is named."""
        if self.nats is None:
            return None
        return NatsAccess(
            self.nats,
            creds_file=self.nats_creds,
            nkey_file=self.nats_nkey,
            tls_ca=self.nats_tls_ca,
            tls_cert=self.nats_tls_cert,
            tls_key=self.nats_tls_key,
        )

    @property
    def mesh_address(self) -> str | None:
        """Where the mesh door listens, the default applied; ``None`` where there is no such door."""
        return self.mesh or (f"0.0.0.0:{MESH_PORT}" if self.joins else None)

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [(name, shown(name, getattr(self, name))) for name in self.__struct_fields__]

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"


def shown(key: str, value: Any) -> Any:
    """``value`` of the setting ``key`` as it may be printed: without the secrets that stand in it."""
    if key != "nats" or value is None:
        return value
    return masked_urls(value if isinstance(value, str) else repr(value))
