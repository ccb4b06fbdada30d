"""The client for code that is not async: the same, each verb waiting for its outcome."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from lambdamesh.client.exposed import Exposed
from lambdamesh.client.exposing import Function
from lambdamesh.client.faults import ClientClosed
from lambdamesh.client.hosting import End
from lambdamesh.client.looping import LoopThread
from lambdamesh.client.mesh import Connecting, Mesh
from lambdamesh.client.reconnector import State
from lambdamesh.client.streams import Stream

T = TypeVar("T")
F = TypeVar("F", bound=Function)


class _Closing(ABC):
    """What a ``with`` closes at its end."""

    @abstractmethod
    def close(self) -> None:
        """End it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class BlockingExposed(_Closing):
    """A lambda of a blocking client. ``id``, ``methods`` and ``end`` are those of ``Exposed``."""

    def __init__(self, loop: LoopThread, exposed: Exposed) -> None:
        self._loop = loop
        self._exposed = exposed

    @property
    def id(self) -> str:
        """By which it is called."""
        return self._exposed.id

    @property
    def methods(self) -> list[str]:
        """The names that can be called."""
        return self._exposed.methods

    @property
    def end(self) -> End | None:
        """Why it has ended for good; ``None`` while it has not."""
        return self._exposed.end

    def wait_ended(self, timeout: float | None = None) -> End:
        """Wait until it has ended for good and return why. Raises: TimeoutError after ``timeout`` seconds."""

        async def wait() -> End:
            async with asyncio.timeout(timeout):
                return await self._exposed.wait_ended()

        return self._loop.run(wait())

    def close(self) -> None:
        """End it at once."""
        self._loop.run(self._exposed.close())


class BlockingStream(_Closing):
    """The items of one call, for ``for``. ``result`` is what the provider returned after the last item."""

    def __init__(self, loop: LoopThread, stream: Stream) -> None:
        self._loop = loop
        self._stream = stream

    @property
    def result(self) -> Any:
        """What the provider returned after the last item; ``None`` before."""
        return self._stream.result

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        """Wait for the next item. Raises: CallError where the stream ended in one."""
        try:
            return self._loop.run(self._next())
        except StopAsyncIteration:
            raise StopIteration from None

    async def _next(self) -> Any:
        return await anext(self._stream)

    def close(self) -> None:
        """Read no more: cancel the call at its provider."""
        self._loop.run(self._stream.aclose())


class BlockingMesh(_Closing):
    """An open client whose verbs wait. It may be used from many threads at once.

    Handlers that are not async run in threads of a pool and may use it, each keeping its thread while it waits; async
    ones run in the thread of its event loop and use ``aio``, the async client underneath.
    """

    def __init__(self, connecting: Connecting) -> None:
        self._loop = LoopThread()
        try:
            self.aio: Mesh = self._loop.run(connecting.opened())
        except BaseException:
            self._loop.close()
            raise

    def __repr__(self) -> str:
        return f"<BlockingMesh {self.url} {self.state}>"

    @property
    def url(self) -> str:
        """The address of the node as it was given."""
        return self.aio.url

    @property
    def state(self) -> State:
        """Where the connection is now."""
        return self.aio.state

    def close(self) -> None:
        """End the connection, the lambdas on it and the event loop."""
        with contextlib.suppress(ClientClosed):
            self._loop.run(self.aio.close())
        self._loop.close()

    @overload
    def call(self, lambda_id: str, method: str, body: Any = ..., *, timeout: float | None = ...) -> Any: ...

    @overload
    def call(
        self, lambda_id: str, method: str, body: Any = ..., *, timeout: float | None = ..., type: type[T]
    ) -> T: ...

    def call(
        self,
        lambda_id: str,
        method: str,
        body: Any = None,
        *,
        timeout: float | None = None,
        type: Any = None,  # noqa: A002 -- what it is for whoever calls
    ) -> Any:
        """Call a lambda and wait for its result; as ``Mesh.call``. Raises: CallError."""
        return self._loop.run(self.aio.call(lambda_id, method, body, timeout=timeout, type=type))

    def stream(
        self,
        lambda_id: str,
        method: str,
        body: Any = None,
        *,
        timeout: float | None = None,
        type: Any = None,  # noqa: A002 -- what it is for whoever calls
    ) -> BlockingStream:
        """Call a lambda that answers with many values: ``for item in mesh.stream(...)``; as ``Mesh.stream``."""

        async def begin() -> Stream:
            return self.aio.stream(lambda_id, method, body, timeout=timeout, type=type)

        return BlockingStream(self._loop, self._loop.run(begin()))

    def notify(self, lambda_id: str, method: str, body: Any = None) -> None:
        """Call a lambda and wait for nothing; as ``Mesh.notify``."""
        self._loop.run(self.aio.notify(lambda_id, method, body))

    def expose(
        self, target: object = None, *, only: Iterable[str] | None = None, grace_s: float | None = None
    ) -> BlockingExposed:
        """Open a lambda that answers with the functions of ``target``; as ``Mesh.expose``."""
        return BlockingExposed(self._loop, self._loop.run(self.aio.expose(target, only=only, grace_s=grace_s)))

    @overload
    def method(self, function: F, /) -> F: ...

    @overload
    def method(self, name: str, /) -> Callable[[F], F]: ...

    def method(self, function: Any, /) -> Any:
        """Add a function to the connection's default lambda; as ``Mesh.method``."""
        return self.aio.method(function)
