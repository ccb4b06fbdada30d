"""The README shows what is needed to begin; that it works as printed is tested with the other documents."""

from __future__ import annotations

from tests.documents import blocks, commands
from tests.nodes import ROOT

README = ROOT / "README.md"
SHOWN = (
    "examples/python/greeter.py",
    "examples/python/call_it.py",
    "examples/node/call_it.mjs",
    "examples/python/provider.py",
    "examples/node/minimal.mjs",
)


def test_the_readme_begins_with_the_commands_of_the_first_minute() -> None:
    said = [command.text for command in commands(README)]
    first = ("make serve", "lambdamesh expose examples/python/greeter.py", "curl ", "lambdamesh call")
    for words, text in zip(first, said, strict=False):
        assert words in text, said


def test_the_readme_runs_every_program_that_it_shows() -> None:
    said = " ".join(command.text for command in commands(README))
    for program in SHOWN:
        assert program in said, program


def test_the_readme_shows_the_examples_as_they_are() -> None:
    shown = {block.content for block in blocks(README) if block.language in ("python", "javascript")}
    assert shown == {(ROOT / path).read_text("utf-8") for path in SHOWN}
