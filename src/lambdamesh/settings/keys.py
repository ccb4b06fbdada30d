"""The keys of all settings: their types, and what variables and flags call them."""

from __future__ import annotations

import typing
from types import NoneType, UnionType
from typing import Any, Literal

import msgspec

from lambdamesh.core.limits import Limits
from lambdamesh.settings.definition import Settings

ENV_PREFIX = "LAMBDAMESH_"
LIMIT_PREFIX = "limits."
"""What the key of a limit starts with."""
OWN_CERTIFICATES = ("mesh_ca", "mesh_cert", "mesh_key")
"""The files that make a mesh in place of a secret."""
OF_NATS = ("nats_creds", "nats_nkey", "nats_tls_ca", "nats_tls_cert", "nats_tls_key")
"""The files that say something only beside ``nats``."""


def env_name(key: str) -> str:
    """The variable that sets ``key``."""
    return ENV_PREFIX + key.removeprefix(LIMIT_PREFIX).upper()


def flag_name(key: str) -> str:
    """The flag that sets ``key``."""
    return "--" + key.replace("_", "-")


def owner(settings: Settings, key: str) -> tuple[msgspec.Struct, str]:
    """The struct that holds ``key``, and the name of its field there."""
    return (settings.limits, key.removeprefix(LIMIT_PREFIX)) if key.startswith(LIMIT_PREFIX) else (settings, key)


def toml_text(value: object) -> str:
    """``value`` as TOML writes it; ``None``, which TOML lacks, as an empty text."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return f"[{', '.join(toml_text(item) for item in value)}]"
    return msgspec.json.encode(value).decode()


def type_text(kind: Any) -> str:
    """The type in the words of TOML."""
    if typing.get_origin(kind) is tuple:
        return "list of strings"
    if typing.get_origin(kind) is Literal:
        return " or ".join(toml_text(choice) for choice in typing.get_args(kind))
    if typing.get_origin(kind) is UnionType:
        return " or ".join(type_text(part) for part in typing.get_args(kind) if part is not NoneType)
    return {bool: "true or false", int: "whole number", float: "number"}.get(kind, "string")


def _types() -> dict[str, Any]:
    kinds = typing.get_type_hints(Settings)
    del kinds["limits"]
    return kinds | {f"{LIMIT_PREFIX}{name}": kind for name, kind in typing.get_type_hints(Limits).items()}


TYPES = _types()
"""Every key with its type, in the order of the reference."""
