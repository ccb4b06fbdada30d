"""A process that calls by this client: ``python -m tests.faults.restarts.caller URL IDS RATE FIRST_NUMBER``.

It has several connections, as several programs would.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AsyncExitStack

import lambdamesh
from tests.faults.restarts.pacing import DEADLINE_S, PATIENCE_S, call_steadily

CLIENTS = 4


async def call(url: str, ids: list[str], rate: float, first_number: int) -> None:
    """Call through the node at ``url``."""
    async with AsyncExitStack() as exits:
        connecting = [lambdamesh.connect(url, patience_s=PATIENCE_S) for _ in range(CLIENTS)]
        clients = [await exits.enter_async_context(one) for one in connecting]
        print("ready", flush=True)

        async def attempt(lambda_id: str, number: int) -> str:
            try:
                answer = await clients[number % CLIENTS].call(lambda_id, "work", number, timeout=DEADLINE_S)
            except lambdamesh.CallError as error:
                return f"{error.code} ({error.delivered}): {error.message}"
            return "" if answer == number else f"the answer of another call: {answer}"

        await call_steadily(attempt, ids, rate, first_number)


if __name__ == "__main__":
    asyncio.run(call(sys.argv[1], json.loads(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])))
