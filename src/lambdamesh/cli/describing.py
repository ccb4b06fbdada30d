"""What people are told of methods: signatures as they were written, types of a schema, a body to try."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

Schema = Mapping[str, Any]

_MODULES = re.compile(r"\b(?:[a-z_]\w*\.)+(?=\w)")
_DEPTH = 4
"""How far an example goes into a schema, which may contain itself."""
_EXAMPLES: dict[str, Any] = {"string": "text", "integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}


class _Written:
    """An annotation as it stands in the source."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def signature_text(function: Callable[..., Any]) -> str:
    """``(name: str = "world") -> str``; annotations stand without the names of modules, and without quotes."""
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):
        return "(...)"
    parameters = [given.replace(annotation=_as_written(given.annotation)) for given in signature.parameters.values()]
    returns = _as_written(signature.return_annotation)
    return str(signature.replace(parameters=parameters, return_annotation=returns))


def _as_written(annotation: Any) -> Any:
    if annotation is inspect.Signature.empty:
        return annotation
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return _Written(_MODULES.sub("", text))


def summary_of(function: Callable[..., Any]) -> str:
    """The first line of a docstring, or nothing."""
    text = inspect.getdoc(function) if inspect.isroutine(function) else None
    return text.splitlines()[0].strip() if text else ""


def type_text(schema: Schema) -> str:
    """The type that a JSON schema describes, in few words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for several in ("anyOf", "oneOf"):
        if isinstance(schema.get(several), list):
            return " | ".join(type_text(one) for one in schema[several])
    if isinstance(schema.get("allOf"), list) and schema["allOf"]:
        return type_text(schema["allOf"][0])
    if "enum" in schema:
        return " | ".join(map(repr, schema["enum"]))
    kind = schema.get("type", "any")
    if kind == "array" and isinstance(schema.get("items"), Mapping):
        return f"array of {type_text(schema['items'])}"
    return " | ".join(map(str, kind)) if isinstance(kind, list) else str(kind)


def example_body(method: Schema, components: Mapping[str, Schema]) -> Any:
    """A body that a method of an OpenRPC document takes: that of its one parameter, or those required by name."""
    parameters = method.get("params", [])
    if not parameters:
        return None
    if len(parameters) == 1:
        return _example(parameters[0]["schema"], components, _DEPTH)
    required = [given for given in parameters if given["required"]]
    return {given["name"]: _example(given["schema"], components, _DEPTH) for given in required}


def _example(schema: Schema, components: Mapping[str, Schema], depth: int) -> Any:
    if "default" in schema:
        return schema["default"]
    if schema.get("enum"):
        return schema["enum"][0]
    if "$ref" in schema:
        named = components.get(type_text(schema), {})
        return _example(named, components, depth - 1) if depth else None
    choices = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    if choices:
        return _example(choices[0], components, depth)
    if schema.get("type") == "object" and depth:
        fields = schema.get("properties", {})
        return {name: _example(fields[name], components, depth - 1) for name in schema.get("required", [])}
    return _EXAMPLES.get(str(schema.get("type")), {})
