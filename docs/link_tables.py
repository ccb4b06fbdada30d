"""The tables of ``reference/link.md``, from the code of the link protocol."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator, Sequence
from struct import Struct, calcsize

import msgspec

from lambdamesh.core import words
from lambdamesh.protocol import link_frames
from lambdamesh.protocol.link_frames import CALL_HEAD, HEAD, Kind

Row = Sequence[object]

HEAD_PARTS = ("bytes that follow this number", "kind", "number")
CALL_HEAD_PARTS = (
    "passages from node to node so far",
    "flags: 1 where the home says that the receiver holds the lambda",
    "milliseconds left, rounded up",
    "number under which the provider knows an adopted call, else 0",
    "credit: items that may come at once; 0 for a call that wants no stream",
    "bytes of the ray",
    "bytes of the traceparent",
    "bytes of the method",
    "lambda id, as text",
)
_TOPICS = re.compile(r"`(\w+)`(?:, | or |)")


def frame_rows() -> list[Row]:
    """Number, name and meaning of each kind."""
    texts = _texts_below(Kind)
    return [(int(kind), f"`{kind.name}`", texts[kind.name].replace("_Fault", "Fault")) for kind in Kind]


def layout_rows(layout: Struct, parts: Sequence[str]) -> list[Row]:
    """Size in bytes of each part of a fixed head, and its meaning."""
    codes = re.findall(r"\d*[A-Za-z]", layout.format)
    assert len(codes) == len(parts), layout.format
    return [(calcsize(f">{code}"), part) for code, part in zip(codes, parts, strict=True)]


def head_rows() -> list[Row]:
    """The head of every frame."""
    return layout_rows(HEAD, HEAD_PARTS)


def call_head_rows() -> list[Row]:
    """The head of a call."""
    return layout_rows(CALL_HEAD, CALL_HEAD_PARTS)


def json_rows() -> list[Row]:
    """Name, members and meaning of what frames carry as JSON."""
    kinds = (link_frames.Hello, link_frames.PeerHint, link_frames.Goodbye, link_frames._Fault)
    return [(f"`{kind.__name__.strip('_')}`", _members(kind), _text(kind)) for kind in kinds]


def topic_rows() -> list[Row]:
    """Topics, members and meaning of whatever nodes ask and tell each other."""
    return [_topic_row(kind) for kind in _structs()]


def _structs() -> Iterator[type[msgspec.Struct]]:
    for kind in vars(words).values():
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind is not msgspec.Struct:
            yield kind


def _topic_row(kind: type[msgspec.Struct]) -> Row:
    text = _text(kind)
    names, at = [], 0
    while found := _TOPICS.match(text, at):
        names.append(f"`{found[1]}`")
        at = found.end()
    return ", ".join(names), _members(kind), text[at:].lstrip(":, ")


def _members(kind: type[msgspec.Struct]) -> str:
    return ", ".join(f"`{field.encode_name}`" for field in msgspec.structs.fields(kind))


def _text(kind: type) -> str:
    return _one_line(kind.__doc__ or "The error that a caller gets, with its HTTP status.")


def _texts_below(described: type) -> dict[str, str]:
    """The text below each member of an enumeration."""
    [definition] = ast.parse(inspect.getsource(described)).body
    assert isinstance(definition, ast.ClassDef)
    texts: dict[str, str] = {}
    for member, text in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(member, ast.Assign) and isinstance(text, ast.Expr):
            [name] = member.targets
            assert isinstance(name, ast.Name)
            texts[name.id] = _one_line(ast.literal_eval(text.value))
    return texts


def _one_line(text: str) -> str:
    return " ".join(inspect.cleandoc(text).split()).replace("``", "`")
