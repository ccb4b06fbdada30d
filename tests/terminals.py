"""Commands on terminals of their own, as people run them: what they print is read as it comes.

Only processes started here are ever signalled, by their own id. Every wait is bounded.
"""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import subprocess
import threading

from tests.nodes import ROOT

RUN_S = 30.0
"""Longest time for a command, or for one that goes on to print what it should."""

_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_RULE = re.compile("─+")
_LISTENING = re.compile(r"^\S+ \[info *\] listening +.*$", re.MULTILINE)
_PROMISED_NEVER = ("Traceback", "internal_error")
_JOINS = ("--mesh", "--peer", "--nats")


class OnTerminal:
    """A command that runs on a terminal of its own."""

    def __init__(self, command: str, environ: dict[str, str]) -> None:
        master, slave = pty.openpty()
        self._process = subprocess.Popen(
            ["bash", "-c", command], cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave
        )
        os.close(slave)
        self._printed = b""
        self._came = threading.Condition()
        self._reader = threading.Thread(target=self._read, args=(master,), daemon=True)
        self._reader.start()

    def _read(self, master: int) -> None:
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:  # how Linux says that nobody writes any more
                piece = b""
            with self._came:
                self._printed += piece
                self._came.notify_all()
            if not piece:
                os.close(master)
                return

    @property
    def printed(self) -> str:
        return self._printed.decode(errors="replace").replace("\r\n", "\n")

    def wait_for(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Wait until it has printed ``pattern``, at its start."""
        with self._came:
            self._came.wait_for(lambda: pattern.match(plain(self.printed)) or not self._reader.is_alive(), RUN_S)
            return pattern.match(plain(self.printed))

    def finish(self) -> str:
        """Wait for its end and return what it printed."""
        self._process.wait(RUN_S)
        self._reader.join(RUN_S)
        return self.printed

    def end(self) -> int:
        """Wait for its end and return its exit code."""
        self.finish()
        return self._process.returncode

    def signal(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            self._process.send_signal(number)

    def kill(self) -> None:
        self._process.kill()
        self.finish()

    def wait_for_lines(self, pattern: re.Pattern[str], count: int) -> list[re.Match[str]]:
        """Wait for so many lines that fit ``pattern``. Raises: AssertionError with what was printed."""
        with self._came:
            self._came.wait_for(lambda: len(self._lines(pattern)) >= count or not self._reader.is_alive(), RUN_S)
        lines = self._lines(pattern)
        assert len(lines) >= count, f"{len(lines)} of {count} lines of {pattern.pattern}:\n{self.printed}"
        return lines

    def _lines(self, pattern: re.Pattern[str]) -> list[re.Match[str]]:
        return list(pattern.finditer(_STYLE.sub("", self.printed)))


class Serving(OnTerminal):
    """``lambdamesh serve FLAGS``. ``pid_file`` is where it writes its process id."""

    def __init__(self, flags: str, environ: dict[str, str], pid_file: str, before: str = "") -> None:
        super().__init__(f"{before}exec lambdamesh serve {flags}", environ)
        self.pid_file = pid_file
        self._doors = flags.count("--local ") + any(flag in flags for flag in _JOINS)

    def ready(self) -> Serving:
        """Wait until every door listens."""
        self.wait_for_lines(_LISTENING, self._doors)
        return self

    def stop(self) -> None:
        """Ask it to end; a second time does not wait for anybody."""
        self.signal(signal.SIGTERM)

    def put_down(self) -> None:
        """End it, whatever it does."""
        for patience_s in (1.0, 3.0):
            self.stop()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience_s)
        self.kill()

    @property
    def is_sound(self) -> bool:
        """Whether it has logged nothing that no input may ever cause."""
        return not any(word in self.printed for word in _PROMISED_NEVER)


def plain(text: str) -> str:
    """Lines without blanks, blank ones and styles; a rule of any length is one dash."""
    lines = ("".join(_RULE.sub("─", _STYLE.sub("", line)).split()) for line in text.splitlines())
    return "".join(f"{line}\n" for line in lines if line)
