"""Python values as JSON text and back, without types. Lone surrogates, which JSON may escape, pass both ways."""

from __future__ import annotations

import json
from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode


def encode_plain(value: Any) -> bytes:
    """Write ``value`` as JSON text; a lone surrogate is escaped.

    Raises:
        TypeError: it cannot be JSON.
    """
    try:
        return _encode(value)
    except UnicodeEncodeError:
        pass
    except (ValueError, OverflowError, RecursionError) as error:
        raise TypeError(str(error)) from None
    try:
        return json.dumps(msgspec.to_builtins(value, str_keys=True), allow_nan=False, separators=(",", ":")).encode()
    except (ValueError, OverflowError, RecursionError) as error:
        raise TypeError(str(error)) from None


def decode_plain(raw: bytes) -> Any:
    """Decode JSON without a type."""
    try:
        return msgspec.json.decode(raw)
    except msgspec.MsgspecError:
        return json.loads(bytes(raw))
