"""Three nodes of one mesh on this machine: a window at the first, a function at the second, a caller at the third.

ctrl-C ends all of them. PORT, LOCAL_PORT and MESH_PORT in the environment change the ports; 0 takes free ones.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from window_site import Site, get

import lambdamesh

NAMES = ("one", "two", "three")
LOCAL_PORT = os.environ.get("LOCAL_PORT", "7630")
MESH_PORT = os.environ.get("MESH_PORT", "7631")
START_S = 15
LAMBDAMESH = (sys.executable, "-m", "lambdamesh")


class Node:
    """One `lambdamesh serve`, with an address of its own."""

    def __init__(self, name, directory):
        self.name = name
        self.host = f"127.0.0.{NAMES.index(name) + 1}"
        self.directory = directory
        self.log = directory / f"{name}.log"
        self.doors = {}

    async def start(self, origin, peer):
        flags = ["--host-name", self.name, "--state", str(self.directory / self.name)]
        flags += ["--local", f"{self.host}:{LOCAL_PORT}", "--mesh", f"{self.host}:{MESH_PORT}"]
        flags += ["--mesh-secret-file", str(self.directory / "mesh.secret"), "--allow-origin", origin]
        flags += ["--peer", peer] if peer else []
        with self.log.open("w") as log:
            self.process = await asyncio.create_subprocess_exec(
                *LAMBDAMESH, "serve", "--log-format", "json", *flags, stdout=log, stderr=log
            )
        async with asyncio.timeout(START_S):
            while len(self.doors) < 2:
                if self.process.returncode is not None:
                    sys.exit(f"node {self.name} did not start:\n{self.log.read_text()}")
                await asyncio.sleep(0.05)
                self.read_log()

    def read_log(self):
        whole, _, _ = self.log.read_text().rpartition("\n")
        for line in whole.splitlines():
            entry = json.loads(line) if line.startswith("{") else {}
            if entry.get("event") == "listening":
                self.doors[entry["door"]] = entry["address"]

    @property
    def url(self):
        return f"http://{self.doors['local']}"

    async def stop(self):
        if self.process.returncode is None:
            self.process.terminate()
        await self.process.wait()


def write_secret(path):
    """`lambdamesh secret > FILE`, readable for its owner only."""
    path.touch(0o600)
    path.write_bytes(subprocess.check_output([*LAMBDAMESH, "secret"]))


async def joined(node):
    """Wait until a node knows the others."""
    async with asyncio.timeout(START_S):
        known = ()
        while len(known) < len(NAMES):
            await asyncio.sleep(0.05)
            known = await asyncio.to_thread(get, f"{node.url}/peers/alive") or ()


async def call_across(home, entry):
    """Expose a function at one node, and call it at another."""
    async with lambdamesh.connect(home.url) as provider, lambdamesh.connect(entry.url) as caller:
        fn = await provider.expose({"hello": lambda name: f"hello, {name}"})
        began = time.perf_counter()
        answer = await caller.call(fn.id, "hello", "mesh", timeout=5)
        took_ms = (time.perf_counter() - began) * 1000
        print(f"a function at {home.name}, called at {entry.name}: {answer!r} ({took_ms:.1f} ms)", flush=True)


async def run(directory):
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    write_secret(directory / "mesh.secret")
    nodes = []
    site = Site(int(os.environ.get("PORT", "8000")))
    try:
        for name in NAMES:
            nodes.append(node := Node(name, directory))
            await node.start(site.url, nodes[0].doors.get("mesh"))
            print(f"{node.name:<6} {node.url}  mesh door {node.doors['mesh']}  pid {node.process.pid}", flush=True)
        two, three = nodes[1:]
        await joined(three)
        await call_across(two, three)
        site.serve({node.name: node.url for node in nodes}, caller=three.name)
        print(f"open {site.url}; ctrl-C ends all of it", flush=True)
        await stopped.wait()
    finally:
        site.close()
        await asyncio.gather(*(node.stop() for node in nodes))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="lambdamesh-") as temporary:
        asyncio.run(run(Path(temporary)))
