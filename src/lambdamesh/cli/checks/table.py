"""All checks, and how they are done: at the same time, each within a bound."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator

import structlog

from lambdamesh.cli.checks import (
    addresses,
    clock,
    hosts_entry,
    nats_servers,
    node_here,
    own_settings,
    peers,
    secret_files,
    state_directory,
    system_limits,
)
from lambdamesh.cli.checks.finding import Finding, State
from lambdamesh.cli.checks.surroundings import LOOK_S, Surroundings
from lambdamesh.directory.names import in_thread

Check = Callable[[Surroundings], Iterable[Finding] | Awaitable[Iterable[Finding]]]

CHECKS: tuple[tuple[str, Check], ...] = (
    (own_settings.CHECK, own_settings.settings),
    (state_directory.CHECK, state_directory.state_directory),
    (system_limits.CHECK, system_limits.system_limits),
    (addresses.CHECK, addresses.addresses),
    (node_here.CHECK, node_here.node_here),
    (clock.CHECK, clock.clock),
    (hosts_entry.CHECK, hosts_entry.hosts_entry),
    (secret_files.FILES, secret_files.secret_files),
    (secret_files.TRUST, secret_files.mesh_trust),
    (nats_servers.CHECK, nats_servers.nats_servers),
    (peers.CHECK, peers.peers),
)
"""Each check with its name, in the order in which they are told. Those that ask over the network are ``async``."""

BOUND_S = 4 * LOOK_S
"""Longest time for one check, which may have to wait for several answers one after the other."""


async def look(around: Surroundings, checks: Iterable[tuple[str, Check]] = CHECKS) -> list[Finding]:
    """Do all checks and return what they found, in their order."""
    with _silence():
        found = await asyncio.gather(*(_done(name, check, around) for name, check in checks))
    return [finding for findings in found for finding in findings]


async def _done(name: str, check: Check, around: Surroundings) -> list[Finding]:
    try:
        async with asyncio.timeout(BOUND_S):
            if inspect.iscoroutinefunction(check):
                return list(await check(around))
            # Disks and names may take as long as they like: in a thread of its own that holds up nobody.
            return await in_thread(lambda: list(check(around)))  # type: ignore[arg-type]
    except TimeoutError:
        what = f"it has not come to an end within {BOUND_S:.0f} s: a disk or a name server does not answer"
        return [Finding(name, State.WRONG, what, "see what `dmesg` and /etc/resolv.conf say")]
    except Exception as error:
        # What was raised may show what is secret; its kind does not.
        what = f"it could not be done ({type(error).__name__})"
        return [Finding(name, State.WRONG, what, "report it with that word: doctor has a bug")]


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Nothing that the parts of a node log is printed: what is worth it, checks tell themselves."""
    before = structlog.get_config() if structlog.is_configured() else None
    level = logging.root.manager.disable
    structlog.configure(processors=[_drop])
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(level)
        if before is None:
            structlog.reset_defaults()
        else:
            structlog.configure(**before)


def _drop(*_: object) -> str:
    raise structlog.DropEvent
