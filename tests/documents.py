"""Documents as a reader uses them: the commands of their ``console`` blocks, run on a terminal against real nodes.

A command starts with ``$``; what follows is what it prints, in which ``...`` stands for anything and blanks do not
count. Commands that go on stay until the document ends: a node, and a provider, which is whatever prints a line ``id
rhowRuuCUoE5vlcA``. What differs here from a reader's machine is replaced: the address ``localhost:7630`` by the node's,
that id by the one that the last provider printed, the home directory by an empty one.
"""

from __future__ import annotations

import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.nodes import ROOT, Node

EXAMPLE_ID = "rhowRuuCUoE5vlcA"
RUN_S = 30.0
"""Longest time for a command, or for one that goes on to print what it should."""

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_BOLD = re.compile(r"\x1b\[[0-9;]*m")
_RULE = re.compile("─+")
_ADDRESS = re.compile(r"\b(?:localhost|127\.0\.0\.1):7630\b")
_SERVE = re.compile(r"lambdamesh serve\b(.*)|make serve")
_ID_LINE = re.compile(rf"^ *id +{EXAMPLE_ID}$", re.MULTILINE)
_OPENS_SOCKET = "/lambda/new"
"""A program in which this stands is given its address on the command line, others by LAMBDAMESH_URL."""
_NEEDS_NODE = re.compile(r"(?:node|npm) ")
_INSTALL = re.compile(r"npm (?:ci|run build)\b|python -m pip install\b")
_STOP = "kill -TERM "
_MODULES = (
    ROOT / "examples/node/node_modules/ws",
    ROOT / "clients/js/node_modules/ws",
    ROOT / "clients/js/dist/index.js",
)


class Block(NamedTuple):
    """A fenced block: its language, its lines, and the number of its first line."""

    language: str
    content: str
    line: int


class Command(NamedTuple):
    """One command and what it prints."""

    text: str
    printed: str
    where: str


def blocks(path: Path) -> Iterator[Block]:
    """The fenced blocks of a document."""
    text = path.read_text("utf-8")
    for found in _FENCE.finditer(text):
        yield Block(found[1], found[2], text.count("\n", 0, found.start()) + 2)


def commands(path: Path) -> Iterator[Command]:
    """The commands of its ``console`` blocks."""
    for block in blocks(path):
        if block.language == "console":
            for number, line in enumerate(block.content.splitlines()):
                if line.startswith("$ "):
                    printed = block.content.splitlines()[number + 1 :]
                    end = next((n for n, text in enumerate(printed) if text.startswith("$ ")), len(printed))
                    where = f"{path.relative_to(ROOT)}:{block.line + number}"
                    yield Command(line.removeprefix("$ "), "\n".join(printed[:end]), where)


def follow(path: Path, home: Path) -> None:
    """Do as a whole document says. Skips the test where that needs what is not installed, behind all the rest."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    has_node = shutil.which("node") is not None and all(module.exists() for module in _MODULES)
    left_out: list[str] = []
    is_id_known = True
    reader = Reader(home)
    try:
        for command in commands(path):
            is_provider = _ID_LINE.search(command.printed) is not None
            needs_id = EXAMPLE_ID in command.text and not is_id_known
            can_run = (has_node or not _NEEDS_NODE.match(command.text)) and not needs_id
            if can_run:
                reader.follow(command)
            else:
                left_out.append(command.text)
            is_id_known = can_run if is_provider else is_id_known
        assert not any(node.complaints() for node in reader.nodes)
    finally:
        reader.close()
    if left_out:
        pytest.skip(f"all but {left_out}: that needs Node, `npm ci` there, and clients/js built")


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
        return self._printed.decode(errors="replace")

    def wait_for(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Wait until it has printed ``pattern``, at its start."""
        with self._came:
            self._came.wait_for(lambda: pattern.match(_plain(self.printed)) or not self._reader.is_alive(), RUN_S)
            return pattern.match(_plain(self.printed))

    def finish(self) -> str:
        """Wait for its end and return what it printed."""
        self._process.wait(RUN_S)
        self._reader.join(RUN_S)
        return self.printed

    def kill(self) -> None:
        self._process.kill()
        self.finish()


class Reader:
    """Somebody who follows one document, command by command, with ``home`` for a home directory."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._node: Node | None = None
        self._nodes: list[Node] = []
        self._running: list[OnTerminal] = []
        self._id = ""
        self._port = 0
        programs = home / "bin"
        programs.mkdir()
        for name, module in (("lambdamesh", "-m lambdamesh"), ("python", "")):
            program = programs / name
            program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {module} "$@"\n')
            program.chmod(0o755)
        self._environ = {
            **{name: text for name, text in os.environ.items() if not name.startswith("LAMBDAMESH_")},
            "HOME": str(home),
            "NO_PROXY": "*",
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "src"),
            "TERM": "dumb",
            "LC_ALL": "C.UTF-8",
        }

    @property
    def nodes(self) -> list[Node]:
        """The nodes it has started."""
        return self._nodes

    def follow(self, command: Command) -> None:
        """Do as ``command`` says. Raises: AssertionError where something else is printed."""
        text = command.text.replace(".venv/bin/", "")
        if _INSTALL.match(text):
            return
        if (serve := _SERVE.fullmatch(text)) and not command.printed:
            self._serve(["--dev"] if serve[1] is None else shlex.split(self._here(serve[1])))
        elif _ID_LINE.search(command.printed):
            self._provide(text, command)
        else:
            printed = OnTerminal(self._here(text), self._environ_now()).finish()
            if text.startswith(_STOP):
                self._stopped()
            self._check(command, printed, self._pattern(command.printed + "\n").fullmatch(_plain(printed)))

    def close(self) -> None:
        """End whatever runs."""
        for running in self._running:
            running.kill()
        for node in self._nodes:
            node.stop()

    # -- commands that go on ------------------------------------------------------------------------------------

    def _serve(self, flags: list[str]) -> None:
        if self._node is not None:
            self._node.signal(signal.SIGTERM)
            self._stopped()
        flags = [flag.replace("~", str(self._home), 1) if flag.startswith("~/") else flag for flag in flags]
        local = [self._with_port(value) for value in _taken(flags, "--local") or ["127.0.0.1:7630"]]
        [state] = _taken(flags, "--state") or [str(self._home / f"state{len(self._nodes)}")]
        node = Node(Path(state), {"local": local}, arguments=tuple(flags))
        self._nodes.append(node)
        self._node = node.ready()
        self._port = node.port if isinstance(node.address, tuple) else self._port

    def _with_port(self, address: str) -> str:
        """A free port, and then the same one for all nodes of the document."""
        return re.sub(r":7630$", f":{self._port}", address)

    def _stopped(self) -> None:
        assert self._node is not None
        assert self._node.wait() == 0
        self._node = None

    def _provide(self, text: str, command: Command) -> None:
        assert self._node is not None
        running = OnTerminal(f"exec {text}{self._address_for(text)}", self._environ_now())
        self._running.append(running)
        self._id = ""
        found = running.wait_for(self._pattern(command.printed + "\n"))
        self._check(command, running.printed, found)
        assert found is not None
        self._id = found["id"]

    def _address_for(self, text: str) -> str:
        assert self._node is not None
        programs = [ROOT / word for word in shlex.split(text)[:2] if word.startswith("examples/")]
        opens = any(_OPENS_SOCKET in program.read_text("utf-8") for program in programs)
        return f" ws://{self._node.authority}{_OPENS_SOCKET}" if opens else ""

    # -- from the document to here, and back --------------------------------------------------------------------

    def _here(self, text: str) -> str:
        text = text.replace(EXAMPLE_ID, self._id or EXAMPLE_ID).replace("/run/user/1000", str(self._home))
        if self._node is not None and isinstance(self._node.address, tuple):
            text = _ADDRESS.sub(self._node.authority, text)
        return text

    def _environ_now(self) -> dict[str, str]:
        if self._node is None or not isinstance(self._node.address, tuple):
            return self._environ
        return self._environ | {"LAMBDAMESH_URL": self._node.url}

    def _pattern(self, printed: str) -> re.Pattern[str]:
        pattern = re.escape(_plain(self._here(printed))).replace(r"\.\.\.", ".*?")
        if not self._id:
            pattern = pattern.replace(EXAMPLE_ID, "(?P<id>[A-Za-z0-9_-]{16})", 1).replace(EXAMPLE_ID, "(?P=id)")
        return re.compile(pattern, re.DOTALL)

    def _check(self, command: Command, printed: str, found: re.Match[str] | None) -> None:
        if found is None:
            raise AssertionError(f"{command.where}: $ {command.text}\nprinted\n{printed}\nand not\n{command.printed}")


def _plain(text: str) -> str:
    """Lines without blanks, blank ones and bold; a rule of any length is one dash."""
    lines = ("".join(_RULE.sub("─", _BOLD.sub("", line)).split()) for line in text.splitlines())
    return "".join(f"{line}\n" for line in lines if line)


def _taken(flags: list[str], name: str) -> list[str]:
    """The values of ``name``, taken out of ``flags``."""
    values = []
    while name in flags:
        at = flags.index(name)
        values.append(flags[at + 1])
        del flags[at : at + 2]
    return values
