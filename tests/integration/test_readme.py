"""The README works as printed: both providers, each with the calls that follow."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.documents import Reader, blocks, commands
from tests.nodes import ROOT

README = ROOT / "README.md"
PROVIDERS = {"python": "examples/python/", "node": "examples/node"}
WS = ROOT / "examples" / "node" / "node_modules" / "ws"


def test_the_readme_with_each_provider_is_tested() -> None:
    said = [command.text for command in commands(README)]
    for words in ("make serve", *PROVIDERS.values(), "curl http://localhost:7630/lambda/", "lambdamesh call"):
        assert any(words in text for text in said), words


@pytest.mark.parametrize("kind", PROVIDERS)
def test_the_readme(kind: str, tmp_path: Path) -> None:
    if kind == "node" and (shutil.which("node") is None or not WS.is_dir()):
        pytest.skip("node, or ws in examples/node/node_modules (npm ci), is not installed")
    others = [path for name, path in PROVIDERS.items() if name != kind]
    reader = Reader(tmp_path)
    try:
        for command in commands(README):
            if not any(path in command.text for path in others):
                reader.follow(command)
        assert not any(node.complaints() for node in reader.nodes)
    finally:
        reader.close()


def test_the_readme_shows_the_examples_as_they_are() -> None:
    shown = {block.content for block in blocks(README) if block.language in ("python", "javascript")}
    examples = ("examples/python/provider.py", "examples/node/minimal.mjs")
    assert shown == {(ROOT / path).read_text("utf-8") for path in examples}
