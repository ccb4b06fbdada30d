"""The command line in processes of its own: one that ends, or one that goes on until ctrl-C."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.nodes import ROOT, Node

LINE_S = 20.0
"""Longest time for the next line of a command that goes on."""

Line = dict[str, Any]


def environment(node: Node) -> dict[str, str]:
    """Ours, with the node for LAMBDAMESH_URL."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("LAMBDAMESH_")}
    return kept | {
        "LAMBDAMESH_URL": node.url,
        "PYTHONPATH": os.environ.get("LAMBDAMESH_TEST_SOURCE") or str(ROOT / "src"),
    }


def run(node: Node, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    line = [sys.executable, "-m", "lambdamesh", *words]
    return subprocess.run(line, env=environment(node), input=stdin, capture_output=True, text=True, timeout=60)


class Going:
    """A command that goes on, with its stdout piped. Its lines are JSON where they are read as ``events``.

    ``shown`` is what it has written to stderr, unless nobody ``reads_complaints``.
    """

    def __init__(self, node: Node, *words: str, folder: Path = ROOT, reads_complaints: bool = True) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lambdamesh", *words],
            cwd=folder,
            env=environment(node),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self.shown = ""
        reads = (self._read, self._complain) if reads_complaints else (self._read,)
        self._readers = [threading.Thread(target=read, daemon=True) for read in reads]
        for reader in self._readers:
            reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def _complain(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.shown += line

    def line(self) -> str:
        """The next line. Raises: AssertionError where it has ended."""
        line = self._lines.get(timeout=LINE_S)
        if not line:
            self.end()
            raise AssertionError(f"it ended with {self.process.returncode}: {self.shown}")
        return line

    def event(self, is_wanted: Callable[[Line], object] = bool) -> Line:
        """The next line that is wanted."""
        while not is_wanted(line := json.loads(self.line())):
            pass
        return line

    def interrupt(self) -> int:
        """Press ctrl-C; return the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(LINE_S)

    def end(self) -> str:
        """End it if it still runs; return what it wrote to stderr."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(LINE_S)
        for reader in self._readers:
            reader.join(LINE_S)
        return self.shown
