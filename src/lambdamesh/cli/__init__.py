"""The command line ``lambdamesh``: one file a command, imported when it is asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError
from rich.console import Console

import lambdamesh
from lambdamesh.cli.failure import BAD_CONFIGURATION, CALL_FAILED, USAGE, Failure
from lambdamesh.settings import ConfigError

COMMANDS = {
    "serve": "Run a node until SIGTERM or ctrl-C; a second one does not wait for running calls.",
    "setup": "Give this machine the name pm3, so that http://pm3:7630 is the local door.",
    "expose": "Make a lambda of a file, a module, an object or a program, until ctrl-C.",
    "ls": "List the lambdas of a node.",
    "call": "Call a method of a lambda and print its result, or what it streams.",
    "bench": "Call a method of a lambda many times, and show how fast that went.",
    "peers": "List the nodes that a node knows, itself included.",
    "events": "Follow the lambdas of a node: a line for each that opens or closes, until ctrl-C.",
    "secret": "Print a new secret for a mesh; the nodes that are given the same one trust each other.",
    "config": "Print every setting that `serve` with the same flags would have, its value and its source.",
    "doctor": "Tell what keeps a node with the same flags as `serve` from running well here, and how to mend it.",
    "completion": "Print the script that completes this command line in a shell, or install it.",
    "version": "Print the version of this command line and that of the node.",
}
"""Each command and the first sentence of its help, known before its module is imported."""


app = App(
    name="lambdamesh",
    help="Call a function wherever it lives, over plain HTTP.",
    help_epilogue="Exit codes: 0 done, 1 the call failed, 2 usage, 3 no node there, 78 bad configuration.",
    version=lambdamesh.__version__,
    error_console=Console(stderr=True),
    result_action="return_value",
)
for _command, _help in COMMANDS.items():
    app.command(f"lambdamesh.cli.{_command}:{_command}", name=_command, help=_help)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the answer is the exit code of the process. ``argv`` is without the program's name."""
    try:
        return _run(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has had enough of it; the flush at exit shall not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CALL_FAILED


def _run(argv: Sequence[str]) -> int:
    try:
        result = app(list(argv), exit_on_error=False)
        sys.stdout.flush()
    except CycloptsError:
        return USAGE
    except Failure as failure:
        print(failure.message, file=sys.stderr)
        return failure.exit_code
    except ConfigError as error:
        print(f"lambdamesh: {error}", file=sys.stderr)
        return BAD_CONFIGURATION
    return result if isinstance(result, int) else 0
