"""What a node is told to do: flags over ``LAMBDAMESH_*`` over a TOML file over defaults; and what came from where."""

from __future__ import annotations

import ast
import difflib
import inspect
import ipaddress
import math
import re
import tomllib
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from lambdamesh.core.limits import Limits

LogFormat = Literal["auto", "json", "console"]
LogLevel = Literal["debug", "info", "warning", "error"]

ENV_PREFIX = "LAMBDAMESH_"
ENV_OF_CLIENTS = frozenset({"LAMBDAMESH_URL", "LAMBDAMESH_TOKEN", "LAMBDAMESH_CONFIG"})
"""Variables that are known without being a setting of the node."""
_ENV_OF_KUBERNETES = re.compile(r"_SERVICE_(HOST|PORT(_\w+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_\w+)?$")
_LARGEST = 2**40
"""More than this of anything, bytes or seconds, is a slip of the pen."""
_MAY_BE_ZERO = frozenset(
    {
        "body_grace_s",
        "body_rate_bytes",
        "connections",
        "drain_s",
        "drain_spread_s",
        "events_subscribers",
        "gone_ids",
        "gone_ttl_s",
        "grace_max_s",
        "recovering_s",
        "waiting_calls",
    }
)
"""Limits of which 0 says something: none, at once, or (of connections) no bound of its own."""

_AT_LEAST = {"stream_credit": 16, "stream_credit_max": 16, "item_bytes": 65_536}
"""What providers may send unasked, whatever the node: the wire says so."""


class ConfigError(Exception):
    """The configuration cannot be used; the text names the key, its source and the remedy. Exit code 78."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a node can be told."""

    local: tuple[str, ...] = ("127.0.0.1:7630", "[::1]:7630")
    """Addresses of the local door: ``host:port``, ``[v6]:port`` or ``unix:/path``; port 0 takes a free one."""
    state: str | None = None
    """State directory; without it ``$STATE_DIRECTORY``, else ``/var/lib/lambdamesh`` as root, else
    ``$XDG_STATE_HOME/lambdamesh``."""
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


class Effective(msgspec.Struct, frozen=True):
    """Settings, and the source of each key: ``default``, ``flag --x``, ``env X`` or ``file P``.

    The key of a limit is ``limits.<name>``.
    """

    settings: Settings
    sources: dict[str, str]

    def rows(self) -> Iterator[tuple[str, Any, str]]:
        """Key, value and source of every setting, in the order of the reference."""
        for key, source in self.sources.items():
            owner, name = _owner(self.settings, key)
            yield key, getattr(owner, name), source


class Described(msgspec.Struct, frozen=True):
    """One line of the reference: ``key`` as in ``Effective.sources``, ``type`` and ``default`` in TOML's terms,
    ``help`` in Markdown."""

    key: str
    type: str
    default: str
    help: str
    env: str
    flag: str | None


class Tcp(msgspec.Struct, frozen=True):
    """An address to listen on. ``host`` is a name or an IP literal without brackets; ``port`` may be 0."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine can connect to it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


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


def load(flags: Mapping[str, object], environ: Mapping[str, str], config_file: str | None = None) -> Effective:
    """Merge the sources: ``flags`` (by setting name; ``None`` means not given) over ``environ`` over the file.

    ``config_file`` falls back to ``LAMBDAMESH_CONFIG``; without either no file is read. An empty variable counts as
    unset. Raises: ConfigError.
    """
    path = config_file or environ.get("LAMBDAMESH_CONFIG") or None
    given: dict[str, tuple[Any, str]] = {}
    if path is not None:
        given.update(_from_file(path))
    given.update(_from_environ(environ))
    given.update(_from_flags(flags))
    values = {key: _checked(key, value, source) for key, (value, source) in given.items()}
    settings = Settings(
        limits=Limits(
            **{key.removeprefix("limits."): value for key, value in values.items() if key.startswith("limits.")}
        ),
        **{key: value for key, value in values.items() if not key.startswith("limits.")},
    )
    sources = {key: given[key][1] if key in given else "default" for key in _TYPES}
    _check_together(settings, sources)
    return Effective(settings, sources)


def describe() -> tuple[Described, ...]:
    """The reference of all settings, from their definitions above and in ``core.limits``."""
    texts = _attribute_docs(Settings) | {f"limits.{name}": text for name, text in _attribute_docs(Limits).items()}
    defaults = Settings()
    return tuple(
        Described(
            key=key,
            type=_type_text(kind),
            default=toml_text(getattr(*_owner(defaults, key))),
            help=texts.get(key, ""),
            env=_env_name(key),
            flag=None if key.startswith("limits.") else _flag_name(key),
        )
        for key, kind in _TYPES.items()
    )


def toml_text(value: object) -> str:
    """``value`` as TOML writes it; ``None``, which TOML lacks, as an empty text."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return f"[{', '.join(toml_text(item) for item in value)}]"
    return msgspec.json.encode(value).decode()


# --- the sources ---


def _from_file(path: str) -> dict[str, tuple[Any, str]]:
    source = f"file {path}"
    try:
        content = tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the configuration file {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    limits = content.pop("limits", {})
    if not isinstance(limits, dict):
        raise ConfigError(f"limits ({source}): expected a table, [limits]")
    found = {key: (value, source) for key, value in content.items()}
    found |= {f"limits.{name}": (value, source) for name, value in limits.items()}
    for key in found:
        if key not in _TYPES:
            raise ConfigError(f"unknown key {key!r} in {path}{_nearest(key, list(_TYPES))}")
    return found


def _from_environ(environ: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    names = {_env_name(key): key for key in _TYPES}
    found: dict[str, tuple[Any, str]] = {}
    for name, text in environ.items():
        if not name.startswith(ENV_PREFIX) or name in ENV_OF_CLIENTS or _is_from_kubernetes(name, text):
            continue
        if name not in names:
            raise ConfigError(f"unknown variable {name}{_nearest(name, [*names, *ENV_OF_CLIENTS])}")
        if text:
            found[names[name]] = (_from_text(_TYPES[names[name]], text), f"env {name}")
    return found


def _from_flags(flags: Mapping[str, object]) -> dict[str, tuple[Any, str]]:
    for key in flags:
        if key not in _TYPES:
            raise ConfigError(f"unknown flag {_flag_name(key)}{_nearest(key, list(_TYPES))}")
    return {key: (value, f"flag {_flag_name(key)}") for key, value in flags.items() if value is not None}


def _is_from_kubernetes(name: str, text: str) -> bool:
    """Whether Kubernetes set it for a Service whose name starts with ``lambdamesh``."""
    return bool(_ENV_OF_KUBERNETES.search(name)) or (name.endswith("_PORT") and "://" in text)


def _from_text(kind: Any, text: str) -> Any:
    """What a variable's text stands for; left as text where that is not of the kind, for the check to complain."""
    if typing.get_origin(kind) is tuple:
        return [item.strip() for item in text.split(",") if item.strip()]
    if kind in (bool, int, float):
        try:
            return msgspec.convert(text.strip(), kind, strict=False)
        except msgspec.ValidationError:
            return text
    return text


# --- the checks ---


def _checked(key: str, value: object, source: str) -> Any:
    """``value`` as the type of ``key``, which is known. Raises: ConfigError."""
    try:
        converted = msgspec.convert(value, _TYPES[key])
    except msgspec.ValidationError as error:
        raise ConfigError(f"{key} ({source}): expected {_type_text(_TYPES[key])}, not {value!r:.80}") from error
    try:
        if key.startswith("limits."):
            _check_limit(key.removeprefix("limits."), converted)
        elif key in _RULES:
            for item in converted if isinstance(converted, tuple) else (converted,):
                _RULES[key](item)
    except ValueError as error:
        raise ConfigError(f"{key} ({source}): {error}") from error
    return converted.lower() if key == "machine_id" and converted else converted


def _check_limit(name: str, value: float) -> None:
    if value > _LARGEST:
        raise ValueError(f"must be at most {_LARGEST}, not {value}")
    if name in _AT_LEAST and value < _AT_LEAST[name]:
        raise ValueError(f"must be at least {_AT_LEAST[name]}, which clients count on, not {value}")
    if not math.isfinite(value) or value < 0 or (value == 0 and name not in _MAY_BE_ZERO):
        raise ValueError(f"must be {'at least 0' if name in _MAY_BE_ZERO else 'more than 0'}, not {value}")


def _check_host(text: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9*._-]+|\[?[0-9A-Fa-f:.]+\]?", text):
        raise ValueError(f"{text!r} is not a host name; give it without scheme, port and path")


def _check_origin(text: str) -> None:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#@*]+", text):
        raise ValueError(f"{text!r} is not an origin such as http://app.test:3000")


def _check_machine_id(text: str | None) -> None:
    if text is not None and (not re.fullmatch(r"[0-9A-Fa-f]{8}", text) or int(text, 16) == 0):
        raise ValueError(f"{text!r} is not 8 hex digits, or is 0")


def _check_host_name(text: str | None) -> None:
    if text is not None and not (text.isascii() and text.isprintable() and 0 < len(text) <= 255 and " " not in text):
        raise ValueError(f"{text!r} is not a host name")


def _check_together(settings: Settings, sources: Mapping[str, str]) -> None:
    if not settings.local:
        raise ConfigError(f"local ({sources['local']}): a node without a door can do nothing; name an address")
    for text in settings.local:
        address = parse_address(text)
        if isinstance(address, Tcp) and not address.loopback and settings.local_token_file is None:
            raise ConfigError(
                f"local ({sources['local']}): {text} can be reached from other machines; "
                "give the door a token with --local-token-file FILE, or listen on loopback"
            )


def _nearest(name: str, known: list[str]) -> str:
    if f"limits.{name}" in known:
        return f": it belongs under [limits], as limits.{name}"
    by_word = {other.removeprefix(ENV_PREFIX).removeprefix("limits."): other for other in known}
    word = name.removeprefix(ENV_PREFIX).removeprefix("limits.")
    close = difflib.get_close_matches(word, by_word, n=1) or [other for other in by_word if other.startswith(word)]
    return f"; did you mean {by_word[close[0]]}?" if close else ""


# --- names and definitions ---


def _env_name(key: str) -> str:
    return ENV_PREFIX + key.removeprefix("limits.").upper()


def _flag_name(key: str) -> str:
    return "--" + key.replace("_", "-")


def _owner(settings: Settings, key: str) -> tuple[msgspec.Struct, str]:
    return (settings.limits, key.removeprefix("limits.")) if key.startswith("limits.") else (settings, key)


def _type_text(kind: Any) -> str:
    """The type in the words of TOML."""
    if typing.get_origin(kind) is tuple:
        return "list of strings"
    if typing.get_origin(kind) is Literal:
        return " or ".join(toml_text(choice) for choice in typing.get_args(kind))
    return {bool: "true or false", int: "whole number", float: "number"}.get(kind, "string")


def _attribute_docs(owner: type) -> dict[str, str]:
    """The text below each attribute of a class; none where its source is not at hand."""
    try:
        [definition] = ast.parse(inspect.getsource(owner)).body
    except OSError:
        return {}
    assert isinstance(definition, ast.ClassDef)
    texts: dict[str, str] = {}
    for attribute, text in zip(definition.body, definition.body[1:], strict=False):
        if (
            isinstance(attribute, ast.AnnAssign)
            and isinstance(attribute.target, ast.Name)
            and isinstance(text, ast.Expr)
        ):
            texts[attribute.target.id] = (
                inspect.cleandoc(ast.literal_eval(text.value)).replace("\n", " ").replace("``", "`")
            )
    return texts


def _types() -> dict[str, Any]:
    kinds = typing.get_type_hints(Settings)
    del kinds["limits"]
    return kinds | {f"limits.{name}": kind for name, kind in typing.get_type_hints(Limits).items()}


_TYPES = _types()
_RULES: dict[str, Any] = {
    "local": parse_address,
    "allow_host": _check_host,
    "allow_origin": _check_origin,
    "machine_id": _check_machine_id,
    "host_name": _check_host_name,
}
