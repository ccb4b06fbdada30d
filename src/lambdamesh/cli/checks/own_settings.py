"""The settings themselves: how many were given, and whether a secret in them can be read by others."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from lambdamesh.cli.checks.finding import Finding, State
from lambdamesh.cli.checks.surroundings import Surroundings

CHECK = "settings"
_SHOWN = 8


def settings(around: Surroundings) -> Iterator[Finding]:
    """What was given. That it fits together is known: settings that do not are never looked at any further."""
    given = {key: source for key, source in around.sources.items() if source != "default"}
    if not given:
        yield Finding(CHECK, State.OK, "the defaults")
    else:
        named = ", ".join(f"{key} ({source})" for key, source in list(given.items())[:_SHOWN])
        more = f" and {len(given) - _SHOWN} more" if len(given) > _SHOWN else ""
        yield Finding(CHECK, State.OK, f"{len(given)} given: {named}{more}")
    yield from _secret_in_the_open(around)


def _secret_in_the_open(around: Surroundings) -> Iterator[Finding]:
    kind, _, place = around.sources.get("nats", "").partition(" ")
    if "@" not in (around.settings.nats or ""):
        return
    if kind == "flag":
        what = "the credentials in --nats can be read by everybody on this machine, as all of a command line can"
        fix = "leave out --nats, and put its URL into LAMBDAMESH_NATS or into the file of --config"
        yield Finding(CHECK, State.WARNING, what, fix)
    elif kind == "file" and _is_open(Path(place)):
        what = f"{place} has credentials of NATS in it, and can be read by others"
        yield Finding(CHECK, State.WARNING, what, f"chmod 600 {shlex.quote(place)}")


def _is_open(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & 0o077)
    except OSError:
        return False
