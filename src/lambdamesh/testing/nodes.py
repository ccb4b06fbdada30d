"""A real node inside of this process, in a thread of its own, on a free port of loopback."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import structlog

from lambdamesh.node import Node
from lambdamesh.settings import Settings
from lambdamesh.state import open_state

START_S = 10.0
"""How long a node may take to listen, or to stop."""


class InProcessNode:
    """A node that runs until ``stop``; ``url`` is the address of its local door.

    ``settings`` are the node's; its address is kept, so ``start`` after ``stop`` is a restart of the same node, whose
    state is in ``state``.
    """

    def __init__(self, state: Path, settings: Settings | None = None) -> None:
        given = settings or Settings(local=("127.0.0.1:0",))
        self._settings = msgspec.structs.replace(given, state=str(state))
        self._listening = threading.Event()
        self._node: Node | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return f"http://{self._settings.local[0]}"

    def start(self) -> None:
        """Start, and return when it listens. Raises: RuntimeError where it cannot."""
        self._listening.clear()
        self._failure = None
        self._thread = threading.Thread(target=self._turn, name="lambdamesh node", daemon=True)
        self._thread.start()
        if not self._listening.wait(START_S) or self._failure is not None:
            raise RuntimeError(f"the node did not start: {self._failure!r}") from self._failure

    def stop(self) -> None:
        """Stop at once, without a drain; clients are told that it is going away."""
        thread, loop, node = self._thread, self._loop, self._node
        if thread is None or loop is None or node is None:
            return
        with contextlib.suppress(RuntimeError):
            for _ in range(2):
                loop.call_soon_threadsafe(node.stop)
        thread.join(START_S)
        self._thread = self._loop = self._node = None

    def _turn(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:
            self._failure = error
            self._listening.set()

    async def _run(self) -> None:
        with contextlib.closing(open_state(Path(self._settings.state or ""))) as state:
            self._loop = asyncio.get_running_loop()
            self._node = node = Node(self._settings, state)
            with _our_own_garbage_collector():
                node.start()
            self._settings = msgspec.structs.replace(self._settings, local=(node.address,))
            self._listening.set()
            await node.stopped()


@contextmanager
def node(settings: Settings | None = None) -> Iterator[InProcessNode]:
    """Run a node with a state directory of its own: ``with lambdamesh.testing.node() as node: connect(node.url)``.

    ``settings`` are those of the node; ``None``: the defaults, on a free port.
    """
    is_quietened = not structlog.is_configured()
    if is_quietened:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory(prefix="lambdamesh-") as directory:
        running = InProcessNode(Path(directory) / "state", settings)
        running.start()
        try:
            yield running
        finally:
            running.stop()
            if is_quietened:
                structlog.reset_defaults()


@contextmanager
def _our_own_garbage_collector() -> Iterator[None]:
    """A node sets the collector to its own needs; the process here has others."""
    thresholds = gc.get_threshold()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
