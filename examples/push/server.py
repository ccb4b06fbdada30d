"""A back end that pushes to one browser window with one HTTP POST, and gets that window's acknowledgement."""

import asyncio
import json
import os
import socket
from pathlib import Path

from aiohttp import ClientError, ClientSession, ClientTimeout, web

NODE = os.environ.get("LAMBDAMESH_URL", "http://localhost:7630")
HERE = Path(__file__).resolve().parent
CLIENT = HERE.parent.parent / "clients" / "js" / "dist" / "index.js"

KINDS = ("Otter", "Heron", "Lynx", "Finch", "Badger", "Ibex", "Marten", "Plover")
COLOURS = ("Blue", "Green", "Amber", "Violet", "Red", "Teal", "Rose", "Olive")
NAMES = tuple(f"{colour} {kind}" for kind in KINDS for colour in COLOURS)
TEXT_LIMIT = 500

windows: dict[str, str] = {}  # the name of a window -> its lambda's id
node = web.AppKey("node", ClientSession)


async def index(request):
    page = (HERE / "page" / "index.html").read_text(encoding="utf-8")
    return web.Response(text=page.replace("{{node}}", NODE), content_type="text/html")


async def client(request):
    return web.FileResponse(CLIENT, headers={"Content-Type": "text/javascript; charset=utf-8"})


async def join(request):
    """A window says under which id it can be called. It keeps its name when it comes back with the same id."""
    lambda_id = (await request.json())["id"]
    name = next((name for name, known in windows.items() if known == lambda_id), None)
    name = name or next((name for name in NAMES if name not in windows), None)
    if name is None:
        raise web.HTTPServiceUnavailable(text="there are as many windows as there are names")
    windows[name] = lambda_id
    await tell_everybody(request.app)
    return web.json_response({"name": name})


async def push(request):
    """The point of it all: one POST to the window's id, whose answer is the window's own."""
    name, message = request.match_info["name"], await request.json()
    if name not in windows:
        raise web.HTTPNotFound(text="there is no such window")
    body = {"from": message["from"], "text": message["text"][:TEXT_LIMIT]}
    async with request.app[node].post(f"/lambda/{windows[name]}/show", params={"timeout": "5"}, json=body) as answer:
        return web.json_response(await answer.json(), status=answer.status)


async def tell_everybody(app):
    """Send every window the names of all: a notification, so nobody waits for slow windows."""

    async def tell(lambda_id):
        headers = {"Prefer": "respond-async"}
        async with app[node].post(f"/lambda/{lambda_id}/windows", headers=headers, json=list(windows)):
            pass

    await asyncio.gather(*map(tell, windows.values()), return_exceptions=True)


async def follow(app):
    """Forget windows as the node says that they have closed."""
    while True:
        try:
            async with app[node].get("/events", timeout=ClientTimeout(total=None)) as events:
                async for line in events.content:
                    if line.startswith(b"data:"):
                        await forget(app, json.loads(line[5:]))
        except (ClientError, ValueError):
            pass
        await asyncio.sleep(1)  # the node is away; it is asked again


async def forget(app, event):
    if "reason" not in event:  # of a lambda that was opened
        return
    for name in [name for name, lambda_id in windows.items() if lambda_id == event["id"]]:
        del windows[name]
        await tell_everybody(app)


async def life(app):
    async with ClientSession(NODE) as session:
        app[node] = session
        following = asyncio.create_task(follow(app))
        yield
        following.cancel()


def application():
    app = web.Application()
    app.cleanup_ctx.append(life)
    app.add_routes([web.get("/", index), web.get("/lambdamesh.js", client), web.static("/page", HERE / "page")])
    app.add_routes([web.post("/windows", join), web.post("/windows/{name}/push", push)])
    return app


if __name__ == "__main__":
    listening = socket.create_server(("127.0.0.1", int(os.environ.get("PORT", "8000"))))
    print(f"http://localhost:{listening.getsockname()[1]}", flush=True)
    web.run_app(application(), sock=listening, print=None)
