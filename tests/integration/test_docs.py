"""The documents: generated parts are fresh, examples run as printed, links lead somewhere, configurations load."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import lambdamesh
from docs.generate import documents, renewed
from docs.javascript_api import close_verdicts, retryable_codes
from lambdamesh.client.reconnecting import Verdict, verdict_of_close
from lambdamesh.settings import load
from tests.documents import EXAMPLE_ID, blocks, commands, follow
from tests.nodes import ROOT, Node
from tests.providers import Answering, wrap
from tests.websocket import WebSocket

DOCUMENTS = documents()
DOCS = [path for path in DOCUMENTS if path.name != "README.md"]
LINKING = [*DOCUMENTS, *ROOT.glob("*.md"), *ROOT.glob("*/README.md"), *ROOT.glob("*/*/README.md")]
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]

_CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_generated_parts_are_fresh(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text == renewed(text), "stale: run `make docs`"


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if any(commands(path))], ids=lambda path: path.stem)
def test_examples_run_as_printed(path: Path, tmp_path: Path) -> None:
    follow(path, tmp_path)


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_blocks_are_of_kinds_that_are_checked(path: Path, tmp_path: Path) -> None:
    for block in blocks(path):
        assert block.language in {"console", "html", "ini", "javascript", "json", "python", "text", "toml"}, block
        if block.language == "json":
            json.loads(block.content)
        if block.language == "toml":
            file = tmp_path / "settings.toml"
            file.write_text(block.content, "utf-8")
            load({}, {}, str(file))
        if block.language in ("python", "javascript"):
            assert any(block.content == example.read_text("utf-8") for example in _examples()), block.line


def _examples() -> list[Path]:
    return [path for pattern in ("*.py", "*.mjs") for path in (ROOT / "examples").glob(f"*/{pattern}")]


@pytest.mark.parametrize("path", LINKING, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for link in _links(path):
        if link.startswith("https://"):
            continue
        target, _, anchor = link.partition("#")
        file = (path.parent / target).resolve() if target else path
        assert file.exists(), link
        if anchor:
            assert anchor in _anchors(file), link


def _links(path: Path) -> list[str]:
    return _LINK.findall(_CODE.sub("code", path.read_text("utf-8")))


def _anchors(path: Path) -> set[str]:
    headings = _HEADING.findall(path.read_text("utf-8"))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_document_is_in_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in _links(index)}
    assert set(DOCS) <= linked


def test_every_metric_is_documented(node: Node) -> None:
    told = set(re.findall(r"^# TYPE (lambdamesh_\w+)", node.fetch("GET", "/metrics").body.decode(), re.MULTILINE))
    documented = re.findall(r"`(lambdamesh_\w+)`", (ROOT / "docs" / "reference" / "metrics.md").read_text("utf-8"))
    assert told == set(documented)


def test_every_topic_of_nodes_is_documented() -> None:
    """What nodes know of topics is in the code that hears them, what they say in ``core.words``; one may lag behind."""
    documented = re.findall(
        r"^\| (`.+?`) \| ", (ROOT / "docs" / "reference" / "link.md").read_text("utf-8"), re.MULTILINE
    )
    words = set(re.findall(r"`(\w+)`", " ".join(documented)))
    heard = re.findall(
        r'^ +"(\w+)": (?:Asked|Told)\(', (ROOT / "src/lambdamesh/core/reception.py").read_text("utf-8"), re.MULTILINE
    )
    assert heard
    assert set(heard) - {"events"} <= words


def test_both_clients_agree_on_what_may_be_tried_again() -> None:
    """The table of errors is made from Python's classes and stands for JavaScript too."""
    kinds = [getattr(lambdamesh, name) for name in lambdamesh.__all__ if name[0].isupper()]
    errors = [kind for kind in kinds if issubclass(kind, lambdamesh.CallError)]
    assert retryable_codes() == {kind.code for kind in errors if kind.retryable}


def test_both_clients_agree_on_closes() -> None:
    """The table of close codes is made from Python's policy and stands for JavaScript too."""
    told = {Verdict.RETRY: "retry", Verdict.FINAL: "final", Verdict.NEW_TICKET: "ticket"}
    verdicts = {code: verdict for code, verdict in close_verdicts().items() if code >= 1000}
    others = {code for code, verdict in verdicts.items() if told[verdict_of_close(code)] != verdict}
    assert not others


def test_the_exchange_on_connect(node: Node) -> None:
    [block] = blocks(ROOT / "docs" / "reference" / "connect.md")
    with Answering(node.address, wrap) as provider, WebSocket.open(node.address, "/connect") as ws:
        for line in block.content.replace(EXAMPLE_ID, provider.id).splitlines():
            mark, _, text = line.partition(" ")
            if mark == "->":
                ws.send(text.encode())
            else:
                assert re.fullmatch(re.escape(text).replace(r"\.\.\.", ".*"), ws.message().decode())


def test_no_document_speaks_of_what_is_not_there() -> None:
    """What comes later is told in one place, the README's status."""
    for path in DOCUMENTS:
        text = path.read_text("utf-8").partition("\n## Status")[0]
        for word in ("--public", "lambdamesh ticket", "dashboard"):
            assert word not in text, (path, word)
