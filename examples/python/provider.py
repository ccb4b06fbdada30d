import asyncio
import json
import sys

import websockets


def opened(lambda_id):
    print("id", lambda_id, flush=True)
    return "ok"


methods = {"open": opened, "test": lambda body: {"echo": body}}


async def provide(url):
    async with websockets.connect(url) as socket:
        async for message in socket:
            call = json.loads(message)
            try:
                answer = {"result": methods[call["method"]](*call["params"])}
            except Exception as error:
                answer = {"error": repr(error)}
            await socket.send(json.dumps({"id": call["id"], **answer}))


asyncio.run(provide(sys.argv[1] if len(sys.argv) > 1 else "ws://localhost:7630/lambda/new"))
