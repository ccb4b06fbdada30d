"""Calls over NATS as one would write them in an afternoon: `python -m bench.peers.nats_gateway PORT` prints its port.

An HTTP server that turns each call into a request to a subject, on aiohttp, nats-py and uvloop, without limits or any
check of who asks. `python -m bench.peers.nats_provider PORT` answers.
"""

import asyncio
import json
import sys

import nats
import uvloop
from aiohttp import web
from nats.errors import NoRespondersError

TIMEOUT_S = 60


async def serve(port: int) -> None:
    """Listens on a free port until the process is ended; NATS is at `port`."""
    client = await nats.connect(f"nats://127.0.0.1:{port}")

    async def call(request: web.Request) -> web.Response:
        subject = f"lambda.{request.match_info['id']}.{request.match_info['method']}"
        try:
            answer = await client.request(subject, await request.read(), timeout=TIMEOUT_S)
        except NoRespondersError:
            return web.json_response({"error": "no such lambda"}, status=404)
        except TimeoutError:
            return web.json_response({"error": "no answer in time"}, status=504)
        return web.Response(body=answer.data, content_type="application/json")

    app = web.Application(client_max_size=16 << 20)
    app.router.add_post("/lambda/{id}/{method}", call)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    print(json.dumps({"port": runner.addresses[0][1]}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
