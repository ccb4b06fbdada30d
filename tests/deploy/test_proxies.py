"""The snippets for reverse proxies: each real proxy that is on this machine, in front of a real node."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from lambdamesh.core.limits import MIB
from tests.conftest import StartNode
from tests.json_rpc_2 import Provider2
from tests.nats_servers import free_ports
from tests.nodes import ROOT, Node, until
from tests.providers import Provider
from tests.wire import Address, RawHttp, refused, request

SNIPPETS = ROOT / "deploy/proxy"
NAME = "mesh.internal"
READY_S = 20.0
NGINX_AROUND = """\
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  include {snippet};
}}
"""


class Proxy:
    """A proxy that runs by its snippet, in front of ``node``."""

    def __init__(self, kind: str, node: Node, folder: Path) -> None:
        [self.port] = free_ports(1)
        self.address: Address = ("127.0.0.1", self.port)
        self.node = node
        self._folder = folder
        snippet = folder / "snippet"
        text = (SNIPPETS / {"nginx": "nginx.conf", "caddy": "Caddyfile", "haproxy": "haproxy.cfg"}[kind]).read_text()
        assert "8080" in text and "127.0.0.1:7630" in text
        snippet.write_text(text.replace("8080", str(self.port)).replace("127.0.0.1:7630", node.authority))
        check, serve = getattr(self, f"_{kind}")(snippet)
        self._environ = os.environ | {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
        done = subprocess.run(check, env=self._environ, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(serve, env=self._environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        atexit.register(self.stop)

    def _nginx(self, snippet: Path) -> tuple[list[str], list[str]]:
        # As root nginx would serve as nobody, who may not enter the folder of a test.
        user = "" if os.geteuid() else "user root;"
        whole = self._folder / "whole.conf"
        whole.write_text(NGINX_AROUND.format(user=user, folder=self._folder, snippet=snippet))
        line = ["nginx", "-p", str(self._folder), "-c", str(whole), "-e", str(self._folder / "error.log")]
        return [*line, "-t"], line

    def _caddy(self, snippet: Path) -> tuple[list[str], list[str]]:
        # Its own door for orders would be one for all tests of the machine.
        snippet.write_text("{\n\tadmin off\n}\n" + snippet.read_text())
        how = ["--config", str(snippet), "--adapter", "caddyfile"]
        return ["caddy", "validate", *how], ["caddy", "run", *how]

    def _haproxy(self, snippet: Path) -> tuple[list[str], list[str]]:
        line = ["haproxy", "-f", str(snippet)]
        return [*line, "-c"], [*line, "-db"]

    def ready(self) -> Proxy:
        def answers() -> bool:
            assert self._process.poll() is None, (self._folder / "log").read_text(errors="replace")
            with contextlib.suppress(OSError):
                return self.fetch("/readyz").status == 200
            return False

        until(answers, "the proxy passes on", READY_S)
        return self

    def connect(self, target: str, body: bytes | None = None, **headers: str) -> RawHttp:
        """A connection on which a request was sent."""
        http = RawHttp(self.address)
        fields = tuple((name.replace("_", "-"), value) for name, value in headers.items())
        http.send(request("GET" if body is None else "POST", target, body, fields, host=NAME))
        return http

    def fetch(self, target: str, body: bytes | None = None, **headers: str):
        with self.connect(target, body, **headers) as http:
            return http.answer()

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        atexit.unregister(self.stop)


@pytest.fixture(scope="module", params=["nginx", "caddy", "haproxy"])
def proxy(
    request: pytest.FixtureRequest, shared_node: StartNode, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    if shutil.which(request.param) is None:
        why = f"{request.param} is not installed"
        print(why)
        pytest.skip(why)
    node = shared_node(local_behind_proxy=True, allow_host=[NAME])
    started = Proxy(request.param, node, tmp_path_factory.mktemp(request.param))
    try:
        yield started.ready()
    finally:
        started.stop()


def test_a_lambda_behind_a_proxy_is_called(proxy: Proxy) -> None:
    with Provider(proxy.address, host=NAME) as provider:
        provider.accept()
        with proxy.connect(f"/lambda/{provider.id}/hello", b'{"a":1}') as http:
            call = provider.next_call()
            assert (call.method, call.body) == ("hello", b'{"a":1}')
            provider.answer(call, b'{"b":2}')
            answer = http.answer()
        assert (answer.status, answer.body) == (200, b'{"b":2}')
        assert proxy.node.fetch("GET", f"/lambda/{provider.id}").status == 200


def test_the_node_sees_a_proxy(proxy: Proxy) -> None:
    """Else the test would pass without --local-behind-proxy, and the snippet would hide what it must not."""
    assert "x-forwarded-for: 127.0.0.1" in proxy.fetch("/debug/headers").body.decode().lower()


def test_items_of_a_stream_are_not_kept_back(proxy: Proxy) -> None:
    with Provider2(proxy.node) as provider:
        provider.accept()
        with proxy.connect(f"/lambda/{provider.id}/m", b"1", Accept="text/event-stream") as http:
            asked = provider.call()
            provider.item(asked, 0)
            # The next item is sent when this one has come: one that is kept back would never come.
            assert http.head().status == 200
            assert http.chunk() == b"data: 0\n\n"
            provider.item(asked, 1)
            assert http.chunk() == b"data: 1\n\n"
            provider.answer(asked, 2)
            assert http.chunk() == b"event: result\ndata: 2\n\n"


def test_the_longest_body_passes_and_the_node_refuses_a_longer_one(proxy: Proxy) -> None:
    with Provider(proxy.address, host=NAME) as provider:
        provider.accept()
        body = b'"%b"' % (b"x" * (16 * MIB - 2))
        with proxy.connect(f"/lambda/{provider.id}/m", body) as http:
            call = provider.next_call()
            assert call.body == body
            provider.answer(call, b"1")
            assert http.answer().body == b"1"
        refused(proxy.fetch(f"/lambda/{provider.id}/m", body + b" "), 413, "too_large")


def test_a_page_of_another_site_stays_out(proxy: Proxy) -> None:
    refused(proxy.fetch("/lambda", Origin="http://evil.example"), 403, "forbidden")


def test_a_close_comes_through(proxy: Proxy) -> None:
    with Provider(proxy.address, host=NAME) as provider:
        provider.accept()
        with RawHttp(proxy.address) as http:
            http.send(request("DELETE", f"/lambda/{provider.id}", host=NAME))
            assert http.answer().status == 200
        assert provider.ws.close_code() == 4410


def test_traefik_is_told_what_the_others_are() -> None:
    """Traefik is not run; its files are TOML that names the node, who is trusted, and the health route."""
    static = tomllib.loads((SNIPPETS / "traefik.toml").read_text())
    told = tomllib.loads((SNIPPETS / "traefik-lambdamesh.toml").read_text())["http"]
    router = told["routers"]["lambdamesh"]
    assert set(router["entryPoints"]) <= set(static["entryPoints"])
    assert set(router["middlewares"]) <= set(told["middlewares"])
    balancer = told["services"][router["service"]]["loadBalancer"]
    assert balancer["servers"] == [{"url": "http://127.0.0.1:7630"}]
    assert balancer["healthCheck"]["path"] == "/readyz"
