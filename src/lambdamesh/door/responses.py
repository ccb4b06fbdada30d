"""Answers as bytes: status lines, the fields that every answer carries, and the body of an error."""

from __future__ import annotations

from email.utils import formatdate
from http import HTTPStatus

import msgspec

from lambdamesh.errors import LambdaError, MeshError

JSON_TYPE = b"application/json; charset=utf-8"

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}


class StatusLines:
    """The first lines of answers, with the date of the second they are sent in (RFC 9110, 6.6.1)."""

    __slots__ = ("_date", "_second", "ok")

    def __init__(self, unix_s: float) -> None:
        self._second = -1
        self.tick(unix_s)

    def tick(self, unix_s: float) -> None:
        """Tell it the time."""
        if int(unix_s) == self._second:
            return
        self._second = int(unix_s)
        self._date = formatdate(self._second, usegmt=True).encode()
        self.ok = self.opening(200, JSON_TYPE)
        """Everything of a plain 200 up to the value of ``X-Ray``."""

    def opening(self, status: int, content_type: bytes) -> bytes:
        """Return status line and fields up to the value of ``X-Ray``. No ``content_type``: none is sent."""
        return (
            b"HTTP/1.1 %d %b\r\nDate: %b\r\n" % (status, _REASONS[status], self._date)
            + (b"Content-Type: %b\r\n" % content_type if content_type else b"")
            + b"X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\nX-Ray: "
        )


def error_body(error: MeshError, is_call: bool) -> bytes:
    """Write ``error`` as the JSON object that callers get."""
    return msgspec.json.encode(error_fields(error, is_call))


def error_fields(error: MeshError, is_call: bool) -> dict[str, object]:
    """Return the members of that object."""
    fields: dict[str, object] = {"error": error.message, "code": error.code}
    if is_call:
        fields["delivered"] = error.delivered
    if isinstance(error, LambdaError):
        if error.rpc_code is not None:
            fields["rpc_code"] = error.rpc_code
        if error.data is not None:
            fields["data"] = msgspec.Raw(error.data)
    return fields
