"""What a node is told to do: flags over ``LAMBDAMESH_*`` over a TOML file over defaults; and what came from where."""

from lambdamesh.settings.addresses import MESH_PORT, Tcp, Unix, parse_address, parse_mesh_door, parse_peer
from lambdamesh.settings.config_error import ConfigError
from lambdamesh.settings.definition import LogFormat, LogLevel, Settings, Workers
from lambdamesh.settings.keys import toml_text
from lambdamesh.settings.loading import Effective, load
from lambdamesh.settings.nats_urls import check_nats_urls, masked_urls
from lambdamesh.settings.reference import Described, describe

__all__ = [
    "MESH_PORT",
    "ConfigError",
    "Described",
    "Effective",
    "LogFormat",
    "LogLevel",
    "Settings",
    "Tcp",
    "Unix",
    "Workers",
    "check_nats_urls",
    "describe",
    "load",
    "masked_urls",
    "parse_address",
    "parse_mesh_door",
    "parse_peer",
    "toml_text",
]
