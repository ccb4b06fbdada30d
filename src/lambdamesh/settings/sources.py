"""Where settings come from: a TOML file, variables, flags. Each answers by key with a value and its source."""

from __future__ import annotations

import difflib
import re
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from lambdamesh.settings.config_error import ConfigError
from lambdamesh.settings.keys import ENV_PREFIX, LIMIT_PREFIX, TYPES, env_name, flag_name

Given = dict[str, tuple[Any, str]]

ENV_OF_CLIENTS = frozenset({"LAMBDAMESH_URL", "LAMBDAMESH_TOKEN", "LAMBDAMESH_CONFIG"})
"""Variables that are known without being a setting of the node."""
_ENV_OF_KUBERNETES = re.compile(r"_SERVICE_(HOST|PORT(_\w+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_\w+)?$")


def from_file(path: str) -> Given:
    """What a TOML file says. Raises: ConfigError."""
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
    found |= {f"{LIMIT_PREFIX}{name}": (value, source) for name, value in limits.items()}
    for key in found:
        if key not in TYPES:
            raise ConfigError(f"unknown key {key!r} in {path}{_nearest(key, list(TYPES))}")
    return found


def from_environ(environ: Mapping[str, str]) -> Given:
    """What the variables ``LAMBDAMESH_*`` say; an empty one counts as unset. Raises: ConfigError."""
    names = {env_name(key): key for key in TYPES}
    found: Given = {}
    for name, text in environ.items():
        if not name.startswith(ENV_PREFIX) or name in ENV_OF_CLIENTS or _is_from_kubernetes(name, text):
            continue
        if name not in names:
            raise ConfigError(f"unknown variable {name}{_nearest(name, [*names, *ENV_OF_CLIENTS])}")
        if text:
            found[names[name]] = (_from_text(TYPES[names[name]], text), f"env {name}")
    return found


def from_flags(flags: Mapping[str, object]) -> Given:
    """What flags say, by setting name; ``None`` means not given. Raises: ConfigError."""
    for key in flags:
        if key not in TYPES:
            raise ConfigError(f"unknown flag {flag_name(key)}{_nearest(key, list(TYPES))}")
    return {key: (value, f"flag {flag_name(key)}") for key, value in flags.items() if value is not None}


def _is_from_kubernetes(name: str, text: str) -> bool:
    """Whether Kubernetes set it for a Service whose name starts with ``lambdamesh``."""
    return bool(_ENV_OF_KUBERNETES.search(name)) or (name.endswith("_PORT") and "://" in text)


def _from_text(kind: Any, text: str) -> Any:
    """What a variable's text stands for; left as text where that is not of the kind, for the check to complain."""
    if typing.get_origin(kind) is tuple:
        return [item.strip() for item in text.split(",") if item.strip()]
    if kind in (bool, int, float) or int in typing.get_args(kind):
        try:
            return msgspec.convert(text.strip(), kind, strict=False)
        except msgspec.ValidationError:
            return text
    return text


def _nearest(name: str, known: list[str]) -> str:
    if f"{LIMIT_PREFIX}{name}" in known:
        return f": it belongs under [limits], as limits.{name}"
    by_word = {other.removeprefix(ENV_PREFIX).removeprefix(LIMIT_PREFIX): other for other in known}
    word = name.removeprefix(ENV_PREFIX).removeprefix(LIMIT_PREFIX)
    close = difflib.get_close_matches(word, by_word, n=1) or [other for other in by_word if other.startswith(word)]
    return f"; did you mean {by_word[close[0]]}?" if close else ""
