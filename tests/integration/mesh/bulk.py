"""Senders and takers of large bodies in processes of their own, so that the test measures nodes and not itself."""

from __future__ import annotations

import json
import subprocess
import sys
import time

from tests.nodes import ROOT, Node
from tests.websocket import TEXT, Closed, frame
from tests.wire import Closing, RawHttp, WireError

BODY = b'"' + b"x" * (16 * 1024 * 1024 - 2) + b'"'


class _Process(Closing):
    def __init__(self, node: Node, *words: str) -> None:
        line = [sys.executable, "-m", "tests.integration.mesh.bulk", str(node.port), *words]
        self._process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    def line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        self._process.kill()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


class Sink(_Process):
    """A provider that answers each call with ``0``. ``id`` is its lambda."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.id = self.line()


class Source(_Process):
    """A caller that sends ``BODY`` to a lambda ``count`` times, one after the other, and then ends."""

    def __init__(self, node: Node, lambda_id: str, count: int) -> None:
        super().__init__(node, lambda_id, str(count))

    def took_s(self) -> list[float]:
        """How long each took, once it has ended."""
        took_s: list[float] = json.loads(self.line())
        return took_s


def _take(port: int) -> None:
    from tests.providers import Provider

    provider = Provider(("127.0.0.1", port)).accept()
    provider.ws.http.socket.settimeout(None)
    print(provider.id, flush=True)
    number = 0
    while True:
        # Not taken apart, which would take longer than anything else here: calls are numbered from 1.
        provider.ws.message()
        number += 1
        provider.ws.http.send(frame(TEXT, b'{"id":%d,"result":0}' % number, mask=bytes(4)))


def _give(port: int, lambda_id: str, count: int) -> None:
    took_s: list[float] = []
    with RawHttp(("127.0.0.1", port)) as http:
        http.socket.settimeout(30.0)
        for _ in range(count):
            begun_at = time.monotonic()
            answer = http.ask("POST", f"/lambda/{lambda_id}/m", BODY)
            took_s.append(time.monotonic() - begun_at)
            if (answer.status, answer.body) != (200, b"0"):
                raise SystemExit(str(answer))
    print(json.dumps(took_s), flush=True)


if __name__ == "__main__":
    _port, *_words = sys.argv[1:]
    try:
        if _words:
            _give(int(_port), _words[0], int(_words[1]))
        else:
            _take(int(_port))
    except (Closed, WireError, OSError):
        sys.exit(1)
