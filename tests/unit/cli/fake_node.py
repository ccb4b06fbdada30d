"""A node that answers from a table, for the commands that ask one."""

from __future__ import annotations

import socketserver
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

JSON = {"Content-Type": "application/json; charset=utf-8", "X-Ray": "0057be39815282ea-MYH"}


@dataclass
class Asked:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class FakeNode:
    """``answers`` maps ``"GET /path"`` to status, body and more headers; ``asked`` has what came."""

    url: str
    answers: dict[str, tuple[int, bytes, dict[str, str]]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def answer(self, request: str, body: bytes, status: int = 200, **headers: str) -> None:
        """Answer ``request`` so; an underscore in a header's name is a hyphen."""
        self.answers[request] = (status, body, {name.replace("_", "-"): text for name, text in headers.items()})


def handler_of(node: FakeNode) -> type[BaseHTTPRequestHandler]:
    """A request handler that answers for ``node``."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            node.asked.append(Asked(self.command, self.path, dict(self.headers), content))
            status, body, headers = node.answers.get(f"{self.command} {self.path}", (404, b"{}", {}))
            self.send_response(status)
            for name, text in (JSON | headers | {"Content-Length": str(len(body))}).items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = handle_any  # noqa: N815

        def log_message(self, *_: Any) -> None: ...
        def address_string(self) -> str:
            return "test"

    return Handler


class TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


class UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
