"""``expose --exec``: a program that is started for each call."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
from typing import Any

import msgspec

import lambdamesh
from lambdamesh.cli.body import refuse
from lambdamesh.cli.complaints import Complaint, Screen
from lambdamesh.cli.failure import USAGE, Failure
from lambdamesh.cli.program_run import Run
from lambdamesh.client.handlers import Handler, Kind
from lambdamesh.client.signatures import Parameter, Signature
from lambdamesh.errors import LambdaError

AT_ONCE = 16
"""Programs that run at the same time; further calls wait."""
_STDERR = 2
_LINE_ENDS = bytes.maketrans(b"\r\n", b"  ")


def parse_command(text: str) -> list[str]:
    """The words of ``--exec``. Raises: Failure (usage) where there is no such program."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise Failure(f"--exec {text}: {error}", USAGE) from None
    if not words or shutil.which(words[0]) is None:
        named = words[0] if words else "''"
        raise Failure(
            f"--exec: {named} is no program that can be run: is it executable, and on PATH or with ./?", USAGE
        )
    return words


class AnyMethod(dict[str, Handler]):
    """Handlers of a lambda in which one function answers every method."""

    def __init__(self, handler: Handler) -> None:
        super().__init__()
        self._handler = handler

    def get(self, method: str, default: Any = None) -> Any:
        """Return the one handler; names that begin with ``rpc.`` are not the program's."""
        return default if method.startswith("rpc.") else self._handler


class Program:
    """Answers each call by a run of ``command``.

    It reads the body from stdin, as one line, and writes one JSON value to stdout; nothing stands for null.
    ``LAMBDAMESH_METHOD``, ``LAMBDAMESH_RAY`` and ``LAMBDAMESH_ID`` tell it of the call. An exit code other than 0 is
    the caller's error, with the last line of stderr. What it writes to stderr is shown here as well, 64 KiB a run.
    Whatever it has started is ended with it.
    """

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._screen = Screen(_STDERR)

    def handlers(self) -> AnyMethod:
        """What the lambda answers with."""
        signature = Signature((Parameter("body", Any),), Any, lambda params: ((body_of(params),), {}))
        return AnyMethod(Handler("program", self.answer, Kind.COROUTINE, signature))

    async def answer(self, body: bytes) -> msgspec.Raw:
        """Run it once and return what it has written. Raises: LambdaError."""
        call = lambdamesh.current()
        told = {"METHOD": call.method, "RAY": call.ray, "ID": call.lambda_id}
        environment = os.environ | {f"LAMBDAMESH_{name}": text for name, text in told.items()}
        async with self._turns:
            try:
                run = await Run.start(self._command, environment, Complaint(self._screen))
            except OSError as error:
                raise LambdaError(f"{self._command[0]} cannot be run: {error.strerror or error}") from None
            try:
                code = await run.finish(body)
            finally:
                await run.end()
        if code != 0:
            raise LambdaError(run.last_words or f"{self._command[0]} {_ended(code)}", data={"exit_code": code})
        return msgspec.Raw(checked(bytes(run.output), self._command[0]))


def body_of(params: bytes) -> bytes:
    """The body out of ``params``, an array of one, as one line."""
    body = bytes(params).strip()[1:-1].strip()
    return (body or b"null").translate(_LINE_ENDS) + b"\n"


def checked(output: bytes, name: str) -> bytes:
    """Return what a program wrote, if it is one JSON value; nothing is null. Raises: LambdaError."""
    output = output.strip()
    if not output:
        return b"null"
    try:
        json.loads(output, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise LambdaError(f"{name} did not write one JSON value: {error}") from None
    return output


def _ended(code: int) -> str:
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
