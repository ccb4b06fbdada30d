"""The flags that say how a node is set up, shared by ``serve`` and ``config``."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Annotated

from cyclopts import Parameter

from lambdamesh.settings import Effective, LogFormat, LogLevel, Workers, describe, load

_HELP = {described.key: described.help for described in describe() if described.flag}


def _flag(key: str) -> Parameter:
    return Parameter(name="--" + key.replace("_", "-"), help=_HELP[key], negative_iterable=())


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class NodeFlags:
    """What the command line says about a node; ``None`` leaves a setting to the other sources."""

    config: Annotated[
        str | None, Parameter(name="--config", help="TOML file with settings; else LAMBDAMESH_CONFIG.")
    ] = None
    workers: Annotated[Workers | None, _flag("workers")] = None
    dev: Annotated[bool | None, _flag("dev")] = None
    local: Annotated[list[str] | None, _flag("local")] = None
    state: Annotated[str | None, _flag("state")] = None
    allow_host: Annotated[list[str] | None, _flag("allow_host")] = None
    allow_origin: Annotated[list[str] | None, _flag("allow_origin")] = None
    local_behind_proxy: Annotated[bool | None, _flag("local_behind_proxy")] = None
    local_token_file: Annotated[str | None, _flag("local_token_file")] = None
    mesh: Annotated[str | None, _flag("mesh")] = None
    advertise: Annotated[str | None, _flag("advertise")] = None
    peer: Annotated[list[str] | None, _flag("peer")] = None
    nats: Annotated[str | None, _flag("nats")] = None
    nats_creds: Annotated[str | None, _flag("nats_creds")] = None
    nats_nkey: Annotated[str | None, _flag("nats_nkey")] = None
    nats_tls_ca: Annotated[str | None, _flag("nats_tls_ca")] = None
    nats_tls_cert: Annotated[str | None, _flag("nats_tls_cert")] = None
    nats_tls_key: Annotated[str | None, _flag("nats_tls_key")] = None
    require_directory: Annotated[bool | None, _flag("require_directory")] = None
    mesh_secret_file: Annotated[str | None, _flag("mesh_secret_file")] = None
    mesh_ca: Annotated[str | None, _flag("mesh_ca")] = None
    mesh_cert: Annotated[str | None, _flag("mesh_cert")] = None
    mesh_key: Annotated[str | None, _flag("mesh_key")] = None
    machine_id: Annotated[str | None, _flag("machine_id")] = None
    host_name: Annotated[str | None, _flag("host_name")] = None
    log_format: Annotated[LogFormat | None, _flag("log_format")] = None
    log_level: Annotated[LogLevel | None, _flag("log_level")] = None

    def effective(self) -> Effective:
        """All settings, with the environment and the file beneath the flags. Raises: ConfigError."""
        flags = asdict(self)
        config_file = flags.pop("config")
        return load(flags, os.environ, config_file)
