"""A client of a node: calls lambdas, and exposes functions as lambdas."""

# ruff: noqa: ASYNC109 -- the node keeps deadlines too, which asyncio.timeout could not tell it

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from functools import lru_cache
from math import inf
from types import TracebackType
from typing import Any, Self, TypeVar, overload

import msgspec

from lambdamesh.client import context
from lambdamesh.client.envelopes import call_head
from lambdamesh.client.exposed import Exposed
from lambdamesh.client.exposing import Function, check_name, collect, name_of
from lambdamesh.client.handlers import RESULT_BYTES, Handler, compile_handlers
from lambdamesh.client.hosting import Hosted
from lambdamesh.client.opening import OPENED_AT_ONCE, open_lambda
from lambdamesh.client.openrpc import DISCOVER, discoverer
from lambdamesh.client.patience import PATIENCE_S
from lambdamesh.client.reconnector import Access, Reconnector, State
from lambdamesh.client.requests import PLAIN, CallRequest, Terms, check_timeout
from lambdamesh.client.serving import Server
from lambdamesh.client.session import Session
from lambdamesh.client.streams import CREDIT, Stream, StreamRequest
from lambdamesh.client.threads import DEFAULT_THREADS, Threads
from lambdamesh.client.values import decode_plain, encode_plain
from lambdamesh.errors import BadAnswer, CallTimeout, TooLarge

T = TypeVar("T")
F = TypeVar("F", bound=Function)
Seconds = float | None

_DEFAULT_TITLE = "lambda"

_head = lru_cache(4096)(call_head)


class Options(msgspec.Struct, frozen=True):
    """What ``connect`` was told."""

    access: Access
    grace_s: float | None = None
    on_state: Callable[[State], None] | None = None
    debug: bool = False
    threads: int | None = None
    patience_s: float = PATIENCE_S


class Mesh:
    """An open client. Made with ``lambdamesh.connect``; used in the event loop that it was made in."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._threads = Threads(options.threads or DEFAULT_THREADS)
        self._server = Server(self._threads, self._drained, options.debug)
        self._session = Session(self._server.serve, self._set_alarm, options.patience_s)
        self._alarm: asyncio.TimerHandle | None = None
        self._reconnector = Reconnector(options.access, self._session, options.on_state or _ignore)
        self._openings = asyncio.Semaphore(OPENED_AT_ONCE)
        self._methods: dict[str, Handler] = {}
        self._default: asyncio.Future[Exposed] | None = None

    def __repr__(self) -> str:
        return f"<Mesh {self.url} {self.state}>"

    @property
    def url(self) -> str:
        """The address of the node as it was given."""
        return self._options.access.address.url

    @property
    def state(self) -> State:
        """Where the connection is now."""
        return self._reconnector.state

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Connect; ``lambdamesh.connect`` does it. Raises: CallError where that cannot be."""
        await self._reconnector.start()

    async def close(self) -> None:
        """End the connection and the lambdas on it at once; handlers are cancelled, calls that wait are told."""
        await self._reconnector.close()
        self._threads.close()
        if self._alarm is not None:
            self._alarm.cancel()
        # Last, since a handler that closes its own client is among those that end.
        await self._server.stop()

    # -- calling ------------------------------------------------------------------------------------------------

    @overload
    async def call(self, lambda_id: str, method: str, body: Any = ..., *, timeout: Seconds = ...) -> Any: ...

    @overload
    async def call(
        self, lambda_id: str, method: str, body: Any = ..., *, timeout: Seconds = ..., type: type[T]
    ) -> T: ...

    async def call(
        self,
        lambda_id: str,
        method: str,
        body: Any = None,
        *,
        timeout: Seconds = None,
        type: Any = None,  # noqa: A002 -- what it is for whoever calls
    ) -> Any:
        """Call a lambda and return its result; ``type`` has it decoded with msgspec, else it is plain JSON.

        ``timeout`` is in seconds; ``None``: 60 s. Within a handler the call has no more time than the handler's own.
        While the node is away the call waits for it. A call that a node refused before anybody was given it, because it
        goes down, cannot reach another or has just started, is asked again (``patience_s`` of ``connect``).

        Raises:
            CallError: one class for each outcome; ``delivered`` says whether it may have run.
            TypeError: ``body`` cannot be JSON.
            ValueError: ``timeout`` is not above 0, or not finite.
        """
        check_timeout(timeout)
        while (connection := self._reconnector.connection) is not None and connection.is_congested:
            await connection.drained()
        now = time.monotonic()
        terms = self._terms(timeout, 0, now)
        request = CallRequest(_head(lambda_id, method), _body(body), terms, now)
        self._session.ask(request, now)
        try:
            raw = await request.outcome
        except asyncio.CancelledError:
            self._session.withdraw(request)
            raise
        return decode_plain(raw) if type is None else _decode_as(raw, type)

    def stream(
        self,
        lambda_id: str,
        method: str,
        body: Any = None,
        *,
        timeout: Seconds = None,
        type: Any = None,  # noqa: A002 -- what it is for whoever calls
    ) -> Stream:
        """Call a lambda that answers with many values: ``async for item in mesh.stream(...)``.

        ``timeout`` is the longest silence between two items in seconds; ``None``: 60 s. Leaving the loop cancels the
        call. Items are asked for as they are taken. Errors are those of ``call``, raised by the loop
        but for ``TypeError`` and ``ValueError``. A stream has one reader.
        """
        check_timeout(timeout)
        raw_body = _body(body)

        def start() -> StreamRequest:
            now = time.monotonic()
            request = StreamRequest(_head(lambda_id, method), raw_body, self._terms(timeout, CREDIT, now), now)
            self._session.ask(request, now)
            return request

        return Stream(self._session, start, decode_plain if type is None else lambda raw: _decode_as(raw, type))

    async def notify(self, lambda_id: str, method: str, body: Any = None) -> None:
        """Call a lambda and wait for nothing; what becomes of it is not told. A node that is away is waited for, 60 s.

        One that is refused is lost: nobody hears of it.

        Raises:
            CallError: the node did not come back in time, or never will; or it goes down, and stays for too long.
            TypeError: ``body`` cannot be JSON.
        """
        while (connection := self._reconnector.connection) is None or connection.is_congested or self._session.is_left:
            if connection is None:
                await self._reconnector.linked()
            else:
                await (self._reconnector.parted() if self._session.is_left else connection.drained())
        self._session.notify(_head(lambda_id, method), _body(body))

    def _terms(self, timeout_s: float | None, credit: int, now: float) -> Terms:
        call = context.running()
        if call is None:
            return PLAIN if timeout_s is None and not credit else Terms(timeout_s, credit)
        if call.deadline_at is not None:
            timeout_s = min(inf if timeout_s is None else timeout_s, call.deadline_at - now)
            if timeout_s <= 0:
                raise CallTimeout("the deadline of the call that is being answered has passed", delivered="no")
        return Terms(timeout_s, credit, call.traceparent)

    # -- serving ------------------------------------------------------------------------------------------------

    async def expose(
        self, target: object = None, *, only: Iterable[str] | None = None, grace_s: float | None = None
    ) -> Exposed:
        """Open a lambda that answers with the functions of ``target``: a dict, an object, a module, a function.

        Of a module the public functions defined in it are taken, of an object the public methods of its own class;
        ``only`` names others. Without ``target`` it is the connection's default lambda, that of ``@mesh.method``.
        ``grace_s`` is how long calls wait for this client while it is away; ``None``: 15 s.

        Raises:
            TypeError, ValueError: something of ``target`` cannot be exposed.
            CallError: the node does not open it.
        """
        if target is None:
            return await self._open_default(grace_s)
        handlers = compile_handlers(collect(target, only))
        handlers[DISCOVER] = discoverer(handlers.values(), _title(target))
        return await self.serve(handlers, grace_s)

    async def serve(self, handlers: dict[str, Handler], grace_s: float | None = None) -> Exposed:
        """Open a lambda that answers with compiled ``handlers``: what is put into them later counts from then on."""
        hosted = Hosted(handlers, self._options.grace_s if grace_s is None else grace_s)
        async with self._openings:
            await open_lambda(self._session, hosted)
        return Exposed(self._session, hosted)

    async def _open_default(self, grace_s: float | None) -> Exposed:
        if self._default is None or _is_over(self._default):
            if not self._methods:
                raise ValueError("nothing to expose: give a dict, an object or a module, or use @mesh.method before")
            self._default = asyncio.ensure_future(self.serve(self._methods, grace_s))
        return await asyncio.shield(self._default)

    @overload
    def method(self, function: F, /) -> F: ...

    @overload
    def method(self, name: str, /) -> Callable[[F], F]: ...

    def method(self, function: Any, /) -> Any:
        """Add a function to the connection's default lambda: ``@mesh.method`` or ``@mesh.method("name")``.

        ``await mesh.expose()`` opens that lambda; once it is open, what is added can be called at once.

        Raises:
            TypeError, ValueError: it cannot be exposed, or not under this name.
        """
        if isinstance(function, str):
            return lambda named: self._add(function, named)
        return self._add(name_of(function), function)

    def _add(self, name: str, function: F) -> F:
        check_name(name)
        self._methods |= compile_handlers({name: function})
        self._methods[DISCOVER] = discoverer(self._methods.values(), _DEFAULT_TITLE)
        return function

    # -- time ---------------------------------------------------------------------------------------------------

    def _drained(self) -> Awaitable[None] | None:
        connection = self._reconnector.connection
        return connection.drained() if connection is not None and connection.is_congested else None

    def _set_alarm(self, at: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = None
        if at < inf:
            self._alarm = self._loop.call_later(max(at - time.monotonic(), 0.0), self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._session.expire(time.monotonic())


class Connecting:
    """A client on its way: ``async with connect() as mesh`` or ``mesh = await connect()``."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._mesh: Mesh | None = None

    async def opened(self) -> Mesh:
        """Connect. Raises: CallError where that cannot be."""
        mesh = Mesh(self._options)
        await mesh.start()
        return mesh

    def __await__(self) -> Generator[Any, None, Mesh]:
        return self.opened().__await__()

    async def __aenter__(self) -> Mesh:
        self._mesh = await self.opened()
        return self._mesh

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._mesh is not None:
            await self._mesh.close()


def _body(body: Any) -> bytes:
    raw = encode_plain(body)
    if len(raw) > RESULT_BYTES:
        raise TooLarge(f"the body has {len(raw)} bytes; at most {RESULT_BYTES} pass")
    return raw


@lru_cache(256)
def _decoder(kind: Any) -> Callable[[bytes], Any]:
    return msgspec.json.Decoder(kind).decode


def _decode_as(raw: bytes, kind: Any) -> Any:
    try:
        return _decoder(kind)(raw)
    except msgspec.MsgspecError as error:
        raise BadAnswer(f"the result is not what was asked for: {error}") from None


def _is_over(opening: asyncio.Future[Exposed]) -> bool:
    if not opening.done():
        return False
    return opening.cancelled() or opening.exception() is not None or opening.result().end is not None


def _title(target: object) -> str:
    return _DEFAULT_TITLE if isinstance(target, Mapping) else name_of(target) or type(target).__name__


def _ignore(_state: State) -> None:
    """Stand in where nobody wants to know."""
