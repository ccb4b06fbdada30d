"""Runs handlers: coroutines as tasks, functions in threads, generators as far as their credit goes."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import msgspec

from lambdamesh.client import context
from lambdamesh.client.faults import RPC_HANDLER_RAISED, Reply, encode_raised, encode_reply
from lambdamesh.client.handlers import Handler, Items, Kind, encode_item, encode_result
from lambdamesh.client.hosting import Served
from lambdamesh.client.pumping import Pump
from lambdamesh.client.signatures import Arguments
from lambdamesh.client.threads import Threads
from lambdamesh.protocol.json_text import NULL

log = logging.getLogger("lambdamesh.client")

RUNNING_NOTIFICATIONS = 1024
"""Notifications that may run at once; more are passed over."""
CLEANING_UP_S = 5.0
"""How long handlers that were cancelled may take to end, where the client is closed."""

_COROUTINE = Kind.COROUTINE
_ENDS_A_CALL = (Exception, SystemExit, asyncio.CancelledError)
"""What ends a call and nothing else: a handler that leaves does not take the others with it."""

_BUSY = Reply(RPC_HANDLER_RAISED, "the provider has as many calls waiting for a thread as it may: call later")


class Server:
    """Serves the calls of all lambdas of one client. ``drained`` waits until the socket takes bytes again."""

    def __init__(self, threads: Threads, drained: Callable[[], Awaitable[None] | None], debug: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._threads = threads
        self._drained = drained
        self._debug = debug
        self._notified: set[Served] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._run = {
            Kind.ASYNC_GENERATOR: self._iterate,
            Kind.THREAD: self._call,
            Kind.GENERATOR: self._pump,
        }

    def serve(self, served: Served, handler: Handler, params: bytes) -> None:
        """Run ``handler`` for one call; its answer goes to ``served``."""
        if served.is_notification and not self._admit(served):
            return
        try:
            arguments = handler.signature.bind(params)
            if handler.kind is _COROUTINE:
                self._await(served, handler, arguments)
            else:
                self._run[handler.kind](served, handler, arguments)
        except Exception as error:
            self.fail(served, error)

    def _admit(self, served: Served) -> bool:
        if len(self._notified) >= RUNNING_NOTIFICATIONS:
            log.warning("a notification of %s was passed over: %d run already", served.method, RUNNING_NOTIFICATIONS)
            return False
        self._notified.add(served)
        return True

    async def stop(self) -> None:
        """End what runs for notifications, and give whatever was cancelled the time to clean up."""
        for served in tuple(self._notified):
            served.cancel()
        ending = self._ending - {asyncio.current_task()}
        if ending:
            await asyncio.wait(ending, timeout=CLEANING_UP_S)

    # -- outcomes -----------------------------------------------------------------------------------------------

    def succeed(self, served: Served, raw: bytes) -> None:
        """A handler has returned; ``raw`` is JSON text."""
        served.is_over = True
        if served.is_notification:
            self._notified.discard(served)
        else:
            served.result(raw)

    def fail(self, served: Served, raised: BaseException) -> None:
        """A handler has raised."""
        served.is_over = True
        told = encode_raised(raised, self._debug)
        if served.is_notification:
            self._notified.discard(served)
            log.warning("%s failed for a notification: %s", served.method, told.decode())
        else:
            served.error(told)

    # -- on the event loop --------------------------------------------------------------------------------------

    def _await(self, served: Served, handler: Handler, arguments: Arguments) -> None:
        self._start(served, self._awaited(served, handler, arguments))

    def _iterate(self, served: Served, handler: Handler, arguments: Arguments) -> None:
        self._start(served, self._iterated(served, handler, arguments))

    def _start(self, served: Served, work: Any) -> None:
        if self._loop.get_task_factory() is None:
            task = asyncio.Task(work, loop=self._loop, name=served.method)
        else:
            task = self._loop.create_task(work)
        # Its call holds the task, and nothing else does while it runs.
        served.task = task
        served.stop = self._stop_task

    def _stop_task(self, served: Served) -> None:
        task = served.task
        if task is not None:
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
            task.cancel()

    async def _awaited(self, served: Served, handler: Handler, arguments: Arguments) -> None:
        context.enter(served)
        try:
            args, kwargs = arguments
            value = await (handler.function(*args, **kwargs) if kwargs else handler.function(*args))
            raw = encode_result(handler, value)
        except BaseException as error:
            self._raised(served, error)
        else:
            self.succeed(served, raw)

    async def _iterated(self, served: Served, handler: Handler, arguments: Arguments) -> None:
        context.enter(served)
        try:
            items: AsyncGenerator[Any, None] = handler.function(*arguments[0], **arguments[1])
            try:
                send = self._send_items if served.wants_stream else self._gather_items
                raw = await send(served, handler, items)
            finally:
                await items.aclose()
        except BaseException as error:
            self._raised(served, error)
        else:
            self.succeed(served, raw)

    def _raised(self, served: Served, error: BaseException) -> None:
        """A handler has raised, within the ``except`` that has caught it."""
        if isinstance(error, asyncio.CancelledError) and served.cancelled:
            self._notified.discard(served)
            return
        if not isinstance(error, GeneratorExit):
            # A cancellation that is not ours: it has cancelled itself, or waited for something that was cancelled.
            self.fail(served, error)
        if not isinstance(error, _ENDS_A_CALL):
            raise error

    async def _send_items(self, served: Served, handler: Handler, items: AsyncGenerator[Any, None]) -> bytes:
        more = asyncio.Event()
        served.more = more.set
        while True:
            while served.credit <= 0:
                more.clear()
                await more.wait()
            try:
                value = await anext(items)
            except StopAsyncIteration:
                return NULL
            served.item(encode_item(handler, value))
            drained = self._drained()
            if drained is not None:
                await drained

    async def _gather_items(self, served: Served, handler: Handler, items: AsyncGenerator[Any, None]) -> bytes:
        gathered = Items(handler)
        async for value in items:
            gathered.add(value)
        return gathered.array()

    # -- in threads ---------------------------------------------------------------------------------------------

    def _call(self, served: Served, handler: Handler, arguments: Arguments) -> None:
        inside = contextvars.copy_context()
        inside.run(context.enter, served)
        self.in_thread(served, lambda: self._called(served, handler, arguments, inside))

    def _called(self, served: Served, handler: Handler, arguments: Arguments, inside: contextvars.Context) -> None:
        if served.cancelled:
            self._back(self._threads.done)
            return
        try:
            value = inside.run(handler.function, *arguments[0], **arguments[1])
            if inspect.isawaitable(value):
                self._back(self._returned_awaitable, served, handler, value)
                return
            raw = encode_result(handler, value)
        except BaseException as error:
            self._back(self._ended, self.fail, served, error)
        else:
            self._back(self._ended, self.succeed, served, raw)

    def _ended(self, tell: Callable[[Served, Any], None], served: Served, outcome: Any) -> None:
        self._threads.done()
        tell(served, outcome)

    def _returned_awaitable(self, served: Served, handler: Handler, value: Awaitable[Any]) -> None:
        self._threads.done()

        async def given() -> Any:
            return await value

        self._start(served, self._awaited(served, msgspec.structs.replace(handler, function=given), ((), {})))

    def _pump(self, served: Served, handler: Handler, arguments: Arguments) -> None:
        Pump(self, served, handler, arguments).advance()

    def in_thread(self, served: Served, work: Callable[[], None]) -> None:
        """Run ``work`` in a thread, or answer that there is none (``Threading``)."""
        if not self._threads.run(work):
            self._notified.discard(served)
            served.error(encode_reply(_BUSY))

    def send_soon(self, served: Served, raw: bytes) -> None:
        """From a thread: send an item (``Threading``)."""
        self._back(served.item, raw)

    def back(self, then: Callable[[], None]) -> None:
        """From a thread that is done: go on with ``then`` on the event loop (``Threading``)."""
        self._back(self._go_on, then)

    def _go_on(self, then: Callable[[], None]) -> None:
        self._threads.done()
        then()

    def _back(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            log.debug("a handler ended after the event loop had closed")
