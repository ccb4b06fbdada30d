"""The back end of the window: serves its page, and calls it through whichever node it is asked to."""

import json
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

HERE = Path(__file__).resolve().parent
PAGE = HERE / "page"
FILES = {
    "/": (PAGE / "index.html", "text/html"),
    "/app.js": (PAGE / "app.js", "text/javascript"),
    "/style.css": (PAGE / "style.css", "text/css"),
    "/lambdamesh.js": (HERE.parent.parent / "clients" / "js" / "dist" / "index.js", "text/javascript"),
}
BODY_BYTES = 10_000


class Site:
    """A site on a port of loopback; 0 takes a free one."""

    def __init__(self, port):
        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.server.site = self
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = Thread(target=self.server.serve_forever, daemon=True)
        self.nodes = {}
        self.caller = ""

    def serve(self, nodes, caller):
        """Begin. `nodes` are URLs by name; windows connect to the first, and are called through `caller`."""
        self.nodes = nodes
        self.caller = caller
        self.thread.start()

    def close(self):
        if self.thread.is_alive():
            self.server.shutdown()
        self.server.server_close()

    def join(self, body):
        """A window says under which id it can be called: it is, at once."""
        answer = self.call({"id": body["id"], "node": self.caller, "text": "welcome"})
        print(f"a window at {next(iter(self.nodes))}, called at {self.caller}: {answer}", flush=True)
        return answer

    def call(self, body):
        """Call a window through a node, by plain HTTP."""
        node = body["node"]
        url = f"{self.nodes[node]}/lambda/{body['id']}/show?timeout=5"
        began = time.perf_counter()
        answer = post(url, {"text": body["text"], "through": node})
        return {"node": node, "ms": round((time.perf_counter() - began) * 1000, 1), "answer": answer}

    def states(self):
        """What each node says of itself and the others."""
        return {name: get(f"{url}/peers") for name, url in self.nodes.items()}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/states":
            self.reply(200, json.dumps(self.server.site.states()).encode())
        elif self.path in FILES:
            path, kind = FILES[self.path]
            text = path.read_text(encoding="utf-8").replace("{{node}}", next(iter(self.server.site.nodes.values())))
            self.reply(200, text.encode(), kind)
        else:
            self.reply(404, b'"there is no such page"')

    def do_POST(self):
        site = self.server.site
        wanted = {"/join": site.join, "/call": site.call}.get(self.path)
        size = int(self.headers.get("Content-Length", 0))
        if wanted is None or size > BODY_BYTES or self.headers.get("Origin", site.url) != site.url:
            self.close_connection = True  # a page of somebody else's may not call windows
            self.reply(403, b'"not from here"')
            return
        self.reply(200, json.dumps(wanted(json.loads(self.rfile.read(size)))).encode())

    def reply(self, status, body, kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def post(url, body):
    try:
        with urllib.request.urlopen(url, json.dumps(body).encode(), timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refused:
        return json.load(refused)
    except OSError as error:
        return {"error": f"nobody is there ({getattr(error, 'reason', error)})"}


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return json.load(answer)
    except OSError:
        return None
