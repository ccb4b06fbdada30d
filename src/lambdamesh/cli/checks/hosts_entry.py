"""The name ``pm3``, by which examples and pages know the local door."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable

from lambdamesh.cli.checks.finding import Finding, State
from lambdamesh.cli.checks.surroundings import LOOK_S, Surroundings
from lambdamesh.directory.names import look_up

CHECK = "hosts entry"
NAME = "pm3"


async def hosts_entry(_around: Surroundings) -> list[Finding]:
    """Whether the name stands for this machine."""
    return [await named(lambda name: look_up(name, 0))]


async def named(ask: Callable[[str], Awaitable[tuple[str, ...]]]) -> Finding:
    """What the addresses of the name say. ``ask`` raises ``OSError`` where it has none."""
    try:
        # Where no file names it, servers may be asked that do not answer.
        async with asyncio.timeout(LOOK_S):
            found = await ask(NAME)
    except OSError:
        what = f"the name {NAME} is not known here, so http://{NAME}:7630 leads nowhere"
        return Finding(CHECK, State.WARNING, what, "sudo lambdamesh setup")
    foreign = [address for address in found if not ipaddress.ip_address(address).is_loopback]
    if foreign:
        what = f"{NAME} is {', '.join(foreign[:3])}, which is not this machine's loopback"
        return Finding(
            CHECK, State.WARNING, what, "sudo lambdamesh setup  # and take other lines with it out of /etc/hosts"
        )
    return Finding(CHECK, State.OK, f"{NAME} is {', '.join(found)}")
