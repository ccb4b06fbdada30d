"""One run of a program of ``expose --exec``, from its start until nothing of it is left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from typing import cast

from lambdamesh.cli.complaints import Complaint
from lambdamesh.client.handlers import RESULT_BYTES
from lambdamesh.errors import LambdaError

STOPPING_S = 2.0
"""How long a program whose call was cancelled has to end before it is killed."""
LINGERING_S = 0.5
"""How long what it has started may still write after the program itself has ended."""

_STDIN, _STDOUT, _STDERR = 0, 1, 2
_LAST_LINE_BYTES = 4096
_NOT_READ = (OSError, RuntimeError)
"""What loops raise where a program has closed its stdin: it need not read what it has no use for."""


class Run(asyncio.SubprocessProtocol):
    """Takes what a program writes, at most as much as a result may have, and when it ends."""

    def __init__(self, complaint: Complaint) -> None:
        loop = asyncio.get_running_loop()
        self._complaint = complaint
        self._tail = b""
        self._open_pipes = {_STDOUT, _STDERR}
        self._exited: asyncio.Future[None] = loop.create_future()
        self._is_quiet: asyncio.Future[None] = loop.create_future()
        self._is_too_much = False
        self._transport: asyncio.SubprocessTransport | None = None
        self.output = bytearray()

    @classmethod
    async def start(cls, command: Sequence[str], environment: Mapping[str, str], complaint: Complaint) -> Run:
        """Start ``command`` in a process group of its own. Raises: OSError where that cannot be."""
        loop = asyncio.get_running_loop()
        _, run = await loop.subprocess_exec(lambda: cls(complaint), *command, env=environment, start_new_session=True)
        return run

    # -- what the loop tells ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It was started."""
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """It has written."""
        if fd == _STDERR:
            self._complaint.add(data)
            self._tail = (self._tail + data)[-_LAST_LINE_BYTES:]
        elif len(self.output) + len(data) <= RESULT_BYTES:
            self.output += data
        else:
            self._is_too_much = True
            _settle(self._exited)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """It has closed one of its files."""
        self._open_pipes.discard(fd)
        if not self._open_pipes:
            _settle(self._is_quiet)

    def process_exited(self) -> None:
        """It has ended; what it has started may go on."""
        _settle(self._exited)

    # -- what is asked of it ------------------------------------------------------------------------------------

    async def finish(self, body: bytes) -> int:
        """Give it ``body``, wait for its end, and return its exit code. Raises: LambdaError: it writes too much."""
        self._write(body)
        # A call that is cancelled shall not cancel what ``end`` waits for.
        await asyncio.wait({self._exited})
        if self._is_too_much:
            raise LambdaError(f"the program wrote more than the {RESULT_BYTES} bytes that a result may have")
        await asyncio.wait({self._is_quiet}, timeout=LINGERING_S)
        assert self._transport is not None
        code = self._transport.get_returncode()
        assert code is not None
        return code

    def _write(self, body: bytes) -> None:
        assert self._transport is not None
        # Those of uvloop are no WriteTransport, but for what they can do.
        stdin = cast("asyncio.WriteTransport", self._transport.get_pipe_transport(_STDIN))
        with contextlib.suppress(*_NOT_READ):
            stdin.write(body)
            stdin.close()

    @property
    def last_words(self) -> str:
        """The last line that it wrote to stderr."""
        lines = self._tail.decode(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else ""

    async def end(self) -> None:
        """End it if it still runs, and whatever it has started."""
        transport = self._transport
        assert transport is not None
        try:
            if transport.get_returncode() is None:
                self._signal(signal.SIGTERM)
                await asyncio.wait({self._exited}, timeout=STOPPING_S)
        finally:
            self._signal(signal.SIGKILL)
            transport.close()
            self._complaint.end()

    def _signal(self, number: signal.Signals) -> None:
        assert self._transport is not None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._transport.get_pid(), number)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
