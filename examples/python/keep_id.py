import asyncio
import json
import random
import sys

import websockets

methods = {"test": lambda body: {"echo": body}}


def answer(call):
    try:
        return {"result": methods[call["method"]](*call["params"])}
    except Exception as error:
        return {"error": repr(error)}


async def provide(url):
    lambda_id = key = None
    failures = 0
    while True:
        target = f"{url}?grace=30" if lambda_id is None else f"{url}/{lambda_id}?grace=30"
        headers = {} if key is None else {"Lambda-Resume-Key": key}
        try:
            async with websockets.connect(target, additional_headers=headers) as socket:
                key = socket.response.headers["Lambda-Resume-Key"]  # renewed each time
                async for message in socket:
                    call = json.loads(message)
                    if call["method"] == "open":
                        lambda_id, failures = call["params"][0], 0
                        print("id", lambda_id, flush=True)
                        reply = {"result": "ok"}
                    else:
                        reply = answer(call)
                    await socket.send(json.dumps({"id": call["id"], **reply}))
        except websockets.InvalidStatus as refused:
            if refused.response.status_code < 500:
                raise  # 403, 404, 410: this id is not to be had any more
        except websockets.ConnectionClosed as closed:
            code = 1006 if closed.rcvd is None else closed.rcvd.code
            if 4400 <= code < 4500 and code not in (4408, 4429):
                raise  # final: superseded, deleted, forbidden
        except (OSError, websockets.InvalidHandshake):
            pass  # nobody there just now
        await asyncio.sleep(random.uniform(0, min(30, 0.5 * 2**failures)))
        failures = min(failures + 1, 6)


asyncio.run(provide(sys.argv[1] if len(sys.argv) > 1 else "ws://localhost:7630/lambda/new"))
