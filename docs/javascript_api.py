"""The JavaScript client as the interfaces of its sources tell of it, for the reference."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SOURCES = Path(__file__).resolve().parent.parent / "clients" / "js" / "src"

_MEMBER = re.compile(
    r"^  /\*\*(?P<words>(?:(?!\*/).)*)\*/\n"
    r"  (?:override )?(?:readonly )?(?:async )?(?P<getter>get )?(?P<member>[a-zA-Z]\w*[^\n]*)",
    re.MULTILINE | re.DOTALL,
)
_RETRYABLE = re.compile(r"RETRYABLE = new Set\(\[(.*?)\]\)")
_VERDICT = re.compile(r'^  (\d+): "(\w+)",$', re.MULTILINE)


class Member(NamedTuple):
    """A member of an interface or a class: how it is declared, and what is said of it."""

    declared: str
    words: str


def members(file: str, kind: str) -> Iterator[Member]:
    """The members of ``kind`` that have a comment."""
    text = (SOURCES / file).read_text("utf-8")
    found = re.search(rf"^export (?:interface|class) {kind}\b[^\n]*\{{\n(.*?)^}}", text, re.MULTILINE | re.DOTALL)
    assert found is not None, kind
    for member in _MEMBER.finditer(found[1]):
        declared = member["member"].rstrip(" {").rstrip(";")
        if member["getter"]:
            declared = declared.replace("()", "", 1)
        words = " ".join(re.sub(r"^\s*\* ?", "", member["words"], flags=re.MULTILINE).split())
        if "static" not in declared:
            yield Member(declared, words)


def retryable_codes() -> set[str]:
    """The codes of errors after which the client says that the same call may be made again."""
    found = _RETRYABLE.search((SOURCES / "errors.ts").read_text("utf-8"))
    assert found is not None
    return set(re.findall(r'"(\w+)"', found[1]))


def close_verdicts() -> dict[int, str]:
    """What the client does after a close code: ``retry``, ``final`` or ``ticket``, for those that its table names."""
    text = (SOURCES / "policy.ts").read_text("utf-8")
    return {int(code): verdict for code, verdict in _VERDICT.findall(text)}
