"""Who is let in, judged on handshakes in memory: identity, times, rotation, reload."""

from __future__ import annotations

import os
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lambdamesh.access import mesh_contexts
from lambdamesh.access.mesh_contexts import meet, new_context
from lambdamesh.access.mesh_secret import mint_secret
from lambdamesh.access.mesh_trust import MeshTrust, TrustError, Untrusted
from tests.organisation import MACHINE, MIDWAY_S, NODE, OTHER, OTHER_NODE, Issued, Organisation, private, written

OLD, NEW = mint_secret(), mint_secret()


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.unix_s = MIDWAY_S

    def __call__(self) -> float:
        return self.unix_s


def of_secrets(path: Path, *secrets: str, machine: int = MACHINE) -> MeshTrust:
    return MeshTrust(machine=machine, secret_file=private(path, "\n".join(secrets).encode()))


def of_organisation(
    directory: Path, ca_pem: bytes, issued: Issued, clock: Clock | None = None, machine: int = MACHINE
) -> MeshTrust:
    files = written(directory, ca_pem, issued)
    return MeshTrust(machine=machine, clock=clock or Clock(), **files._asdict())


def between(server: MeshTrust, client: MeshTrust) -> tuple[int, int]:
    """Shake hands; return whom the server sees, and whom the client sees."""
    at_server, at_client = meet(server.server_context(), client.client_context())
    return server.identity(at_server), client.identity(at_client)


def shown_by(issued: Issued, ca_pem: bytes, tmp_path: Path) -> ssl.SSLContext:
    """A client that shows what it has, good or not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(private(tmp_path / "shown.pem", issued.chain + issued.key))
    return context


# --- secrets ---


def test_each_side_sees_the_machine_of_the_other(tmp_path: Path) -> None:
    a, b = of_secrets(tmp_path / "a", OLD), of_secrets(tmp_path / "b", OLD, machine=OTHER)
    assert between(a, b) == (OTHER, MACHINE)


def test_another_secret_is_another_mesh(tmp_path: Path) -> None:
    a, b = of_secrets(tmp_path / "a", OLD), of_secrets(tmp_path / "b", NEW, machine=OTHER)
    with pytest.raises(ssl.SSLCertVerificationError):
        between(a, b)
    assert set(a.authorities).isdisjoint(b.authorities)


def test_several_secrets_carry_a_mesh_from_one_to_the_next(tmp_path: Path) -> None:
    a = of_secrets(tmp_path / "a", OLD)
    b = of_secrets(tmp_path / "b", OLD, NEW, machine=2)
    c = of_secrets(tmp_path / "c", NEW, OLD, machine=3)
    d = of_secrets(tmp_path / "d", NEW, machine=4)
    assert between(a, b) == (2, MACHINE) and between(b, a) == (MACHINE, 2)
    assert between(b, c) == (3, 2) and between(c, b) == (2, 3)
    assert between(c, d) == (4, 3) and between(d, c) == (3, 4)
    for server, client in ((a, d), (d, a), (a, c), (c, a), (b, d), (d, b)):
        with pytest.raises(ssl.SSLCertVerificationError):
            between(server, client)


def test_a_reload_holds_for_handshakes_from_now_on(tmp_path: Path) -> None:
    a, b = of_secrets(tmp_path / "a", OLD), of_secrets(tmp_path / "b", OLD, machine=OTHER)
    earlier = meet(a.server_context(), b.client_context())
    (tmp_path / "a").write_text(NEW)
    a.reload()
    with pytest.raises(ssl.SSLCertVerificationError):
        between(a, b)
    assert earlier[1].write(b"still here") == 10
    (tmp_path / "b").write_text(NEW)
    b.reload()
    assert between(a, b) == (OTHER, MACHINE)


@pytest.mark.parametrize("content", ["", "nonsense", OLD[:-1]], ids=["empty", "nonsense", "cut"])
def test_a_reload_of_bad_files_changes_nothing(tmp_path: Path, content: str) -> None:
    a, b = of_secrets(tmp_path / "a", OLD), of_secrets(tmp_path / "b", OLD, machine=OTHER)
    (tmp_path / "a").write_text(content)
    with pytest.raises(TrustError):
        a.reload()
    assert between(a, b) == (OTHER, MACHINE)


# --- what TLS is spoken ---


def test_tls_1_3_and_nothing_older(tmp_path: Path) -> None:
    a = of_secrets(tmp_path / "a", OLD)
    ends = meet(a.server_context(), a.client_context())
    assert [end.version() for end in ends] == ["TLSv1.3", "TLSv1.3"]
    old = new_context(is_server=False)
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match="UNSUPPORTED_PROTOCOL"):
        meet(a.server_context(), old)


def test_both_sides_agree_that_this_is_a_link(tmp_path: Path) -> None:
    a = of_secrets(tmp_path / "a", OLD)
    ends = meet(a.server_context(), a.client_context())
    assert [end.selected_alpn_protocol() for end in ends] == ["lambdamesh-link"] * 2


def test_who_shows_nothing_is_refused(tmp_path: Path) -> None:
    naked = new_context(is_server=False)
    naked.verify_mode = ssl.CERT_NONE
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        meet(of_secrets(tmp_path / "a", OLD).server_context(), naked)


def test_nobody_is_identified_without_a_certificate(tmp_path: Path) -> None:
    a = of_secrets(tmp_path / "a", OLD)
    lax = a.server_context()
    lax.verify_mode = ssl.CERT_NONE
    at_server, _ = meet(lax, a.client_context())
    with pytest.raises(Untrusted, match="showed no certificate"):
        a.identity(at_server)


def test_nobody_is_identified_by_a_certificate_that_was_not_verified(tmp_path: Path) -> None:
    a, foreign = of_secrets(tmp_path / "a", OLD), of_secrets(tmp_path / "b", NEW, machine=OTHER)
    lax, accepting = a.client_context(), foreign.server_context()
    lax.verify_mode = accepting.verify_mode = ssl.CERT_NONE
    _, at_client = meet(accepting, lax)
    with pytest.raises(Untrusted, match="was not verified"):
        a.identity(at_client)


# --- an organisation's own ---


def test_machines_of_an_organisation(tmp_path: Path) -> None:
    root = Organisation()
    sub = Organisation("Between", parent=root)
    a = of_organisation(tmp_path / "a", root.pem, root.issue(NODE))
    b = of_organisation(tmp_path / "b", root.pem, sub.issue("https://b.test", OTHER_NODE), machine=OTHER)
    assert between(a, b) == (OTHER, MACHINE) and between(b, a) == (MACHINE, OTHER)


@pytest.mark.parametrize(
    ("uris", "says"),
    [
        ((), "names no machine"),
        (("https://a.test", "spiffe://a.test/lambdamesh:node:46301aae"), "names no machine"),
        ((NODE, OTHER_NODE), "names 2 machines"),
        ((NODE, NODE), "names 2 machines"),
        ((NODE, "LambdaMesh:node:00000007"), "names 2 machines"),
        (("lambdamesh:NODE:46301aae",), "names 'lambdamesh:NODE:46301aae'"),
        (("lambdamesh:node:",), "names 'lambdamesh:node:'"),
        (("lambdamesh:node:00000000",), "names 'lambdamesh:node:00000000'"),
        (("lambdamesh:node:46301aae0",), "names 'lambdamesh:node:46301aae0'"),
        ((" lambdamesh:node:46301aae",), "names no machine"),
        (("lambdamesh:node:" + "x" * 5000,), "names 'lambdamesh:node:xxx"),
    ],
)
def test_a_certificate_of_the_ca_that_is_no_node_s_gets_nothing(
    tmp_path: Path, uris: tuple[str, ...], says: str
) -> None:
    root = Organisation()
    a = of_organisation(tmp_path / "a", root.pem, root.issue(NODE))
    at_server, _ = meet(a.server_context(), shown_by(root.issue(*uris), root.pem, tmp_path))
    with pytest.raises(Untrusted) as raised:
        a.identity(at_server)
    assert says in raised.value.reason
    assert "exactly one subjectAltName URI:lambdamesh:node:" in raised.value.reason
    assert len(raised.value.reason) < 250


@pytest.mark.parametrize(
    ("valid", "says"),
    [
        ({"ends": datetime(2025, 6, 1, 12, tzinfo=UTC)}, "its certificate expired on 2025-06-01T12:00:00Z"),
        ({"began": datetime(2026, 6, 1, tzinfo=UTC)}, "its certificate is not valid before 2026-06-01T00:00:00Z"),
    ],
)
def test_an_untimely_certificate_gets_nothing_and_is_named_with_its_date(
    tmp_path: Path, valid: dict[str, Any], says: str
) -> None:
    root = Organisation()
    a = of_organisation(tmp_path / "a", root.pem, root.issue(NODE))
    at_server, _ = meet(a.server_context(), shown_by(root.issue(OTHER_NODE, **valid), root.pem, tmp_path))
    with pytest.raises(Untrusted) as raised:
        a.identity(at_server)
    assert says in raised.value.reason
    assert a.handshake_failure(raised.value, is_server=True) == raised.value.reason


def test_an_expired_certificate_between_gets_nothing(tmp_path: Path) -> None:
    root = Organisation()
    sub = Organisation("Between", parent=root, ends=datetime(2025, 6, 1, tzinfo=UTC))
    a = of_organisation(tmp_path / "a", root.pem, root.issue(NODE))
    at_server, _ = meet(a.server_context(), shown_by(sub.issue(OTHER_NODE), root.pem, tmp_path))
    with pytest.raises(Untrusted, match="CN=Between behind its own expired on 2025-06-01T00:00:00Z"):
        a.identity(at_server)


def test_a_ca_that_expires_while_the_node_runs_is_trusted_no_longer(tmp_path: Path) -> None:
    root, late, clock = Organisation(), Organisation("Late", ends=datetime(2026, 2, 1, tzinfo=UTC)), Clock()
    a = of_organisation(tmp_path / "a", root.pem + late.pem, root.issue(NODE), clock)
    at_server, _ = meet(a.server_context(), shown_by(late.issue(OTHER_NODE), late.pem, tmp_path))
    assert a.identity(at_server) == OTHER
    clock.unix_s = datetime(2026, 2, 2, tzinfo=UTC).timestamp()
    with pytest.raises(Untrusted, match="CN=Late behind its own expired on 2026-02-01T00:00:00Z"):
        a.identity(at_server)


def test_an_own_certificate_that_expires_while_the_node_runs_is_what_is_named(tmp_path: Path) -> None:
    root, clock = Organisation(), Clock()
    a = of_organisation(tmp_path / "a", root.pem, root.issue(NODE, ends=datetime(2026, 2, 1, tzinfo=UTC)), clock)
    b = of_organisation(tmp_path / "b", root.pem, root.issue(OTHER_NODE), clock, OTHER)
    assert between(a, b) == (OTHER, MACHINE)
    clock.unix_s = datetime(2026, 2, 2, tzinfo=UTC).timestamp()
    says = f"the certificate of this node, --mesh-cert {tmp_path / 'a' / 'cert.pem'}, expired on 2026-02-01T00:00:00Z"
    _, at_client = meet(b.server_context(), a.client_context())
    with pytest.raises(Untrusted) as raised:
        a.identity(at_client)
    assert says in raised.value.reason
    assert says in a.handshake_failure(ConnectionResetError(), is_server=False)
    written(tmp_path / "a", root.pem, root.issue(NODE))
    a.reload()
    assert between(a, b) == (OTHER, MACHINE)


# --- never on disk ---


def test_nothing_is_written_where_others_could_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(os, "memfd_create"):
        pytest.skip("this system has no files in memory")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a temporary file")

    monkeypatch.setattr("tempfile.TemporaryDirectory", refuse)
    open_before = len(list(Path("/proc/self/fd").iterdir()))
    of_secrets(tmp_path / "a", OLD)
    assert len(list(Path("/proc/self/fd").iterdir())) == open_before
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_without_files_in_memory_a_private_one_is_gone_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with mesh_contexts._path_of(b"hush") as path:
        assert Path(path).read_bytes() == b"hush"
        assert Path(path).stat().st_mode & 0o077 == 0
        assert Path(path).parent.stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mesh").mkdir()
    a = of_secrets(tmp_path / "mesh" / "a", OLD)
    assert between(a, a) == (MACHINE, MACHINE)
    assert [path.name for path in tmp_path.iterdir()] == ["mesh"]


def test_what_openssl_does_not_take_is_the_error_of_whoever_gave_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ssl.SSLError(1, "[SSL: EE_KEY_TOO_SMALL] ee key too small")

    monkeypatch.setattr("lambdamesh.access.mesh_trust.arm", refuse)
    with pytest.raises(TrustError, match=r"--mesh-secret-file .* is nothing that OpenSSL takes here"):
        of_secrets(tmp_path / "a", OLD)
