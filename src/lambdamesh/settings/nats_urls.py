"""URLs of NATS servers: whether they can be used, and how they are shown without what is secret in them."""

from __future__ import annotations

import re

from lambdamesh.directory import nats_access

_NEXT_URL = re.compile(r",\s*(?=(?:nats|tls|wss?)://)", re.IGNORECASE)
_SECRET = re.compile(r"(\s*(?:[a-z][a-z0-9+.-]*://)?)(.*)@", re.IGNORECASE | re.DOTALL)
"""Scheme and user, password or token of a URL. One that was not percent-encoded may hold "/", "," and "@" itself, so
all up to the last "@" is taken for it."""


def masked_urls(text: str) -> str:
    """``text`` with ``***`` where its URLs have a user, a password or a token."""
    return ",".join(_SECRET.sub(r"\1***@", url, count=1) for url in _NEXT_URL.split(text))


def check_nats_urls(text: str) -> None:
    """Refuse what is no list of NATS URLs with commas between them.

    Raises:
        ValueError: the text says what is wrong with which URL, and shows no secret.
    """
    for url in _NEXT_URL.split(text):
        secret = _SECRET.match(url)
        # Taken apart at these marks, half of a password would pass for a host, and be shown as one.
        if secret and re.search(r"[\s/?#@,]", secret[2]):
            raise ValueError(
                f"{masked_urls(url)!r}: percent-encode what is special in a user, a password or a token "
                "(/ is %2F, @ is %40, a comma %2C), and begin each URL with its scheme"
            )
    nats_access.check_nats_urls(text)
