"""Every way to be let in by NATS, every way not to be, and what is said then."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import structlog.testing
import trustme

from lambdamesh.directory.nats_access import NatsAccess
from tests.directories import soon
from tests.integration.directory.conftest import FAST, Joined
from tests.nats_servers import USER, Key, NatsProcess, Operator

Join = Callable[..., Awaitable[Joined]]
StartNats = Callable[..., NatsProcess]

SECRET = "s3cret/with@signs"
ESCAPED = "s3cret%2Fwith%40signs"
WRONG = "wr0ng"
REFUSED = "refused who we say we are"


@pytest.fixture(autouse=True)
def no_secrets(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """No test here may let a secret into a log. A test adds what it keeps secret beside the two above."""
    secret = [SECRET, ESCAPED, WRONG]
    with structlog.testing.capture_logs() as events:
        yield secret
    written = repr(events) + caplog.text
    assert [text for text in secret if text in written] == []


async def _let_in(join: Join, access: str | NatsAccess) -> Joined:
    node = await join(access, 1)
    assert node.directory.trouble() is None
    return node


async def _kept_out(join: Join, access: str | NatsAccess, why: str, no_secrets: list[str]) -> str:
    node = await join(access, 2, is_awaited=False, pace=replace(FAST, ask_s=1.0))
    trouble = await node.troubled(why)
    shown = trouble + repr(node.directory._access)
    assert [text for text in no_secrets if text in shown] == []
    assert not node.directory.complete()
    return trouble


def _file(directory: Path, name: str, text: str) -> str:
    path = directory / name
    path.write_text(text)
    return str(path)


async def test_user_and_password(start_nats: StartNats, join: Join, no_secrets: list[str]) -> None:
    server = start_nats(f'authorization {{ user: u, password: "{SECRET}" }}')
    await _let_in(join, f"nats://u:{ESCAPED}@{server.place}")
    trouble = await _kept_out(join, f"nats://u:{WRONG}@{server.place}", REFUSED, no_secrets)
    assert trouble == (
        f"NATS at {server.place} refused who we say we are: check the user and password or the token in --nats, "
        "or the file of --nats-creds or --nats-nkey"
    )
    await _kept_out(join, server.url, REFUSED, no_secrets)


async def test_the_credentials_of_one_url_hold_for_all(start_nats: StartNats, join: Join) -> None:
    server = start_nats(f'authorization {{ user: u, password: "{SECRET}" }}')
    await _let_in(join, f"nats://u:{ESCAPED}@127.0.0.1:1,{server.url}")


async def test_token(start_nats: StartNats, join: Join, no_secrets: list[str]) -> None:
    server = start_nats(f'authorization {{ token: "{SECRET}" }}')
    await _let_in(join, f"nats://{ESCAPED}@{server.place}")
    await _kept_out(join, f"nats://{WRONG}@{server.place}", REFUSED, no_secrets)


async def test_nkey(start_nats: StartNats, join: Join, tmp_path: Path, no_secrets: list[str]) -> None:
    right, wrong = Key.make(USER), Key.make(USER)
    no_secrets += [right.seed, wrong.seed]
    server = start_nats(f"authorization {{ users: [ {{ nkey: {right.public} }} ] }}")
    await _let_in(
        join, NatsAccess(server.url, nkey_file=_file(tmp_path, "right.nk", f"{right.seed}\n{right.public}\n"))
    )
    await _kept_out(
        join, NatsAccess(server.url, nkey_file=_file(tmp_path, "wrong.nk", wrong.seed)), REFUSED, no_secrets
    )


async def test_creds(start_nats: StartNats, join: Join, tmp_path: Path, no_secrets: list[str]) -> None:
    operator = Operator()
    server = start_nats(operator.config())
    right, wrong, old = operator.creds(), Operator().creds(), operator.creds(exp=int(time.time()) - 60)
    no_secrets += [line for text in (right, wrong, old) for line in text.splitlines() if line and line[0] != "-"]
    await _let_in(join, NatsAccess(server.url, creds_file=_file(tmp_path, "right.creds", right)))
    for name, text in (("wrong", wrong), ("old", old)):
        access = NatsAccess(server.url, creds_file=_file(tmp_path, f"{name}.creds", text))
        await _kept_out(join, access, REFUSED, no_secrets)


async def test_credentials_that_expire_are_read_again(start_nats: StartNats, join: Join, tmp_path: Path) -> None:
    operator = Operator()
    server = start_nats(operator.config())
    path = _file(tmp_path, "user.creds", operator.creds(exp=int(time.time()) + 2))
    node = await _let_in(join, NatsAccess(server.url, creds_file=path))
    await soon(node.directory.trouble, "the end of the credentials")
    trouble = node.directory.trouble() or ""
    assert "expired: give it new ones with --nats-creds" in trouble or REFUSED in trouble
    _file(tmp_path, "user.creds", operator.creds())
    await node.complete()


@pytest.mark.parametrize(
    ("flag", "text", "why"),
    [
        ("creds_file", None, "--nats-creds {path}: it cannot be read (No such file or directory)"),
        ("creds_file", "", "--nats-creds {path}: it has no JWT and seed of a user in it"),
        ("creds_file", "SUABC", "--nats-creds {path}: it has no JWT and seed of a user in it"),
        ("nkey_file", None, "--nats-nkey {path}: it cannot be read (No such file or directory)"),
        ("nkey_file", "", "--nats-nkey {path}: it has no seed of a user"),
        ("nkey_file", "SUNONSENSE", "--nats-nkey {path}: it has no seed of a user"),
        ("tls_ca", None, "--nats-tls-ca {path}: No such file or directory"),
        ("tls_ca", "nonsense", "--nats-tls-ca {path}: OpenSSL cannot use it"),
        ("tls_cert", None, "--nats-tls-cert {path}, --nats-tls-key None: No such file or directory"),
        ("tls_cert", "nonsense", "--nats-tls-cert {path}, --nats-tls-key None: OpenSSL cannot use it"),
    ],
)
async def test_files_that_cannot_be_used_are_named(
    server: NatsProcess, join: Join, tmp_path: Path, no_secrets: list[str], flag: str, text: str | None, why: str
) -> None:
    path = str(tmp_path / "file") if text is None else _file(tmp_path, "file", text)
    await _kept_out(join, NatsAccess(server.url, **{flag: path}), why.format(path=path), no_secrets)


async def test_creds_without_their_content_do_not_hold_the_node_up(
    server: NatsProcess, join: Join, tmp_path: Path, no_secrets: list[str]
) -> None:
    text = "-----BEGIN NATS USER JWT-----\n-----BEGIN USER NKEY SEED-----"
    access = NatsAccess(server.url, creds_file=_file(tmp_path, "cut.creds", text))
    await _kept_out(join, access, "--nats-creds", no_secrets)


class Tls:
    """A CA, a certificate for 127.0.0.1, and one for a client."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        authority = trustme.CA()
        self.ca = str(directory / "ca.pem")
        authority.cert_pem.write_to_path(self.ca)
        self.server_cert, self.server_key = self._write("server", authority.issue_cert("127.0.0.1"))
        self.client_cert, self.client_key = self._write("client", authority.issue_cert("node@example.org"))

    def _write(self, name: str, leaf: trustme.LeafCert) -> tuple[str, str]:
        cert, key = str(self._directory / f"{name}.pem"), str(self._directory / f"{name}.key")
        leaf.cert_chain_pems[0].write_to_path(cert)
        leaf.private_key_pem.write_to_path(key)
        return cert, key

    def config(self, *, verify: bool = False) -> str:
        wanted = f'ca_file: "{self.ca}", verify: true' if verify else ""
        return f'tls {{ cert_file: "{self.server_cert}", key_file: "{self.server_key}", {wanted} }}'


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    return Tls(tmp_path)


async def test_tls(start_nats: StartNats, join: Join, tls: Tls, no_secrets: list[str]) -> None:
    server = start_nats(tls.config(), scheme="tls")
    await _let_in(join, NatsAccess(server.url, tls_ca=tls.ca))
    await _let_in(join, NatsAccess(f"nats://{server.place}", tls_ca=tls.ca))
    trouble = await _kept_out(join, server.url, "shows a certificate that is not trusted", no_secrets)
    assert "name the CA that signed it with --nats-tls-ca" in trouble
    localhost = f"tls://localhost:{server.port}"
    trouble = await _kept_out(join, NatsAccess(localhost, tls_ca=tls.ca), "not trusted", no_secrets)
    assert "localhost" in trouble
    await soon(lambda: server.connections() <= 3, "no connection is left of those that came to nothing")


async def test_client_certificates(start_nats: StartNats, join: Join, tls: Tls, no_secrets: list[str]) -> None:
    server = start_nats(tls.config(verify=True), scheme="tls")
    await _let_in(join, NatsAccess(server.url, tls_ca=tls.ca, tls_cert=tls.client_cert, tls_key=tls.client_key))
    trouble = await _kept_out(join, NatsAccess(server.url, tls_ca=tls.ca), "--nats-tls-cert", no_secrets)
    assert "wants" in trouble


async def test_a_foreign_client_certificate(
    start_nats: StartNats, join: Join, tls: Tls, tmp_path: Path, no_secrets: list[str]
) -> None:
    server = start_nats(tls.config(verify=True), scheme="tls")
    (tmp_path / "other").mkdir()
    other = Tls(tmp_path / "other")
    access = NatsAccess(server.url, tls_ca=tls.ca, tls_cert=other.client_cert, tls_key=other.client_key)
    await _kept_out(join, access, "--nats-tls-cert", no_secrets)


async def test_a_server_without_tls_hears_no_password_that_was_meant_for_one_with_it(
    start_nats: StartNats, join: Join, tls: Tls, no_secrets: list[str]
) -> None:
    server = start_nats(f'authorization {{ user: u, password: "{SECRET}" }}')
    for access in (
        NatsAccess(f"tls://u:{ESCAPED}@{server.place}"),
        NatsAccess(f"nats://u:{ESCAPED}@{server.place}", tls_ca=tls.ca),
    ):
        await _kept_out(join, access, "speaks no TLS", no_secrets)


async def test_a_server_without_jetstream(start_nats: StartNats, join: Join, no_secrets: list[str]) -> None:
    server = start_nats(has_jetstream=False)
    trouble = await _kept_out(join, server.url, "has no JetStream", no_secrets)
    assert "-js" in trouble


async def test_an_account_without_jetstream(start_nats: StartNats, join: Join, no_secrets: list[str]) -> None:
    server = start_nats('accounts { A { users: [ { user: u, password: "p" } ] } }')
    await _kept_out(join, f"nats://u:p@{server.place}", "has no JetStream", no_secrets)


async def test_a_user_who_may_not(start_nats: StartNats, join: Join, no_secrets: list[str]) -> None:
    server = start_nats(
        'authorization { users: [ { user: u, password: "p", permissions: { publish: "other.>", subscribe: "_INBOX.>" } },'
        ' { user: w, password: "p", permissions: { publish: "$JS.API.>", subscribe: "_INBOX.>" } } ] }'
    )
    for user in ("u", "w"):
        trouble = await _kept_out(join, f"nats://{user}:p@{server.place}", "does not let this user", no_secrets)
        assert "$JS.API.>, $KV.lambdamesh.> and _INBOX.>" in trouble


async def test_something_else_that_listens_there(join: Join, no_secrets: list[str]) -> None:
    async def speak_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    other = await asyncio.start_server(speak_http, "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    await _kept_out(join, f"nats://127.0.0.1:{port}", "does --nats name its client port?", no_secrets)
    other.close()
