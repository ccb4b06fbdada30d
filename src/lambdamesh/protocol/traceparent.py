"""The name of a call in traces (W3C Trace Context, 3.2), passed on as it came."""

from __future__ import annotations

import re

_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def traceparent(value: bytes) -> bytes:
    """Return ``value`` where it may be passed on, else nothing."""
    return value if _TRACEPARENT.fullmatch(value) else b""
