"""Settings from all their sources, checked, each with where it came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from lambdamesh.core.limits import Limits
from lambdamesh.settings.checks import checked
from lambdamesh.settings.definition import Settings, shown
from lambdamesh.settings.keys import LIMIT_PREFIX, TYPES, owner
from lambdamesh.settings.sources import Given, from_environ, from_file, from_flags
from lambdamesh.settings.together import check_together


class Effective(msgspec.Struct, frozen=True):
    """Settings, and the source of each key: ``default``, ``flag --x``, ``env X`` or ``file P``.

    The key of a limit is ``limits.<name>``.
    """

    settings: Settings
    sources: dict[str, str]

    def rows(self) -> Iterator[tuple[str, Any, str]]:
        """Key, value and source of every setting, in the order of the reference; ``***`` stands for secrets."""
        for key, source in self.sources.items():
            holder, name = owner(self.settings, key)
            yield key, shown(key, getattr(holder, name)), source


def load(flags: Mapping[str, object], environ: Mapping[str, str], config_file: str | None = None) -> Effective:
    """Merge the sources: ``flags`` (by setting name; ``None`` means not given) over ``environ`` over the file.

    ``config_file`` falls back to ``LAMBDAMESH_CONFIG``; without either no file is read. An empty variable counts as
    unset. Peers come with their port. Raises: ConfigError.
    """
    path = config_file or environ.get("LAMBDAMESH_CONFIG") or None
    given: Given = {}
    if path is not None:
        given.update(from_file(path))
    given.update(from_environ(environ))
    given.update(from_flags(flags))
    values = {key: checked(key, value, source) for key, (value, source) in given.items()}
    limits = {key.removeprefix(LIMIT_PREFIX): value for key, value in values.items() if key.startswith(LIMIT_PREFIX)}
    own = {key: value for key, value in values.items() if not key.startswith(LIMIT_PREFIX)}
    settings = Settings(limits=Limits(**limits), **own)
    sources = {key: given[key][1] if key in given else "default" for key in TYPES}
    check_together(settings, sources)
    return Effective(settings, sources)
