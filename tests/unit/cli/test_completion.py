"""Scripts that complete the command line."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lambdamesh.cli import COMMANDS, main


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_knows_every_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert [name for name in COMMANDS if name not in script] == []
    assert "--in-flight" in script if shell != "fish" else "in-flight" in script


def test_without_a_name_it_is_the_shell_of_the_user(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/zsh")
    assert main(["completion"]) == 0
    assert capsys.readouterr().out.startswith("#compdef")
    monkeypatch.setenv("SHELL", "/bin/csh")
    assert main(["completion"]) == 2
    assert "bash|zsh|fish" in capsys.readouterr().err


def test_installing_says_where_and_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for _ in range(2):
        assert main(["completion", "bash", "--install"]) == 0
    path = tmp_path / ".local/share/bash-completion/completions/lambdamesh"
    assert f"wrote {path}" in capsys.readouterr().out
    assert (tmp_path / ".bashrc").read_text().count(str(path)) == 2, "one line that tests for the file and reads it"


def test_bash_completes_commands_and_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "script"
    script.write_text(capsys.readouterr().out)

    def completed(*words: str) -> list[str]:
        line = f'. {script}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _lambdamesh; printf "%s\\n" "${{COMPREPLY[@]}}"'
        done = subprocess.run([bash, "-c", line, "bash", *words], capture_output=True, text=True, check=True)
        return done.stdout.split()

    assert completed("lambdamesh", "ex") == ["expose"]
    assert completed("lambdamesh", "bench", "--in") == ["--in-flight"]


def test_completing_loads_no_node() -> None:
    line = (
        "import sys\nfrom lambdamesh.cli import main\nmain(['completion', 'bash'])\n"
        "assert not {'lambdamesh.node', 'lambdamesh.door.door'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", line], check=True, stdout=subprocess.DEVNULL, env={"PYTHONPATH": "src"})
