"""Documents as a reader uses them: the commands of their ``console`` blocks, run on a terminal against real nodes.

A command starts with ``$``; what follows is what it prints, in which ``...`` stands for anything and blanks do not
count. Commands that go on stay until the document ends, or takes their place: nodes, a NATS server, and providers, which
are whatever prints a line ``id rhowRuuCUoE5vlcA``. A node takes the place of the one that has its address. A command
that only looks is given a moment to see what it should. What differs here from a reader's machine is replaced: the
ports 7630, 7631 and 4222 of each loopback address by free ones, that id by the one that the last provider printed, the
home directory by an empty one.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from random import choice
from typing import NamedTuple

import pytest

from tests.nodes import ROOT, until
from tests.terminals import OnTerminal, Serving, plain

EXAMPLE_ID = "rhowRuuCUoE5vlcA"
LOOK_AGAIN_S = 15.0
"""How long a command that only looks may have to wait for what it should see."""

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PLACE = re.compile(r"\b(localhost|127\.0\.0\.\d|0\.0\.0\.0):(7630|7631|4222)\b")
_SERVE = re.compile(r"((?:\w+=\S+ )*)lambdamesh serve\b(.*)|make serve")
_NATS = re.compile(r"nats-server\b.* -P (\S+)")
_NATS_PLACE = re.compile(r"-a (\S+) -p (4222)\b")
_DEFAULT = "127.0.0.1:7630"
_ID_LINE = re.compile(rf"^ *id +{EXAMPLE_ID}$", re.MULTILINE)
_OPENS_SOCKET = "/lambda/new"
"""A program in which this stands is given its address on the command line, others by LAMBDAMESH_URL."""
_NEEDS_NODE = re.compile(r"(?:node|npm) ")
_NEEDS = ("curl", "openssl", "nats-server", "pgrep")
_INSTALL = re.compile(r"npm (?:ci|run build)\b|python -m pip install\b")
_KILL = re.compile(r"kill -(?:TERM|KILL|INT) ")
_LOOKS = re.compile(r"(?:\w+=\S+ )*(?:lambdamesh (?:peers|ls) ?|curl (?!.* -d ))[^|;]*$")
_REFUSAL = re.compile("^lambdamesh: ", re.MULTILINE)
_FREE_PORTS = range(2_000, 10_000)
"""As long as those in the documents, so that tables are as wide, and none that the system hands out by itself."""
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
    _skip_what_cannot_be(path)
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
        assert all(node.is_sound for node in reader.nodes), [node.printed for node in reader.nodes]
    finally:
        reader.close()
    if left_out:
        pytest.skip(f"all but {left_out}: that needs Node, `npm ci` there, and clients/js built")


def _skip_what_cannot_be(path: Path) -> None:
    said = [command.text for command in commands(path)]
    for program in _NEEDS:
        if any(program in text for text in said) and shutil.which(program, path=_search_path()) is None:
            pytest.skip(f"{program} is not installed")
    if any("127.0.0.2" in text for text in said) and not _is_free("127.0.0.2", 0):
        pytest.skip("this machine has no 127.0.0.2")


def _search_path() -> str:
    return f"{os.environ['PATH']}:{Path(sys.executable).parent}"


class Reader:
    """Somebody who follows one document, command by command, with ``home`` for a home directory."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._ports: dict[str, int] = {}
        self._nodes: list[Serving] = []
        self._places: dict[str, Serving] = {}
        """The nodes that run, by each address as the document has it."""
        self._going: dict[str, OnTerminal] = {}
        """What runs and has written its process id into a file, by the name of that."""
        self._others: list[OnTerminal] = []
        self._id = ""
        programs = home / "bin"
        programs.mkdir()
        for name, module in (("lambdamesh", "-m lambdamesh"), ("python", "")):
            program = programs / name
            program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {module} "$@"\n')
            program.chmod(0o755)
        environ = {name: text for name, text in os.environ.items() if not name.startswith("LAMBDAMESH_")}
        self._environ = environ | {
            "HOME": str(home),
            "NO_PROXY": "*",
            "PATH": f"{programs}:{_search_path()}",
            "PYTHONPATH": str(ROOT / "src"),
            "TERM": "dumb",
            "LC_ALL": "C.UTF-8",
            "LAMBDAMESH_URL": self._here(f"http://{_DEFAULT}"),
        }

    @property
    def nodes(self) -> list[Serving]:
        """The nodes it has started."""
        return self._nodes

    def follow(self, command: Command) -> None:
        """Do as ``command`` says. Raises: AssertionError where something else is printed."""
        text = command.text.replace(".venv/bin/", "")
        if _INSTALL.match(text):
            return
        if (serve := _SERVE.fullmatch(text)) and not _REFUSAL.search(command.printed):
            self._serve(serve[1] or "", " --dev" if serve[2] is None else serve[2], command)
        elif nats := _NATS.match(text):
            self._start_nats(text, nats[1], command)
        elif _ID_LINE.search(command.printed):
            self._provide(text, command)
        elif _LOOKS.match(text):
            self._look(text, command)
        else:
            printed = OnTerminal(self._here(text), self._environ).finish()
            if _KILL.match(text):
                self._ended(text)
            self._check(command, printed, self._fits(command, printed))

    def close(self) -> None:
        """End whatever runs."""
        for other in (*self._others, *(going for name, going in self._going.items() if not name.endswith("/lock"))):
            other.kill()
        for node in self._nodes:
            node.stop()
        for node in self._nodes:
            node.put_down()

    # -- commands that go on ------------------------------------------------------------------------------------

    def _serve(self, before: str, flags: str, command: Command) -> None:
        places = re.findall(r"--local (\S+)", flags) or [_DEFAULT]
        for node in {id(node): node for place in places if (node := self._places.get(_known(place)))}.values():
            node.stop()
            self._gone(node)
        if "--local " not in flags:
            flags += f" --local {_DEFAULT}"
        if "--state " not in flags:
            flags += f" --state {self._home}/state{len(self._nodes)}"
        state = flags.rpartition("--state ")[2].split()[0]
        node = Serving(self._here(flags), self._environ, f"{state}/lock", self._here(before))
        self._nodes.append(node)
        self._going[node.pid_file] = node
        self._places |= dict.fromkeys(map(_known, places), node)
        node.ready()
        if command.printed:
            self._await(command, node)

    def _gone(self, node: Serving) -> None:
        """Wait for the end of a node that was asked to end."""
        assert node.end() == 0, node.printed
        self._forget(node)

    def _forget(self, ended: OnTerminal) -> None:
        self._going = {name: going for name, going in self._going.items() if going is not ended}
        self._places = {place: node for place, node in self._places.items() if node is not ended}

    def _ended(self, kill: str) -> None:
        """Wait for the end of whatever ``kill`` has ended."""
        for name, going in tuple(self._going.items()):
            if name in kill:
                assert (going.end() == 0) is ("-KILL" not in kill), going.printed
                self._forget(going)

    def _start_nats(self, text: str, pid_file: str, command: Command) -> None:
        text = _NATS_PLACE.sub(lambda place: f"-a {place[1]} -p {self._port(f'{place[1]}:{place[2]}')}", text)
        nats = self._going[pid_file] = OnTerminal(f"exec {text}", self._environ)
        self._await(command, nats)

    def _provide(self, text: str, command: Command) -> None:
        provider = OnTerminal(f"exec {self._here(text)}{self._address_for(text)}", self._environ)
        self._others.append(provider)
        self._id = ""
        self._id = self._await(command, provider)["id"]

    def _address_for(self, text: str) -> str:
        programs = [ROOT / word for word in shlex.split(text)[:2] if word.startswith("examples/")]
        opens = any(_OPENS_SOCKET in program.read_text("utf-8") for program in programs)
        return self._here(f" ws://{_DEFAULT}{_OPENS_SOCKET}") if opens else ""

    def _await(self, command: Command, going: OnTerminal) -> re.Match[str]:
        """Wait until a command that goes on has printed what it should."""
        found = going.wait_for(self._pattern(command.printed + "\n"))
        self._check(command, going.printed, found)
        assert found is not None
        return found

    # -- commands that end --------------------------------------------------------------------------------------

    def _look(self, text: str, command: Command) -> None:
        printed = ""

        def is_there() -> bool:
            nonlocal printed
            printed = OnTerminal(self._here(text), self._environ).finish()
            return self._fits(command, printed) is not None

        try:
            until(is_there, command.text, LOOK_AGAIN_S)
        except AssertionError:
            self._check(command, printed, None)

    # -- from the document to here, and back --------------------------------------------------------------------

    def _here(self, text: str) -> str:
        text = text.replace(EXAMPLE_ID, self._id or EXAMPLE_ID).replace("/run/user/1000", str(self._home))
        return _PLACE.sub(lambda place: f"{_address(place[1])}:{self._port(place[0])}", text)

    def _port(self, place: str) -> int:
        """A free port, and then the same one for as long as the document lasts."""
        host = _known(place).partition(":")[0]
        if _known(place) not in self._ports:
            port = next(port for port in iter(lambda: choice(_FREE_PORTS), 0) if _is_free(host, port))
            self._ports[_known(place)] = port
        return self._ports[_known(place)]

    def _fits(self, command: Command, printed: str) -> re.Match[str] | None:
        return self._pattern(command.printed + "\n").fullmatch(plain(printed))

    def _pattern(self, printed: str) -> re.Pattern[str]:
        pattern = re.escape(plain(self._here(printed))).replace(r"\.\.\.", ".*?")
        if not self._id:
            pattern = pattern.replace(EXAMPLE_ID, "(?P<id>[A-Za-z0-9_-]{16})", 1).replace(EXAMPLE_ID, "(?P=id)")
        return re.compile(pattern, re.DOTALL)

    def _check(self, command: Command, printed: str, found: re.Match[str] | None) -> None:
        if found is None:
            raise AssertionError(f"{command.where}: $ {command.text}\nprinted\n{printed}\nand not\n{command.printed}")


def _address(host: str) -> str:
    return "127.0.0.1" if host == "localhost" else host


def _known(place: str) -> str:
    """One name for what is one address to whoever listens there."""
    return re.sub(r"^(?:localhost|0\.0\.0\.0):", "127.0.0.1:", place)


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as sock:
        try:
            sock.bind((host, port))
        except OSError:
            return False
    return True
