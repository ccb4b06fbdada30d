"""``lambdamesh secret``: the secret and nothing else, so that it can be sent to a file."""

from __future__ import annotations

import pytest

from lambdamesh.access.mesh_secret import parse_secrets
from lambdamesh.cli import main


def test_it_prints_a_new_secret_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["secret"]) == 0
    first = capsys.readouterr()
    assert main(["secret"]) == 0
    second = capsys.readouterr()
    assert first.err == second.err == ""
    assert first.out.count("\n") == 1 and first.out.endswith("\n")
    assert len(parse_secrets(first.out, "it")) == 1
    assert first.out != second.out


@pytest.mark.usefixtures("terminal")
def test_people_are_told_what_to_do_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["secret"]) == 0
    shown = capsys.readouterr()
    assert len(parse_secrets(shown.out, "it")) == 1
    assert "lambdamesh secret > mesh.secret" in shown.err
    assert "chmod 600 mesh.secret" in shown.err
    assert "the same on all" in shown.err
    assert shown.out.strip() not in shown.err


def test_it_takes_no_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["secret", "mesh.secret"]) == 2
    assert capsys.readouterr().out == ""
