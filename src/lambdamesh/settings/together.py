"""What settings may be together."""

from __future__ import annotations

from collections.abc import Mapping

from lambdamesh.settings.addresses import Tcp, parse_address
from lambdamesh.settings.config_error import ConfigError
from lambdamesh.settings.definition import Settings
from lambdamesh.settings.keys import OF_NATS, OWN_CERTIFICATES, flag_name


def check_together(settings: Settings, sources: Mapping[str, str]) -> None:
    """Refuse settings that make no sense beside each other. Raises: ConfigError."""
    _check_local(settings, sources)
    _check_nats(settings, sources)
    _check_trust(settings, sources)
    _check_joining(settings, sources)


def _check_local(settings: Settings, sources: Mapping[str, str]) -> None:
    if not settings.local:
        raise ConfigError(f"local ({sources['local']}): a node without a door can do nothing; name an address")
    for text in settings.local:
        address = parse_address(text)
        if isinstance(address, Tcp) and not address.loopback and settings.local_token_file is None:
            raise ConfigError(
                f"local ({sources['local']}): {text} can be reached from other machines; "
                "give the door a token with --local-token-file FILE, or listen on loopback"
            )


def _check_nats(settings: Settings, sources: Mapping[str, str]) -> None:
    given = [key for key in OF_NATS if getattr(settings, key)]
    if given and not settings.nats:
        raise ConfigError(f"{given[0]} ({sources[given[0]]}): no NATS server is named; add --nats URL, or leave it out")
    for one, other in (("nats_tls_cert", "nats_tls_key"), ("nats_tls_key", "nats_tls_cert")):
        if one in given and other not in given:
            raise ConfigError(f"{one} ({sources[one]}) goes with {other}: add {flag_name(other)} FILE")
    if "nats_creds" in given and "nats_nkey" in given:
        raise ConfigError(
            f"nats_creds ({sources['nats_creds']}) and nats_nkey ({sources['nats_nkey']}) "
            "both say who this node is to NATS: leave one of them out"
        )


def _check_trust(settings: Settings, sources: Mapping[str, str]) -> None:
    own = [key for key in OWN_CERTIFICATES if getattr(settings, key)]
    if own and settings.mesh_secret_file:
        raise ConfigError(
            f"mesh_secret_file ({sources['mesh_secret_file']}) and {own[0]} ({sources[own[0]]}): "
            "a mesh trusts its secret or certificates of your own, not both; leave one of them out"
        )
    missing = [flag_name(key) for key in OWN_CERTIFICATES if key not in own]
    if own and missing:
        raise ConfigError(
            f"{own[0]} ({sources[own[0]]}): certificates of your own are three files; add {' and '.join(missing)}"
        )
    if settings.joins and not own and not settings.mesh_secret_file:
        why = next(key for key in ("peer", "nats", "mesh") if getattr(settings, key))
        raise ConfigError(
            f"{why} ({sources[why]}): a node that joins others needs the secret of their mesh: make one with "
            "`lambdamesh secret > mesh.secret`, the same file on each node, then --mesh-secret-file mesh.secret"
        )


def _check_joining(settings: Settings, sources: Mapping[str, str]) -> None:
    if settings.advertise and not settings.joins:
        raise ConfigError(
            f"advertise ({sources['advertise']}): this node joins no others; add --mesh-secret-file FILE, and "
            "--peer HOST:PORT or --nats URL, or leave it out"
        )
    if settings.require_directory and not settings.peer and not settings.nats:
        raise ConfigError(
            f"require_directory ({sources['require_directory']}): there is no directory to wait for; "
            "add --peer HOST:PORT or --nats URL, or leave it out"
        )
