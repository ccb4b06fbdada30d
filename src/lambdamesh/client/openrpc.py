"""What ``rpc.discover`` answers: an OpenRPC 1.3 document of the methods of one lambda."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from lambdamesh.client.handlers import Handler, Kind
from lambdamesh.client.signatures import Parameter, Signature, bind_nothing, item_type

OPENRPC_VERSION = "1.3.2"
DISCOVER = "rpc.discover"

_REFERENCES = "#/components/schemas/{name}"

Json = dict[str, Any]


def discoverer(handlers: Iterable[Handler], title: str) -> Handler:
    """Return the handler of ``rpc.discover`` for ``handlers``; the document is made when it is first asked for."""
    described = [handler for handler in handlers if handler.name != DISCOVER]
    made: list[Json] = []

    async def discover() -> Json:
        if not made:
            made.append(document(described, title))
        return made[0]

    return Handler(DISCOVER, discover, Kind.COROUTINE, Signature((), Json, bind_nothing))


def document(handlers: Sequence[Handler], title: str) -> Json:
    """Describe ``handlers``. One parameter is the body; several are taken from it by name or by position."""
    types = [given for handler in handlers for given in _types(handler)]
    schemas, components = _schemas(types)
    rest = iter(schemas)
    methods = [_method(handler, rest) for handler in handlers]
    return {
        "openrpc": OPENRPC_VERSION,
        "info": {"title": title, "version": "1.0.0"},
        "methods": methods,
        "components": {"schemas": components},
    }


def _types(handler: Handler) -> list[Any]:
    signature = handler.signature
    result = item_type(signature.returns) if handler.is_stream else signature.returns
    return [*(parameter.type for parameter in signature.parameters), result]


def _schemas(types: Sequence[Any]) -> tuple[list[Json], Json]:
    try:
        schemas, components = msgspec.json.schema_components(types, ref_template=_REFERENCES)
    except TypeError:
        # Some result has no schema, since it may be encoded but not decoded: it is described as anything.
        described = [one if _has_schema(one) else Any for one in types]
        schemas, components = msgspec.json.schema_components(described, ref_template=_REFERENCES)
    return list(schemas), components


def _has_schema(one: Any) -> bool:
    try:
        msgspec.json.schema(one)
    except TypeError:
        return False
    return True


def _method(handler: Handler, schemas: Any) -> Json:
    parameters = handler.signature.parameters
    described: Json = {"name": handler.name, **_words(handler.function)}
    params = [_descriptor(parameter, next(schemas)) for parameter in parameters]
    described["params"] = sorted(params, key=lambda param: not param["required"])
    described["paramStructure"] = _structure(params, described["params"])
    described["result"] = {"name": "item" if handler.is_stream else "result", "schema": next(schemas)}
    if handler.is_stream:
        described["x-stream"] = True
    return described


def _structure(taken: list[Json], told: list[Json]) -> str:
    """How the parameters may be given; required ones are told first, which need not be where they are taken from."""
    if taken != told:
        return "by-name"
    return "by-position" if len(taken) == 1 else "either"


def _descriptor(parameter: Parameter, schema: Json) -> Json:
    if not parameter.is_required:
        schema = _with_default(schema, parameter.default)
    return {"name": parameter.name, "required": parameter.is_required, "schema": schema}


def _with_default(schema: Json, default: Any) -> Json:
    try:
        plain = msgspec.to_builtins(default)
    except TypeError:
        return schema
    return {"allOf": [schema], "default": plain} if "$ref" in schema else {**schema, "default": plain}


def _words(function: Any) -> Json:
    text = inspect.getdoc(function) if inspect.isroutine(function) else None
    if not text:
        return {}
    summary, _, more = text.partition("\n")
    words = {"summary": summary.strip()}
    if more.strip():
        words["description"] = more.strip()
    return words
