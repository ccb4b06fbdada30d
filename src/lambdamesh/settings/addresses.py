"""Addresses that are listened on, dialled and told to others."""

from __future__ import annotations

import ipaddress
import re

import msgspec

from lambdamesh.core.peering import can_be_looked_up

MESH_PORT = 7631
"""Port of the mesh door, where none is named."""


class Tcp(msgspec.Struct, frozen=True):
    """An address to listen on or to dial. ``host`` is a name or an IP literal without brackets; ``port`` may be 0."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine can connect to it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def is_everywhere(self) -> bool:
        """Whether it stands for all addresses of this machine, so that nobody can dial it."""
        try:
            return ipaddress.ip_address(self.host).is_unspecified
        except ValueError:
            return False

    @property
    def text(self) -> str:
        """``host:port`` or ``[v6]:port``."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Unix(msgspec.Struct, frozen=True):
    """A Unix socket to listen on."""

    path: str


def parse_address(text: str) -> Tcp | Unix:
    """Read ``host:port``, ``[v6]:port`` or ``unix:/path``. Raises: ValueError."""
    if text.startswith("unix:"):
        if not text.startswith("unix:/"):
            raise ValueError(f"{text!r}: a socket's path is absolute, as in unix:/run/lambdamesh.sock")
        return Unix(text.removeprefix("unix:"))
    matched = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s\[\]:/@]+)):([0-9]{1,5})", text)
    if matched is None or int(matched[3]) > 65535:
        raise ValueError(f"{text!r} is not host:port, [v6]:port or unix:/path")
    if matched[1] is not None:
        ipaddress.IPv6Address(matched[1])
    return Tcp(matched[1] or matched[2], int(matched[3]))


def parse_mesh_door(text: str) -> Tcp:
    """Read where the mesh door listens. Raises: ValueError."""
    address = None if text.startswith("unix:") else _parse_or_none(text)
    if not isinstance(address, Tcp):
        raise ValueError(f"{text!r} is no address of a mesh door, which other machines dial: give host:port")
    return address


def parse_peer(text: str) -> Tcp:
    """Read what nodes dial of each other: ``host``, ``host:port`` or ``[v6]:port``. Raises: ValueError."""
    has_port = text.rpartition("]")[2].rpartition(":")[1]
    address = _parse_or_none(text if has_port else f"{text}:{MESH_PORT}")
    if not isinstance(address, Tcp) or not address.port:
        raise ValueError(f"{text!r} is not HOST:PORT of a mesh door")
    if address.is_everywhere:
        raise ValueError(f"{text!r} stands for every address of a machine: name the one that others can dial")
    if not can_be_looked_up(address.host):
        raise ValueError(f"{text!r} names no host: between its dots a name has 1 to 63 characters")
    return address


def _parse_or_none(text: str) -> Tcp | Unix | None:
    try:
        return parse_address(text)
    except ValueError:
        return None
