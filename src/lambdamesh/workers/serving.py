"""Runs a node: in this process, or in several workers under a supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

from lambdamesh.node import Node
from lambdamesh.settings import ConfigError, Settings
from lambdamesh.state import State, StateError, default_path, open_state
from lambdamesh.workers.service import Service


def serve(settings: Settings) -> int:
    """Run a node until SIGTERM or SIGINT, and return the exit code of the process.

    Raises:
        ConfigError: what is configured cannot be had: an address, the state directory, a token file.
    """
    workers = settings.worker_count
    try:
        state = open_state(Path(settings.state) if settings.state else default_path(os.environ))
    except StateError as error:
        raise ConfigError(str(error)) from None
    with contextlib.closing(state):
        try:
            if workers == 1:
                with asyncio.Runner(loop_factory=loop_factory()) as runner:
                    return runner.run(_run(settings, state))
            # Nodes of one process do without what only a supervisor needs.
            from lambdamesh.workers.supervisor import Supervisor

            return asyncio.run(Supervisor(settings, state, workers).run())
        except StateError as error:
            raise ConfigError(str(error)) from None


async def _run(settings: Settings, state: State) -> int:
    node, service = Node(settings, state), Service()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        service.stopping()
        node.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    # Where there is nothing to read again, too: a service manager that asks for it must not end the node.
    loop.add_signal_handler(signal.SIGHUP, service.reloading, node.reload)
    node.join()
    if settings.require_directory:
        await node.complete()
    if not node.is_stopping:
        node.listen()
        service.ready()
    await node.stopped()
    if node.failure is not None:
        raise ConfigError(node.failure)
    return 0


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes event loops here; ``None`` for asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
