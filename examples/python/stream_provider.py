import asyncio
import json
import sys

import websockets


async def count(to):
    for number in range(1, to + 1):
        yield number


methods = {"count": count}
tasks, allowed = {}, {}  # by the id of the call


async def answer(send, call):
    number, stream = call["id"], call["meta"]["stream"]
    allowed[number] = asyncio.Semaphore(call["meta"].get("credit", 0))
    items = []
    try:
        async for item in methods[call["method"]](*call["params"]):
            if stream:
                await allowed[number].acquire()  # wait until one more may be sent
                await send({"method": "$/progress", "params": {"token": number, "value": item}})
            else:
                items.append(item)
        await send({"id": number, "result": None if stream else items})
    except Exception as error:
        await send({"id": number, "error": {"code": -32000, "message": repr(error)}})
    finally:
        del tasks[number], allowed[number]


async def provide(url):
    async with websockets.connect(url, subprotocols=["json-rpc-2.0"]) as socket:

        async def send(message):
            await socket.send(json.dumps({"jsonrpc": "2.0", **message}))

        async for message in socket:
            call = json.loads(message)
            method, params = call.get("method"), call.get("params")
            if method == "open":
                print("id", params[0]["id"], flush=True)
                await send({"id": call["id"], "result": {"meta": True}})
            elif method == "$/cancelRequest" and params["id"] in tasks:
                tasks[params["id"]].cancel()
            elif method == "$/credit" and params["id"] in allowed:
                for _ in range(params["add"]):
                    allowed[params["id"]].release()
            elif "id" in call:
                tasks[call["id"]] = asyncio.create_task(answer(send, call))


asyncio.run(provide(sys.argv[1] if len(sys.argv) > 1 else "ws://localhost:7630/lambda/new"))
