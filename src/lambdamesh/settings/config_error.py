"""How a node that cannot be configured says so."""

from __future__ import annotations


class ConfigError(Exception):
    """The configuration cannot be used; the text names the key, its source and the remedy. Exit code 78."""
