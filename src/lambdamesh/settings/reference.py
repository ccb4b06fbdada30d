"""The reference of all settings, from their definitions."""

from __future__ import annotations

import ast
import inspect

import msgspec

from lambdamesh.core.limits import Limits
from lambdamesh.settings.definition import Settings
from lambdamesh.settings.keys import LIMIT_PREFIX, TYPES, env_name, flag_name, owner, toml_text, type_text


class Described(msgspec.Struct, frozen=True):
    """One line of the reference: ``key`` as in ``Effective.sources``, ``type`` and ``default`` in TOML's terms,
    ``help`` in Markdown."""

    key: str
    type: str
    default: str
    help: str
    env: str
    flag: str | None


def describe() -> tuple[Described, ...]:
    """The reference of all settings, from ``Settings`` and ``core.limits``."""
    texts = _attribute_docs(Settings) | {LIMIT_PREFIX + name: text for name, text in _attribute_docs(Limits).items()}
    defaults = Settings()
    return tuple(
        Described(
            key=key,
            type=type_text(kind),
            default=toml_text(getattr(*owner(defaults, key))),
            help=texts.get(key, ""),
            env=env_name(key),
            flag=None if key.startswith(LIMIT_PREFIX) else flag_name(key),
        )
        for key, kind in TYPES.items()
    )


def _attribute_docs(described: type) -> dict[str, str]:
    """The text below each attribute of a class; none where its source is not at hand."""
    try:
        [definition] = ast.parse(inspect.getsource(described)).body
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
