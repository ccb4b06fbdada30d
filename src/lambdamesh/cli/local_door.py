"""HTTP to the local door of a node, for the commands that ask one."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import sys
from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from cyclopts import Parameter

from lambdamesh.cli.failure import CALL_FAILED, NO_NODE, USAGE, Failure
from lambdamesh.cli.output import printable
from lambdamesh.client.tickets import clean_credential

DEFAULT_URL = "http://127.0.0.1:7630"
ANSWER_TIMEOUT_S = 30.0

Url = Annotated[
    str,
    Parameter(
        name="--url",
        env_var="LAMBDAMESH_URL",
        help="Local door of the node: http://host:port or unix:/path. LAMBDAMESH_TOKEN is the token it may want.",
    ),
]


class Answer(msgspec.Struct, frozen=True):
    """An answer read whole."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Document(msgspec.Struct, frozen=True):
    """A JSON answer: as it came, what it says, and its headers."""

    raw: bytes
    value: Any
    headers: http.client.HTTPMessage


class LocalDoor:
    """The local door at ``url``. Raises: Failure (usage) where that is no address of one."""

    def __init__(self, url: str = DEFAULT_URL, token: str | None = None) -> None:
        self.url = url
        self._token = _clean(os.environ.get("LAMBDAMESH_TOKEN") if token is None else token)
        self._host, self._port, self._path = _parse(url)

    def request(
        self, method: str, target: str, body: bytes | None = None, *, timeout_s: float = ANSWER_TIMEOUT_S
    ) -> Answer:
        """One exchange, whatever the status. Raises: Failure where no node answers."""
        with self.answering(method, target, body, timeout_s=timeout_s) as response:
            return Answer(response.status, response.headers, response.read())

    @contextlib.contextmanager
    def answering(
        self, method: str, target: str, body: bytes | None = None, *, timeout_s: float, accept: str | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """One exchange whose answer is read within; ``timeout_s`` bounds each silence. Raises: Failure."""
        headers = {} if accept is None else {"Accept": accept}
        connection, response = self._exchange(method, target, body, timeout_s, headers)
        try:
            yield response
        except (TimeoutError, ConnectionResetError, http.client.HTTPException) as error:
            raise self._lost(error) from error
        finally:
            connection.close()

    def get(self, target: str) -> Document:
        """What a GET answers. Raises: Failure where it does not go well or the answer is not JSON."""
        answer = self.request("GET", target)
        if answer.status != 200:
            raise Failure(error_text(answer))
        try:
            return Document(answer.body, json.loads(answer.body), answer.headers)
        except ValueError as error:
            raise self._no_node(f"what answers at {self.url} is no lambdamesh node") from error

    def stream(self, target: str, *, timeout_s: float) -> http.client.HTTPResponse:
        """The answer to a GET with its body unread; ``timeout_s`` bounds each silence. Raises: Failure."""
        connection, response = self._exchange("GET", target, None, timeout_s, {})
        if response.status != 200:
            answer = Answer(response.status, response.headers, response.read())
            connection.close()
            raise Failure(error_text(answer))
        return response

    def _exchange(
        self, method: str, target: str, body: bytes | None, timeout_s: float, headers: dict[str, str]
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        connection = _Connection(self._host, self._port, self._path)
        if body is not None:
            headers = headers | {"Content-Type": "application/json"}
        if self._token:
            headers = headers | {"Authorization": f"Bearer {self._token}"}
        try:
            connection.connect()
        except OSError as error:
            raise self._no_node(f"no node answers at {self.url} ({error.strerror or error})") from error
        try:
            connection.sock.settimeout(timeout_s)
            connection.request(method, target, body, headers)
            return connection, connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._lost(error) from error

    def _lost(self, error: Exception) -> Failure:
        if isinstance(error, TimeoutError):
            return Failure(f"the node at {self.url} does not answer in time", CALL_FAILED)
        if isinstance(error, http.client.BadStatusLine) and not isinstance(error, http.client.RemoteDisconnected):
            return self._no_node(f"what answers at {self.url} does not speak HTTP")
        return Failure(f"the connection to the node at {self.url} was lost: {error}", NO_NODE)

    def _no_node(self, what: str) -> Failure:
        return Failure(f"{what}: start one with `lambdamesh serve`, or name another with --url", NO_NODE)


def _clean(token: str | None) -> str:
    try:
        return clean_credential(token, "LAMBDAMESH_TOKEN") if token else ""
    except ValueError as error:
        raise Failure(str(error), USAGE) from None


def error_text(answer: Answer) -> str:
    """An answer that tells an error, as lines for stderr: code, message, ``delivered``, ray, and what there is more."""
    fields = _error_fields(answer.body)
    code = fields.pop("code", None) or f"HTTP {answer.status}"
    message = fields.pop("error", None) or http.client.responses.get(answer.status, "")
    lines = [f"{code}: {message}"]
    if "delivered" in fields:
        lines.append(f"  delivered: {fields.pop('delivered')}")
    if ray := answer.headers.get("X-Ray"):
        lines.append(f"  ray: {ray}")
    lines += [f"  {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in fields.items()]
    if answer.status == 401:
        lines.append("  the door wants its token: put it into LAMBDAMESH_TOKEN")
    return "\n".join(printable(line) for line in lines)


def _error_fields(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _parse(url: str) -> tuple[str, int, str | None]:
    """Host, port and socket path of a local door."""
    if url.startswith("unix:"):
        return "localhost", 80, url.removeprefix("unix:").removeprefix("//")
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port or 80
    except ValueError as error:
        raise Failure(f"--url {url}: {error}", USAGE) from error
    if parts.scheme not in ("http", "ws") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise Failure(f"--url {url}: give http://host:port or unix:/path", USAGE)
    return parts.hostname, port, None


class _Connection(http.client.HTTPConnection):
    """A connection over TCP, or over the Unix socket at ``path`` where there is one."""

    def __init__(self, host: str, port: int, path: str | None) -> None:
        super().__init__(host, port, timeout=5)
        self._socket_path = path

    def connect(self) -> None:
        if self._socket_path is None:
            super().connect()
            return
        if sys.platform == "win32":
            raise OSError("Unix sockets are not to be had on Windows")
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._socket_path)
