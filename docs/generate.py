"""Writes the generated parts of the documents: tables from the code's own, and files that they show.

A part stands between ``<!-- begin: NAME -->`` and ``<!-- end: NAME -->``. NAME is one of ``TABLES``, or the path of a
file of this repository, which is shown as it is. ``python -m docs.generate`` rewrites all parts; a test fails where one
is stale.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from docs.javascript_api import members
from docs.link_tables import call_head_rows, frame_rows, head_rows, json_rows, topic_rows
from docs.python_api import python_api
from lambdamesh import CallError, __all__ as exported
from lambdamesh.cli import COMMANDS, app
from lambdamesh.cli.config import defaults_file
from lambdamesh.client.handlers import ITEM_BYTES, LOOKED_AT_BYTES, RESULT_BYTES
from lambdamesh.client.reconnecting import Verdict, verdict_of_close
from lambdamesh.client.serving import RUNNING_NOTIFICATIONS
from lambdamesh.client.session import KEPT_ANSWERS, KEPT_BYTES, WAITING_REQUESTS
from lambdamesh.client.streams import CREDIT
from lambdamesh.client.threads import DEFAULT_THREADS, QUEUED_CALLS
from lambdamesh.core.counters import COUNTERS
from lambdamesh.core.limits import Limits
from lambdamesh.door.endpoints.calls import Calls
from lambdamesh.door.handshake import CREDENTIAL_BYTES
from lambdamesh.door.registration import SHOWN_BYTES, SHOWN_LINES
from lambdamesh.door.routes import ROUTES, Form, Route
from lambdamesh.door.targets import METHOD_BYTES
from lambdamesh.errors import CLOSE_CODES, MeshError
from lambdamesh.protocol.json_text import MAX_DEPTH
from lambdamesh.protocol.session import SESSION_COUNTERS
from lambdamesh.settings import Described, describe
from lambdamesh.telemetry.metrics import GAUGES

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = {".py": "python", ".mjs": "javascript", ".txt": "text"}

_LEAVING = 1000
_THEN = {
    Verdict.RETRY: "connects again",
    Verdict.FINAL: "stays away: final",
    Verdict.NEW_TICKET: "connects once more, with a new ticket",
}

_PART = re.compile(r"(<!-- begin: (\S+) -->\n).*?(<!-- end: \2 -->)", re.DOTALL)


def documents() -> list[Path]:
    """Every document that may have generated parts."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def renewed(text: str) -> str:
    """Return ``text`` with every generated part as it should be. Raises: KeyError for an unknown name."""
    return _PART.sub(lambda part: f"{part[1]}{_content(part[2])}\n{part[3]}", text)


def _content(name: str) -> str:
    path = ROOT / name
    if path.suffix in LANGUAGES and path.is_file():
        return f"```{LANGUAGES[path.suffix]}\n{path.read_text('utf-8').strip()}\n```"
    return TABLES[name]()


# --- the tables ---


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', '&#124;') for cell in line)} |" for line in lines)


def _code(text: object) -> str:
    return f"`{text}`" if text or text == 0 else ""


def _first_sentence(documented: object) -> str:
    text = (documented.__doc__ or "").replace("``", "`").replace("\n", " ")
    return text.partition(". ")[0].strip().removesuffix(".") + "."


def _routes() -> str:
    rows = [(_code(" ".join(row.verbs)), _code(_path(row)), _answer(row), row.gate.value) for row in ROUTES]
    return _table(("verbs", "path", "what it does", "for"), rows)


def _path(route: Route) -> str:
    if "/new/" not in route.path:
        return route.path.replace("{}", "{id}", 1).replace("{}", "{method}")
    return route.path.replace("{}", "{id}")


def _answer(route: Route) -> str:
    if route.form is Form.CALL:
        return _first_sentence(Calls.answer)
    if route.form is Form.PREFLIGHT:
        return "Answer what a browser asks before a call."
    suffix = " A WebSocket." if route.form is Form.WEBSOCKET else ""
    return _first_sentence(route.endpoint) + suffix


def _errors() -> str:
    over_http = (kind for kind in _below(MeshError) if kind.http_status)
    kinds = sorted(over_http, key=lambda kind: (kind.http_status, kind.code))
    rows = [
        (kind.http_status, _code(kind.code), _meaning(kind), kind.delivered, "yes" if kind.retryable else "no")
        for kind in kinds
    ]
    return _table(("status", "`code`", "what happened", "`delivered`", "try again"), rows)


def _meaning(kind: type[MeshError]) -> str:
    return "The node has a bug; its log tells more." if kind is MeshError else _first_sentence(kind)


def _below(kind: type[MeshError]) -> Iterator[type[MeshError]]:
    """``kind`` and all that are derived from it."""
    yield kind
    for child in kind.__subclasses__():
        yield from _below(child)


def _close_codes() -> str:
    return _table(("code", "meaning", "a client"), [(code, text, _then(code)) for code, text in CLOSE_CODES.items()])


def _then(code: int) -> str:
    return "has left" if code == _LEAVING else _THEN[verdict_of_close(code)]


def _client_errors() -> str:
    """A row for each class that a client may raise; several codes of one class do not exist."""
    kinds = sorted(filter(_is_exported, _below(CallError)), key=lambda kind: (kind.code, kind.http_status))
    rows = [
        (_code(kind.code), _code(_exported(kind)), kind.http_status, kind.delivered, "yes" if kind.retryable else "no")
        for kind in kinds
    ]
    return _table(("`.code`", "class", "status", "`.delivered`", "`.retryable`"), rows)


def _is_exported(kind: type[MeshError]) -> bool:
    return kind is CallError or kind.__name__ in exported


def _exported(kind: type[MeshError]) -> str:
    return "CallError" if kind is CallError else kind.__name__


def _word_errors() -> str:
    """A row for each code, as those see it who have no classes."""
    kinds: dict[str, list[type[MeshError]]] = defaultdict(list)
    for kind in filter(_is_exported, _below(MeshError)):
        kinds[kind.code].append(kind)
    rows = [
        (
            _code(code),
            ", ".join(sorted({str(kind.http_status) for kind in same})),
            same[0].delivered,
            "yes" if same[0].retryable else "no",
        )
        for code, same in sorted(kinds.items())
    ]
    return _table(("`code`", "`status`", "`delivered`", "`retryable`"), rows)


def _interface(file: str, kind: str, columns: Sequence[str]) -> Callable[[], str]:
    return lambda: _table(columns, [(_code(member.declared), member.words) for member in members(file, kind)])


def _settings() -> str:
    rows = [
        (_code(row.key), _code(row.flag), _code(row.env), row.type, _default(row), row.help)
        for row in describe()
        if row.flag
    ]
    return _table(("key", "flag", "variable", "type", "default", "meaning"), rows)


def _limits() -> str:
    rows = [
        (_code(row.key.removeprefix("limits.")), _default(row), _code(row.env), row.help)
        for row in describe()
        if not row.flag
    ]
    assert len(rows) == len(Limits.__struct_fields__)
    return _table(("key in `[limits]`", "default", "variable", "meaning"), rows)


def _default(row: Described) -> str:
    return _code(row.default) or "none"


def _fixed_limits() -> str:
    rows = (
        (MAX_DEPTH, "levels of arrays and objects in a body or a result"),
        (METHOD_BYTES, "bytes of a method's name, in UTF-8"),
        (CREDENTIAL_BYTES, "bytes of a credential in `Sec-WebSocket-Protocol`"),
        (SHOWN_BYTES, "bytes of its registration's header fields that a lambda shows"),
        (SHOWN_LINES, "lines of them"),
    )
    return _table(("limit", "of what"), [(f"{number:,}", text) for number, text in rows])


def _client_limits() -> str:
    rows = (
        (WAITING_REQUESTS, "calls that wait for a connection; more raise `Overloaded`"),
        (
            KEPT_ANSWERS,
            "answers that wait for their lambdas to be open again; further calls end with `lambda_lost`",
        ),
        (KEPT_BYTES, "bytes of them"),
        (DEFAULT_THREADS, "threads for functions that are not `async`, where `threads` is not given"),
        (QUEUED_CALLS, "calls that wait for one of them; more are answered with an error"),
        (RUNNING_NOTIFICATIONS, "notifications that run at once; more are passed over, and logged"),
        (RESULT_BYTES, "bytes of a body or a result"),
        (LOOKED_AT_BYTES, "bytes up to which a result is held to its annotation"),
        (ITEM_BYTES, "bytes of an item of a stream"),
        (CREDIT, "items of a stream that come before its reader takes any"),
    )
    return _table(("limit", "of what"), [(f"{number:,}", text) for number, text in rows])


def _metrics() -> str:
    counters = (*COUNTERS, *SESSION_COUNTERS)
    rows = [(_code(f"lambdamesh_{name}_total"), "counter", text) for name, text in counters]
    rows += [(_code(f"lambdamesh_{name}"), "gauge", text) for name, text, *_ in GAUGES]
    return _table(("metric", "type", "meaning"), rows)


def _commands() -> str:
    """The help of each command, from the section that the command line writes of itself."""
    sections = app.generate_docs(output_format="markdown").split("\n## lambdamesh ")[1:]
    texts = dict(section.split("\n", 1) for section in sections)
    return "\n\n".join(f"## `lambdamesh {name}`\n\n{_as_here(texts[name])}" for name in COMMANDS)


def _defaults_file() -> str:
    """What ``lambdamesh config --defaults`` prints."""
    return f"```toml\n{defaults_file()}\n```"


def _as_here(text: str) -> str:
    return (
        text.strip().replace("```console", "```text").replace("**Parameters**", "**Options**").replace("\n* ", "\n- ")
    )


TABLES: dict[str, Callable[[], str]] = {
    "routes": _routes,
    "errors": _errors,
    "close-codes": _close_codes,
    "client-errors": _client_errors,
    "word-errors": _word_errors,
    "python-api": python_api,
    "js-mesh": _interface("mesh.ts", "Mesh", ("method", "")),
    "js-lambda": _interface("mesh.ts", "Lambda", ("member", "")),
    "js-connect-options": _interface("mesh.ts", "ConnectOptions", ("option", "")),
    "js-expose-options": _interface("mesh.ts", "ExposeOptions", ("option", "")),
    "js-call-options": _interface("calling.ts", "CallOptions", ("option", "")),
    "js-call-context": _interface("methods.ts", "CallContext", ("member", "")),
    "js-call-error": _interface("errors.ts", "CallError", ("member", "")),
    "link-head": lambda: _table(("bytes", "meaning"), head_rows()),
    "link-frames": lambda: _table(("kind", "name", "what it is"), frame_rows()),
    "link-call": lambda: _table(("bytes", "meaning"), call_head_rows()),
    "link-json": lambda: _table(("name", "members", "what it says"), json_rows()),
    "link-topics": lambda: _table(("topic", "members", "what it says"), topic_rows()),
    "settings": _settings,
    "limits": _limits,
    "client-limits": _client_limits,
    "fixed-limits": _fixed_limits,
    "metrics": _metrics,
    "commands": _commands,
    "defaults-file": _defaults_file,
}


def main() -> int:
    """Rewrite what is stale, and say so."""
    for path in documents():
        before = path.read_text("utf-8")
        after = renewed(before)
        if after != before:
            path.write_text(after, "utf-8")
            sys.stdout.write(f"renewed {path.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
