"""Raw HTTP over a blocking socket: the bytes go out as given, answers are read exactly, every wait is bounded."""

from __future__ import annotations

import json
import re
import select
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

WAIT_S = 10.0
"""Longest wait for one read or write."""
HOST = "localhost"

Address = tuple[str, int] | str
"""Host and port, or the path of a Unix socket."""
Headers = Sequence[tuple[str, str]]

_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) ([\x20-\x7e]*)")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ?([^\x00-\x08\x0a-\x1f\x7f]*)")
RAY = re.compile(r"[0-9a-f]{16}-[A-Z]{3}")


class WireError(AssertionError):
    """What came is not what the protocol allows."""


def dial(address: Address, receive_buffer_bytes: int | None = None) -> socket.socket:
    """A connected socket with bounded waits."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.settimeout(WAIT_S)
    if receive_buffer_bytes is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
    try:
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    if family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def lines(*fields: str | bytes, body: bytes = b"") -> bytes:
    """A head of these lines, as they are, and ``body`` behind it."""
    raw = [field if isinstance(field, bytes) else field.encode("latin-1") for field in fields]
    return b"\r\n".join(raw) + b"\r\n\r\n" + body


def request(verb: str, target: str, body: bytes | None = None, headers: Headers = (), host: str = HOST) -> bytes:
    """A plain request with one Host and, where there is a body, its length."""
    fields = [f"{verb} {target} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers)]
    if body is not None:
        fields.append(f"Content-Length: {len(body)}")
    return lines(*fields, body=body or b"")


@dataclass(frozen=True)
class Answer:
    """One answer off the wire."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""

    def all(self, name: str) -> list[str]:
        """Every value of a header, in order."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        """The value of a header that may be there once. Raises: WireError if it is there twice."""
        values = self.all(name)
        if len(values) > 1:
            raise WireError(f"{name} is there {len(values)} times: {values}")
        return values[0] if values else None

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The word of an error."""
        return str(self.json()["code"])

    @property
    def delivered(self) -> str | None:
        """What an error says of the call's delivery; ``None`` where it says nothing."""
        value = self.json().get("delivered")
        return None if value is None else str(value)


def sound(answer: Answer) -> Answer:
    """Check what every answer of a node carries."""
    ray = answer.header("X-Ray")
    assert ray is not None and RAY.fullmatch(ray), answer.headers
    assert answer.header("X-Content-Type-Options") == "nosniff", answer.headers
    assert answer.header("Cache-Control") == "no-store", answer.headers
    return answer


def refused(answer: Answer, status: int, code: str) -> Answer:
    """Check an error: its status, its word, its form."""
    assert answer.status == status, answer
    assert answer.header("Content-Type") == "application/json; charset=utf-8", answer.headers
    error = answer.json()
    assert isinstance(error["error"], str) and error["error"], error
    assert error["code"] == code, error
    return answer


class Closing:
    """Something that is closed when its ``with`` ends."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        raise NotImplementedError


class RawHttp(Closing):
    """One connection. Also the bytes below a WebSocket."""

    def __init__(self, address: Address, receive_buffer_bytes: int | None = None) -> None:
        self.socket = dial(address, receive_buffer_bytes)
        self._buffer = bytearray()
        self._ended = False

    def close(self) -> None:
        """End the connection in the ordinary way (FIN)."""
        self.socket.close()

    def reset(self) -> None:
        """End the connection at once (RST)."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send all of ``data``; an end that the other side has made shows when reading."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            self._ended = not self._readable()

    def send_slowly(self, data: bytes) -> None:
        """Send one byte a segment, until the other side says something."""
        for index in range(len(data)):
            if self._readable():
                return
            self.send(data[index : index + 1])

    def flood(self, data: bytes, at_most: int, patience_s: float = 0.5) -> int:
        """Send ``data`` again and again until the other side has taken nothing for a while; how often it took all."""
        for count in range(at_most):
            rest = memoryview(data)
            while rest:
                if not select.select([], [self.socket], [], patience_s)[1]:
                    return count
                rest = rest[self.socket.send(rest) :]
        return at_most

    def dribble(self, byte: bytes, every_s: float, at_most: int) -> None:
        """Send ``byte`` again and again until something can be read. Raises: WireError after ``at_most`` bytes."""
        for _ in range(at_most):
            if self._readable(every_s):
                return
            self.send(byte)
        raise WireError(f"nothing to read after {at_most} bytes")

    def _readable(self, within_s: float = 0.0) -> bool:
        return bool(self._buffer) or bool(select.select([self.socket], [], [], within_s)[0])

    def quiet(self, for_s: float = 0.0) -> bool:
        """Whether nothing has come that was not read, and nothing comes for so long."""
        return not self._readable(for_s)

    def _fill(self) -> bool:
        """Read some more; false at the end. Raises: TimeoutError."""
        if self._ended:
            return False
        try:
            data = self.socket.recv(1 << 18)
        except ConnectionResetError:
            data = b""
        self._buffer += data
        self._ended = not data
        return bool(data)

    def line(self) -> bytes:
        """The next line, without its CRLF."""
        while b"\r\n" not in self._buffer:
            if not self._fill():
                raise WireError(f"the connection ended inside a line: {bytes(self._buffer[-200:])!r}")
        raw, _, rest = self._buffer.partition(b"\r\n")
        self._buffer = rest
        if b"\n" in raw or b"\r" in raw:
            raise WireError(f"a bare line end: {bytes(raw)!r}")
        return bytes(raw)

    def exactly(self, size_bytes: int) -> bytes:
        """The next ``size_bytes`` bytes."""
        while len(self._buffer) < size_bytes:
            if not self._fill():
                raise WireError(f"the connection ended after {len(self._buffer)} of {size_bytes} bytes")
        data = bytes(self._buffer[:size_bytes])
        del self._buffer[:size_bytes]
        return data

    def some(self) -> bytes:
        """What is there, or what comes next; empty at the end."""
        if not self._buffer:
            self._fill()
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    def rest(self) -> bytes:
        """Everything until the other side ends the connection. Raises: TimeoutError if it does not."""
        while self._fill():
            pass
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    def head(self) -> Answer:
        """The head of the next answer."""
        first = self.line()
        found = _STATUS_LINE.fullmatch(first)
        if not found:
            raise WireError(f"not a status line: {first!r}")
        fields = []
        while field := self.line():
            parts = _FIELD.fullmatch(field)
            if not parts:
                raise WireError(f"not a header: {field!r}")
            fields.append((parts[1].decode(), parts[2].decode("latin-1").strip()))
        return Answer(int(found[1]), tuple(fields))

    def chunk(self) -> bytes:
        """The next chunk of a chunked body; empty at its end."""
        size = self.line()
        if not re.fullmatch(rb"[0-9A-Fa-f]+", size):
            raise WireError(f"not a chunk size: {size!r}")
        data = self.exactly(int(size, 16))
        if self.line():
            raise WireError("a chunk without its line end, or trailers")
        return data

    def _body(self, head: Answer) -> bytes:
        length, coding = head.header("Content-Length"), head.header("Transfer-Encoding")
        if head.status < 200 or head.status == 204:
            if coding is not None or (length is not None and head.status != 204):
                raise WireError(f"{head.status} with a body: {head.headers}")
            return b""
        if coding is not None:
            if length is not None or coding.lower() != "chunked":
                raise WireError(f"two lengths, or an unknown coding: {head.headers}")
            return b"".join(iter(self.chunk, b""))
        if length is not None:
            return self.exactly(int(length))
        return self.rest()

    def answer(self, *, to_head: bool = False) -> Answer:
        """The next answer, whole. ``to_head``: it answers a HEAD and has no body."""
        head = self.head()
        return Answer(head.status, head.headers, b"" if to_head else self._body(head))

    def ask(self, verb: str, target: str, body: bytes | None = None, headers: Headers = ()) -> Answer:
        """One request and its answer on this connection."""
        self.send(request(verb, target, body, headers))
        return self.answer(to_head=verb == "HEAD")
