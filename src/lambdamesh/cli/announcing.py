"""What ``lambdamesh expose`` says: lines for people on a terminal, JSON lines for everything else."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import quote

import msgspec

from lambdamesh.cli.describing import example_body, signature_text, summary_of
from lambdamesh.cli.output import printable
from lambdamesh.client.handlers import Handler
from lambdamesh.client.openrpc import document
from lambdamesh.client.reconnector import State

_SIGNATURE_COLUMNS = 60
"""A longer signature has its summary on a line of its own."""


class Place(msgspec.Struct, frozen=True):
    """Where a lambda is to be called."""

    url: str
    id: str

    @property
    def socket(self) -> str | None:
        """The path of the node's Unix socket, where it has one."""
        return self.url.removeprefix("unix:").removeprefix("//") if self.url.startswith("unix:") else None

    @property
    def base(self) -> str:
        """The URL that a method's name is appended to."""
        if self.socket is not None:
            return f"http://localhost/lambda/{self.id}/"
        url = self.url if "://" in self.url else f"http://{self.url}"
        return f"{url.replace('ws://', 'http://', 1).rstrip('/')}/lambda/{self.id}/"


class Announcer(Protocol):
    """Told what happens to a lambda while it is exposed."""

    def opened(self, place: Place, handlers: Mapping[str, Handler]) -> None:
        """It can be called."""

    def state(self, state: State) -> None:
        """The connection is open again, away or closed."""

    def reloaded(self, handlers: Mapping[str, Handler]) -> None:
        """Its code was imported anew."""

    def failed(self, text: str) -> None:
        """Its code could not be imported anew; the old goes on."""


def changes_to(announcer: Announcer) -> Callable[[State], None]:
    """What a client may tell its states to: only what is news is passed on, and no attempt to connect."""
    last = State.OPEN

    def tell(state: State) -> None:
        nonlocal last
        if state not in (last, State.CONNECTING):
            last = state
            announcer.state(state)

    return tell


class Lines:
    """One JSON object a line."""

    def opened(self, place: Place, handlers: Mapping[str, Handler]) -> None:
        first = {"id": place.id, "methods": public(handlers), "url": place.base}
        self._write(first if place.socket is None else first | {"unix_socket": place.socket})

    def state(self, state: State) -> None:
        self._write({"event": "state", "state": str(state)})

    def reloaded(self, handlers: Mapping[str, Handler]) -> None:
        self._write({"event": "reloaded", "methods": public(handlers)})

    def failed(self, text: str) -> None:
        self._write({"event": "reload_failed", "error": text})

    def _write(self, content: Mapping[str, Any]) -> None:
        sys.stdout.write(json.dumps(content, ensure_ascii=False) + "\n")
        sys.stdout.flush()


class People:
    """For a terminal. ``title`` is what is exposed, ``node`` the name of the machine that it is exposed on."""

    def __init__(self, title: str, node: str) -> None:
        from rich.console import Console

        self._console = Console(highlight=False, soft_wrap=True)
        self._title = title
        self._node = node
        self._handlers: Mapping[str, Handler] = {}

    def opened(self, place: Place, handlers: Mapping[str, Handler]) -> None:
        self._handlers = dict(handlers)
        self._print(f"{self._title} is exposed on {self._node}, {place.url}")
        self._print("")
        self._print("  id   ", place.id, style="bold green")
        self._print("")
        self._show_methods(handlers)
        self._print("  try  ", curl_line(place, handlers), style="bold")
        self._print("       ", f"lambdamesh call {place.id}{'' if public(handlers) else ' METHOD'}", style="bold")
        self._print("")
        self._print("ctrl-C closes it.", style="dim")

    def state(self, state: State) -> None:
        self._event(*_STATES[state])

    def reloaded(self, handlers: Mapping[str, Handler]) -> None:
        before, self._handlers = self._handlers, dict(handlers)
        self._event("reloaded", change_text(public(before), public(handlers)), "green")

    def failed(self, text: str) -> None:
        self._event("not reloaded", "the code as it was goes on until the next change", "red")
        self._print("\n".join("  " + printable(line) for line in text.splitlines()), style="red")

    def _show_methods(self, handlers: Mapping[str, Handler]) -> None:
        shown = [(name + signature_text(handlers[name].function), handlers[name]) for name in public(handlers)]
        if not shown:
            self._print("  any method is answered by the program\n")
            return
        width = min(max(len(text) for text, _ in shown), _SIGNATURE_COLUMNS)
        for text, handler in shown:
            summary = summary_of(handler.function)
            apart = "\n       " + " " * 2 if len(text) > width else " " * (width - len(text) + 2)
            self._print("       " + printable(text), apart + printable(summary) if summary else "", style="dim")
        self._print("")

    def _event(self, word: str, text: str, style: str) -> None:
        self._print(datetime.now().strftime("%H:%M:%S "), f"{word:<12} ", text, style=style)

    def _print(self, first: str, *rest: str, style: str = "") -> None:
        """Print pieces of one line; ``style`` is that of what follows the first, or of the only one."""
        from rich.text import Text

        pieces = [(first, "" if rest else style), *((piece, style if piece is rest[0] else "") for piece in rest)]
        self._console.print(Text.assemble(*pieces))


_STATES: dict[State, tuple[str, str, str]] = {
    State.OPEN: ("open", "under the same id", "green"),
    State.WAITING: ("waiting", "the node is away; it is dialled until it is back", "yellow"),
    State.CLOSED: ("closed", "", "dim"),
}


def public(handlers: Mapping[str, Handler]) -> list[str]:
    """The names of methods that are the user's own."""
    return [name for name in handlers if not name.startswith("rpc.")]


def change_text(before: list[str], after: list[str]) -> str:
    """``+new -gone`` where the names of the methods have changed, else how many there are."""
    changes = [f"+{name}" for name in after if name not in before]
    changes += [f"-{name}" for name in before if name not in after]
    return " ".join(changes) or f"{len(after)} method{'' if len(after) == 1 else 's'} as before"


def curl_line(place: Place, handlers: Mapping[str, Handler]) -> str:
    """A line for the shell that calls the first method."""
    names = public(handlers)
    method = quote(names[0], safe="") if names else "METHOD"
    words = ["curl"]
    if place.socket is not None:
        words += ["--unix-socket", place.socket]
    body: Any = None
    if names and handlers[names[0]].is_stream:
        words += ["-N", "-H", "Accept: application/x-ndjson"]
    if names:
        described = document([handlers[names[0]]], "")
        body = example_body(described["methods"][0], described["components"]["schemas"])
    words += ["-d", json.dumps(body, ensure_ascii=False), place.base + method]
    return shlex.join(words)
