"""``lambdamesh completion``: the script with which a shell completes this command line."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from lambdamesh.cli.failure import USAGE, Failure

Shell = Literal["bash", "zsh", "fish"]
_SHELLS: tuple[Shell, ...] = ("bash", "zsh", "fish")
_STARTUP_FILES: dict[Shell, str] = {"bash": "~/.bashrc", "zsh": "~/.zshrc"}


def completion(
    shell: Annotated[Shell | None, Parameter(name="SHELL", help="Without it that of SHELL in the environment.")] = None,
    /,
    *,
    install: Annotated[
        bool, Parameter(negative="", help="Put the script where the shell finds it, instead of printing it.")
    ] = False,
) -> None:
    """Print the script that completes this command line in a shell, or install it."""
    from lambdamesh.cli import app

    shell = shell or _own_shell()
    if not install:
        sys.stdout.write(app.generate_completion(shell=shell).rstrip() + "\n")
        return
    try:
        path = app.install_completion(shell=shell)
    except OSError as error:
        raise Failure(f"the script cannot be written: {error}") from error
    print(f"wrote {path}")
    if shell in _STARTUP_FILES:
        print(f"{_STARTUP_FILES[shell]} loads it")
    print("a new shell completes lambdamesh")


def _own_shell() -> Shell:
    name = Path(os.environ.get("SHELL", "")).name
    for shell in _SHELLS:
        if shell == name:
            return shell
    raise Failure(f"name a shell: lambdamesh completion {'|'.join(_SHELLS)}", USAGE)
