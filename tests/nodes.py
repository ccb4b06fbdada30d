"""Real nodes in processes of their own: start one, read its log as it comes, stop it.

Only processes started here are ever signalled, by their own id. Every wait is bounded.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.wire import Address, Answer, Headers, RawHttp, request

ROOT = Path(__file__).resolve().parent.parent
START_S = 60.0
"""Time for a node to say that it listens."""
LOOK_S = 0.01
"""Pause between two looks of :func:`until`."""

LogLine = dict[str, Any]
Check = Callable[[], object]


def until(condition: Check, what: str, within_s: float = 5.0) -> None:
    """Look at ``condition`` until it is true. The only loop here that polls, for states that no event tells of."""
    ends_at = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > ends_at:
            raise AssertionError(f"not within {within_s} s: {what}")
        time.sleep(LOOK_S)


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return str(value)


def environment(settings: Mapping[str, object]) -> dict[str, str]:
    """The environment of a node: ours without its own settings, and ``settings`` as ``LAMBDAMESH_*``.

    A name in capitals is passed as it is (``TZ``).
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith("LAMBDAMESH_")}
    env["PYTHONPATH"] = os.environ.get("LAMBDAMESH_TEST_SOURCE") or str(ROOT / "src")
    for name, value in settings.items():
        env[name if name.isupper() else f"LAMBDAMESH_{name.upper()}"] = _as_text(value)
    return env


def command(state: Path, settings: Mapping[str, object], nofile: int | None = None) -> list[str]:
    """The command line of a node; ``nofile`` is its limit of open files."""
    line = [sys.executable, "-m", "lambdamesh", "serve", "--state", str(state), "--log-format", "json"]
    if "local" not in settings:
        line += ["--local", "127.0.0.1:0"]
    if nofile is not None:
        line = ["sh", "-c", f'ulimit -n {nofile}; exec "$@"', "sh", *line]
    return line


def with_hosts(hosts: Path) -> list[str]:
    """What stands before a command for which ``hosts`` is in the place of /etc/hosts (Linux, as root)."""
    return ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(hosts)]


class Log:
    """The lines that a node writes, parsed, as they come."""

    def __init__(self, stream: Any) -> None:
        self.lines: list[LogLine] = []
        self._came = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._reader.start()

    def _read(self, stream: Any) -> None:
        for line in stream:
            with self._came:
                self.lines.append(_parsed(line))
                self._came.notify_all()
        with self._came:
            self._ended = True
            self._came.notify_all()
        stream.close()

    def wait(self, event: str, *, count: int = 1, within_s: float = 10.0) -> list[LogLine]:
        """Wait for ``count`` lines of ``event`` and return them. Raises: AssertionError with the log."""

        def found() -> list[LogLine]:
            return [line for line in self.lines if line.get("event") == event]

        with self._came:
            self._came.wait_for(lambda: len(found()) >= count or self._ended, within_s)
            lines = found()
        if len(lines) < count:
            raise AssertionError(f"{len(lines)} of {count} {event!r} in the log:\n{self.tail()}")
        return lines

    def text(self) -> str:
        """All of it, a line each, also what was not JSON."""
        return "\n".join(json.dumps(line) for line in self.lines)

    def tail(self, lines: int = 40) -> str:
        """The last lines, for people."""
        return "\n".join(json.dumps(line) for line in self.lines[-lines:])

    def finish(self, within_s: float = 5.0) -> None:
        """Wait for the end of a log whose process has ended."""
        self._reader.join(within_s)


def _parsed(line: str) -> LogLine:
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"text": line.rstrip("\n")}


class Node:
    """One running node. ``settings`` are limits and settings by their lower-case names.

    ``source`` is the tree with the package that it runs, where that is not ours.
    """

    def __init__(
        self,
        state: Path,
        settings: Mapping[str, object] | None = None,
        *,
        nofile: int | None = None,
        hosts: Path | None = None,
        arguments: tuple[str, ...] = (),
        source: Path | None = None,
    ) -> None:
        self.state = state
        self.settings = dict(settings or {})
        line = [*command(state, self.settings, nofile), *arguments]
        if hosts is not None:
            line = [*with_hosts(hosts), *line]
        self.process = subprocess.Popen(
            line,
            env=environment(self.settings) | ({} if source is None else {"PYTHONPATH": str(source)}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="backslashreplace",
        )
        atexit.register(self.kill)
        self.log = Log(self.process.stderr)
        self.addresses: list[Address] = []
        self.mesh_address = ""
        """Where other nodes dial it; empty where it has no mesh door."""

    def ready(self) -> Node:
        """Wait until every local door listens."""
        doors = len(_as_text(self.settings.get("local", "127.0.0.1:0")).split(",")) + ("mesh" in self.settings)
        try:
            lines = self.log.wait("listening", count=doors, within_s=START_S)
        except AssertionError:
            self.stop()
            raise
        self.addresses = [_address(line["address"]) for line in lines if line.get("door") == "local"]
        self.mesh_address = next((line["address"] for line in lines if line.get("door") == "mesh"), "")
        return self

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def logs(self) -> list[LogLine]:
        return self.log.lines

    def wait_log(self, event: str, *, count: int = 1, within_s: float = 10.0) -> LogLine:
        """Wait for the ``count``-th line of ``event``."""
        return self.log.wait(event, count=count, within_s=within_s)[-1]

    @property
    def address(self) -> Address:
        """Where the first local door listens."""
        return self.addresses[0]

    @property
    def host(self) -> str:
        assert isinstance(self.address, tuple)
        return self.address[0]

    @property
    def port(self) -> int:
        assert isinstance(self.address, tuple)
        return self.address[1]

    @property
    def authority(self) -> str:
        """What a client writes into Host."""
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.authority}"

    def fetch(self, verb: str, target: str, body: bytes | None = None, headers: Headers = ()) -> Answer:
        """One request on a connection of its own, and its answer."""
        with RawHttp(self.address) as http:
            http.send(request(verb, target, body, headers))
            return http.answer(to_head=verb == "HEAD")

    @property
    def machine_id(self) -> str:
        """Its machine id, 8 hex digits."""
        return str(self.wait_log("node_started")["machine_id"])

    def open_files(self) -> int:
        """How many descriptors the process has open (Linux)."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def signal(self, number: signal.Signals) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)

    def wait(self, within_s: float = 10.0) -> int:
        """Wait for the end of the process and return its exit code."""
        code = self.process.wait(within_s)
        self.log.finish()
        return code

    def stop(self) -> None:
        """End the process: ask, ask again, insist. Safe to call twice."""
        for number, patience_s in ((signal.SIGTERM, 0.5), (signal.SIGTERM, 3.0), (signal.SIGKILL, 5.0)):
            self.signal(number)
            try:
                self.wait(patience_s)
            except subprocess.TimeoutExpired:
                continue
            break
        atexit.unregister(self.kill)

    def kill(self) -> None:
        """End the process as a crash would."""
        self.signal(signal.SIGKILL)
        self.wait()

    def complaints(self) -> list[LogLine]:
        """Lines that no input may ever cause."""
        return [line for line in self.logs if "Traceback" in json.dumps(line) or line.get("event") == "internal_error"]


def _address(text: str) -> Address:
    if text.startswith("unix:"):
        return text.removeprefix("unix:")
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), int(port)
