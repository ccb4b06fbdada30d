"""``expose --exec``: a program that is started for each call."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import shutil
import signal
import sys
from typing import Any

import msgspec

import lambdamesh
from lambdamesh.cli.body import refuse
from lambdamesh.cli.failure import USAGE, Failure
from lambdamesh.client.handlers import RESULT_BYTES, Handler, Kind
from lambdamesh.client.signatures import Parameter, Signature
from lambdamesh.errors import LambdaError

AT_ONCE = 16
"""Programs that run at the same time; further calls wait."""
STOPPING_S = 2.0
"""How long a program whose call was cancelled has to end before it is killed."""
_LINE_ENDS = bytes.maketrans(b"\r\n", b"  ")
_PIECE_BYTES = 65_536
_COMPLAINT_BYTES = 4096


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
    the caller's error, with the last line of stderr. All it writes to stderr is shown here as well.
    """

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._turns = asyncio.Semaphore(AT_ONCE)

    def handlers(self) -> AnyMethod:
        """What the lambda answers with."""
        signature = Signature((Parameter("body", Any),), Any, lambda params: ((body_of(params),), {}))
        return AnyMethod(Handler("program", self.answer, Kind.COROUTINE, signature))

    async def answer(self, body: bytes) -> msgspec.Raw:
        """Run it once and return what it has written. Raises: LambdaError."""
        call = lambdamesh.current()
        told = {"METHOD": call.method, "RAY": call.ray, "ID": call.lambda_id}
        async with self._turns:
            try:
                process = await asyncio.create_subprocess_exec(
                    *self._command,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                    env=os.environ | {f"LAMBDAMESH_{name}": text for name, text in told.items()},
                    start_new_session=True,
                )
            except OSError as error:
                raise LambdaError(f"{self._command[0]} cannot be run: {error.strerror or error}") from None
            try:
                _, output, complaint = await asyncio.gather(
                    _write(process, body), _read(process), _pass_on(process, sys.stderr.buffer)
                )
                code = await process.wait()
            finally:
                await _end(process)
        if code != 0:
            raise LambdaError(complaint or f"{self._command[0]} {_ended(code)}", data={"exit_code": code})
        return msgspec.Raw(checked(output, self._command[0]))


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


async def _write(process: asyncio.subprocess.Process, body: bytes) -> None:
    assert process.stdin is not None
    # A program need not read what it has no use for.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(body)
        await process.stdin.drain()
    process.stdin.close()


async def _read(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None
    output = bytearray()
    while piece := await process.stdout.read(_PIECE_BYTES):
        output += piece
        if len(output) > RESULT_BYTES:
            raise LambdaError(f"the program wrote more than the {RESULT_BYTES} bytes that a result may have")
    return bytes(output)


async def _pass_on(process: asyncio.subprocess.Process, here: Any) -> str:
    """Show what a program complains of; return its last line."""
    assert process.stderr is not None
    tail = b""
    while piece := await process.stderr.read(_PIECE_BYTES):
        here.write(piece)
        here.flush()
        tail = (tail + piece)[-_COMPLAINT_BYTES:]
    lines = tail.decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else ""


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a program that still runs, and whatever it has started."""
    if process.returncode is not None:
        return
    for number, patience_s in ((signal.SIGTERM, STOPPING_S), (signal.SIGKILL, None)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), patience_s)
            return


def _ended(code: int) -> str:
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
