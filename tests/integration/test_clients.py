"""Clients that others wrote: curl, Java's HttpClient, and the reference's own sample on Node with ws."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.nodes import ROOT, Node, until
from tests.providers import Answering, wrap
from tests.wire import RawHttp

JAVA = Path(__file__).parent / "java" / "Call.java"
EXAMPLE = ROOT / "examples" / "node"
RUN_S = 60.0


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


@pytest.fixture(scope="module")
def reference(node: Node) -> Iterator[Answering]:
    """A lambda that does what the reference's sample does."""
    with Answering(node.address, wrap) as provider:
        yield provider


def run(*words: str, data: bytes = b"") -> bytes:
    """What a program prints. Raises: AssertionError with its complaint where it fails."""
    done = subprocess.run(words, input=data, capture_output=True, timeout=RUN_S, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


def curl(*words: str, data: bytes = b"") -> bytes:
    return run("curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", "20", *words, data=data)


@needs("curl")
@pytest.mark.parametrize("version", ["--http1.0", "--http1.1", "--http2"])
def test_curl_as_the_reference_shows_it(node: Node, reference: Answering, version: str) -> None:
    target = f"{node.url}/lambda/{reference.id}/test"
    assert curl(version, "-X", "POST", target, "-d", '{ "hello": "world" }') == b'{"echo":{ "hello": "world" }}'


@needs("curl")
def test_curl_lists(node: Node, reference: Answering) -> None:
    listing = curl(f"{node.url}/lambda?pretty")
    assert f'"{reference.id}": {{'.encode() in listing
    assert b'"code": "json-rpc"' in listing


@needs("curl")
@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
@pytest.mark.parametrize(
    "more", [[], ["-H", "Expect: 100-continue"], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect:"]], ids=str
)
def test_curl_with_a_large_body(node: Node, reference: Answering, version: str, more: list[str]) -> None:
    body = b'"' + b"x" * 3_000_000 + b'"'
    target = f"{node.url}/lambda/{reference.id}/test"
    assert curl(version, *more, "--data-binary", "@-", target, data=body) == b'{"echo":' + body + b"}"


@needs("curl")
def test_curl_reuses_its_connection(node: Node, reference: Answering) -> None:
    target = f"{node.url}/lambda/{reference.id}/test"
    told = curl("-d", "1", "-w", "%{num_connects}", target, "--next", "-s", "-d", "2", "-w", "%{num_connects}", target)
    assert told == b'{"echo":1}1{"echo":2}0'


@needs("curl")
def test_curl_head_and_delete(node: Node) -> None:
    with Answering(node.address, wrap) as provider:
        target = f"{node.url}/lambda/{provider.id}"
        assert curl("--head", target).startswith(b"HTTP/1.1 200 ")
        assert curl("-X", "DELETE", target) == b"{}"


@needs("curl")
def test_curl_over_a_unix_socket(start_node: Callable[..., Node], tmp_path: Path) -> None:
    start_node(local=["127.0.0.1:0", f"unix:{tmp_path}/s"])
    assert (
        curl("--unix-socket", str(tmp_path / "s"), "http://pm3/readyz", "-o", "/dev/null", "-w", "%{http_code}")
        == b"200"
    )


@needs("java")
def test_java(node: Node, reference: Answering) -> None:
    """Its first request asks for h2c and has a body."""
    target = f"{node.url}/lambda/{reference.id}/test"
    told = run("java", str(JAVA), target, '{"hello":"world"}', "[2]", "nul")
    lines = told.decode().splitlines()
    assert lines[:2] == ['200 {"echo":{"hello":"world"}}', '200 {"echo":[2]}']
    assert lines[2].startswith("400 ")


# The reference's provider


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example with what it depends on installed, beside it or in a copy."""
    if (EXAMPLE / "node_modules" / "ws").is_dir():
        return EXAMPLE
    copy = tmp_path_factory.mktemp("example") / "node"
    shutil.copytree(EXAMPLE, copy)
    try:
        done = subprocess.run(
            ["npm", "ci", "--prefer-offline"], cwd=copy, capture_output=True, text=True, timeout=RUN_S, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip("npm ci took too long: no network?")
    if done.returncode != 0:
        pytest.skip(f"npm ci failed: {done.stderr.strip()[-300:]}")
    return copy


class Sample:
    """The example running: its process, and the id that it prints."""

    def __init__(self, example: Path, node: Node, *, by_environment: bool = False) -> None:
        url = f"ws://{node.authority}/lambda/new"
        self.process = subprocess.Popen(
            ["node", "provider.mjs", *([] if by_environment else [url])],
            cwd=example,
            env=os.environ | ({"LAMBDAMESH_URL": url} if by_environment else {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        word, _, self.id = self.process.stdout.readline().strip().partition(" ")
        assert (word, len(self.id)) == ("id", 16)

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=10.0)


@pytest.fixture
def sample(example: Path, node: Node) -> Iterator[Sample]:
    running = Sample(example, node)
    yield running
    running.stop()


@needs("node")
def test_the_references_provider(node: Node, sample: Sample) -> None:
    with RawHttp(node.address) as http:
        for number in range(20):
            answer = http.ask("POST", f"/lambda/{sample.id}/test", b'{"hello":%d}' % number)
            assert (answer.status, answer.body) == (200, b'{"echo":{"hello":%d}}' % number)
        answer = http.ask("POST", f"/lambda/{sample.id}/nope", b"1")
        assert (answer.status, answer.code) == (400, "lambda_error")
        assert "TypeError" in answer.json()["error"]


@needs("node")
def test_the_references_provider_under_way_when_it_is_killed(node: Node, sample: Sample) -> None:
    assert node.fetch("POST", f"/lambda/{sample.id}/test", b"1").json() == {"echo": 1}
    sample.process.kill()
    until(lambda: node.fetch("GET", f"/lambda/{sample.id}").status == 410, "the lambda is gone")


@needs("node")
@needs("curl")
def test_the_whole_reference(node: Node, sample: Sample) -> None:
    """The provider and the caller as the reference prints them."""
    target = f"{node.url}/lambda/{sample.id}/test"
    assert curl("-X", "POST", target, "-d", '{ "hello": "world" }') == b'{"echo":{"hello":"world"}}'


@needs("node")
def test_the_example_takes_its_address_from_the_environment(example: Path, node: Node) -> None:
    running = Sample(example, node, by_environment=True)
    try:
        assert node.fetch("POST", f"/lambda/{running.id}/test", b"1").json() == {"echo": 1}
    finally:
        running.stop()


def test_the_examples_lock_names_no_registry() -> None:
    for path in (EXAMPLE / "package-lock.json", EXAMPLE / "package.json"):
        assert "http" not in path.read_text()
