"""The text of ``--nats``, and what is shown of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lambdamesh.directory.nats_access import NatsAccess, NatsServer, check_nats_urls, mask_nats_urls


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("nats://a", [NatsServer("a", 4222)]),
        ("a:1", [NatsServer("a", 1)]),
        ("tls://a:1/", [NatsServer("a", 1, is_tls=True)]),
        ("nats://[fd00::1]", [NatsServer("fd00::1", 4222)]),
        ("nats://u:p%40%2Fs@a", [NatsServer("a", 4222, user="u", password="p@/s")]),
        ("nats://u:@a", [NatsServer("a", 4222, user="u", password="")]),
        ("nats://t0ken@a", [NatsServer("a", 4222, token="t0ken")]),
        ("nats://a, tls://b:2", [NatsServer("a", 4222), NatsServer("b", 2, is_tls=True)]),
    ],
)
def test_urls(text: str, servers: list[NatsServer]) -> None:
    assert list(check_nats_urls(text)) == servers


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "wants a URL"),
        ("nats://a,,nats://b", "wants a URL"),
        ("nats://", "not nats://HOST:PORT"),
        ("nats://a:x", "not nats://HOST:PORT"),
        ("nats://a:0", "not nats://HOST:PORT"),
        ("nats://a:99999", "not nats://HOST:PORT"),
        ("nats://a/b", "not nats://HOST:PORT"),
        ("nats://a b", "not nats://HOST:PORT"),
        ("ws://a", "only nats:// and tls://"),
        ("http://u:s3cret@a", "only nats:// and tls://"),
        ("nats://u:s3/cret@a", "%2F"),
        ("nats://u:s3@cret@a/x", "%40"),
        ("nats://u:s3,cret@a", "HOST:PORT"),
        ("nats://u:s3#cret@a", "HOST:PORT"),
    ],
)
def test_what_is_no_url_is_refused_without_showing_credentials(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as refused:
        check_nats_urls(text)
    assert "s3" not in str(refused.value)
    assert "cret" not in str(refused.value)


def test_credentials_are_shown_nowhere() -> None:
    text = "nats://u:s3cret@a:1,tls://t0ken@b,nats://c,nats://u:s3/cr,et@d"
    assert mask_nats_urls(text) == "nats://***@a:1,tls://***@b,nats://c,nats://***,***@d"
    access = NatsAccess("nats://u:s3cret@a:1,tls://t0ken@b")
    (server, other) = check_nats_urls(access.urls)
    for shown in (repr(access), str(server), repr(server), server.url, f"{other!r}"):
        assert "s3" not in shown
        assert "t0ken" not in shown
    assert server.url == "nats://a:1"
    assert other.url == "tls://b:4222"


def test_nobody_without_nats_loads_its_client() -> None:
    program = "import sys, lambdamesh.directory.nats, lambdamesh.directory.several; sys.exit('nats' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
