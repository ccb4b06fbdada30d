"""A process that holds lambdas by this client: ``python -m tests.faults.restarts.provider URL COUNT LEDGER WORK_S``.

Prints its ids as JSON once they are open; when its input ends, prints those that it still has and ends. Each execution
writes its number to the ledger before it does anything else.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

import lambdamesh
from lambdamesh import Exposed


async def provide(url: str, count: int, ledger: int, work_s: float) -> None:
    """Hold ``count`` lambdas, each call of which takes ``work_s``, until the input ends."""

    async def work(number: int) -> int:
        os.write(ledger, b"%d\n" % number)
        await asyncio.sleep(work_s)
        return number

    async with lambdamesh.connect(url) as mesh:
        exposed: list[Exposed] = [await mesh.expose({"work": work}) for _ in range(count)]
        print(json.dumps([one.id for one in exposed]), flush=True)
        await asyncio.to_thread(sys.stdin.read)
        print(json.dumps([one.id for one in exposed if one.end is None]), flush=True)


if __name__ == "__main__":
    LEDGER = os.open(sys.argv[3], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    asyncio.run(provide(sys.argv[1], int(sys.argv[2]), LEDGER, float(sys.argv[4])))
