"""The Python client as its own signatures and docstrings tell of it, for the reference."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any

import lambdamesh
import lambdamesh.testing
from lambdamesh import sync

_SECTIONS: dict[str, dict[str, Any]] = {
    "Connect": {"lambdamesh.connect": lambdamesh.connect},
    "Mesh: the client": {"mesh": lambdamesh.Mesh},
    "Exposed: a lambda of yours": {"exposed": lambdamesh.Exposed},
    "Stream: the items of a call": {"stream": lambdamesh.Stream},
    "Call: what a handler may know": {"lambdamesh.current": lambdamesh.current, "call": lambdamesh.Call},
    "End and State": {"End": lambdamesh.End, "State": lambdamesh.State},
    "Without async": {"lambdamesh.sync.connect": sync.connect, "mesh": sync.BlockingMesh},
    "For tests": {
        "lambdamesh.testing.node": lambdamesh.testing.node,
        "node": lambdamesh.testing.InProcessNode,
        "lambdamesh.testing.FakeProvider": lambdamesh.testing.FakeProvider,
    },
}
_HIDDEN = frozenset({"Mesh.start"})
_ANY_ARGUMENTS = "*args: P.args, **kwargs: P.kwargs"
_MODULES = re.compile(r"\b(?:lambdamesh|collections|typing|contextlib|pathlib|ssl)(?:\.[a-z_]+)*\.(?=[A-Z])")


def python_api() -> str:
    """Write a section for each part of the client."""
    return "\n\n".join(_section(title, members) for title, members in _SECTIONS.items())


def _section(title: str, members: dict[str, Any]) -> str:
    parts = [f"## {title}"]
    for name, member in members.items():
        if isinstance(member, type):
            parts += _class(name, member)
        else:
            parts += [_heading(name, member), documented(member)]
    return "\n\n".join(parts)


def _class(name: str, kind: type) -> Iterator[str]:
    if name[0].isupper() or "." in name:
        yield f"### `{name}`"
    yield documented(kind)
    if issubclass(kind, Enum):
        yield f"Values: {', '.join(f'`{one.value}`' for one in kind)}."
        return
    for member_name, member in vars(kind).items():
        if member_name.startswith("_") or f"{kind.__name__}.{member_name}" in _HIDDEN:
            continue
        if isinstance(member, property):
            yield f"**`{name}.{member_name}`**: {documented(member)}"
        elif inspect.isfunction(member):
            yield _heading(f"{name}.{member_name}", member)
            yield documented(member)


def _heading(name: str, function: Callable[..., Any]) -> str:
    signature = inspect.signature(function)
    parameters = [parameter for key, parameter in signature.parameters.items() if key != "self"]
    text = str(signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty))
    awaited = "await " if inspect.iscoroutinefunction(function) else ""
    return f"### `{awaited}{name}{_plain(text)}`"


def _plain(text: str) -> str:
    text = _MODULES.sub("", re.sub(r"'([^']*)'", r"\1", text))
    return text.replace(", /", "").replace(_ANY_ARGUMENTS, "...")


def documented(member: Any) -> str:
    """Write its docstring as Markdown: what it raises is a list."""
    text = inspect.getdoc(member) or ""
    text, _, raised = text.partition("\nRaises:\n")
    # A block of code in a docstring is one line's worth: what is longer is an example of its own.
    text = re.sub(r"::\n\n(?: {4}.*\n?)+", ".", text)
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.replace("``", "`").split("\n\n")]
    errors = re.split(r"\n(?=\S)", inspect.cleandoc(raised)) if raised else []
    lines = [f"- raises {_coded(' '.join(error.replace('``', '`').split()))}" for error in errors]
    return "\n\n".join([*filter(None, paragraphs), *(["\n".join(lines)] if lines else [])])


def _coded(text: str) -> str:
    names, colon, meaning = text.partition(": ")
    coded = ", ".join(f"`{name}`" for name in names.split(", "))
    return f"{coded}{colon}{meaning}"
