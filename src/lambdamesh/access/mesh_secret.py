"""The secret that makes a mesh: ``lms1_`` and 32 random bytes in base64url without padding, one a line."""

from __future__ import annotations

import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode

from lambdamesh.access.mesh_errors import TrustError

_PREFIX = "lms1_"
_SECRET_BYTES = 32
_FORM = re.compile(r"lms1_([A-Za-z0-9_-]{43})\Z")
_MINT = "make one with `lambdamesh secret` and give each node the same file"


def mint_secret() -> str:
    """Return a new secret, which no other mesh has."""
    return _PREFIX + _encoded(secrets.token_bytes(_SECRET_BYTES))


def parse_secrets(text: str, where: str) -> tuple[bytes, ...]:
    """Read the secrets of a file, 32 bytes each: all are trusted, the first signs. ``where`` names it in errors.

    Blank lines, lines that start with ``#``, and blanks around a secret are skipped; a secret that is there twice
    counts once.

    Raises:
        TrustError: a line is no secret, or there is none. The text never shows what stands there.
    """
    found: dict[bytes, None] = {}
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip(" \t\r")
        if line and not line.startswith("#"):
            found[_parse(line, f"{where}, line {number}")] = None
    if not found:
        raise TrustError(f"{where} holds no mesh secret: {_MINT}")
    return tuple(found)


def _parse(line: str, where: str) -> bytes:
    match = _FORM.match(line)
    raw = b"" if match is None else urlsafe_b64decode(match[1] + "=")
    # The last character carries two bits that belong to nothing: one secret has one form.
    if match is None or _encoded(raw) != match[1]:
        raise TrustError(f"{where} is no mesh secret ({_PREFIX} and 43 characters, no more on the line): {_MINT}")
    return raw


def _encoded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
