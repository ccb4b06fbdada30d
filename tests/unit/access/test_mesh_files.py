"""Files that cannot be used: each is refused with flag, file and remedy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID
from structlog.testing import capture_logs

from lambdamesh.access.mesh_trust import MeshTrust, TrustError
from tests.organisation import BEGAN, ENDS, MACHINE, MIDWAY_S, NODE, OTHER_NODE, Issued, Organisation, private, written

SECRET = "lms1_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
ORGANISATION = Organisation()
GOOD = ORGANISATION.issue(NODE)


def trust(**files: str | None) -> MeshTrust:
    return MeshTrust(machine=MACHINE, clock=lambda: MIDWAY_S, **files)


def refusal(**files: str | None) -> str:
    with pytest.raises(TrustError) as raised:
        trust(**files)
    return str(raised.value)


def own(directory: Path, issued: Issued = GOOD, ca_pem: bytes = ORGANISATION.pem) -> dict[str, str | None]:
    return dict(written(directory, ca_pem, issued)._asdict())


# --- which files ---


def test_nothing_at_all_names_both_ways() -> None:
    text = refusal()
    assert "--mesh-secret-file FILE" in text and "lambdamesh secret" in text and "--mesh-ca" in text


@pytest.mark.parametrize("flag", ["ca_file", "cert_file", "key_file"])
def test_a_secret_and_an_own_ca_exclude_each_other(flag: str) -> None:
    text = refusal(secret_file="s", **{flag: "f"})
    assert "--mesh-secret-file and --mesh-" in text and "give one of them" in text


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"ca_file": "f"}, "--mesh-cert and --mesh-key"),
        ({"cert_file": "f"}, "--mesh-ca and --mesh-key"),
        ({"ca_file": "f", "key_file": "f"}, "--mesh-cert"),
    ],
)
def test_half_of_an_own_ca_names_the_rest(given: dict[str, str | None], missing: str) -> None:
    assert f"goes together with {missing}, which is not given" in refusal(**given)


# --- the secret ---


def test_a_secret_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    text = refusal(secret_file=str(tmp_path / "none"))
    assert f"--mesh-secret-file {tmp_path / 'none'} cannot be read (No such file or directory)" in text


@pytest.mark.parametrize("content", [b"", b"\xff\xfe" * 30, b"x" * (1 << 21)], ids=["empty", "no text", "huge"])
def test_a_secret_file_with_something_else_is_named(tmp_path: Path, content: bytes) -> None:
    path = private(tmp_path / "mesh.secret", content)
    assert refusal(secret_file=path).startswith(f"--mesh-secret-file {path}")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o777])
def test_a_secret_that_others_can_read_is_warned_of_once(tmp_path: Path, mode: int) -> None:
    path = Path(private(tmp_path / "mesh.secret", SECRET.encode()))
    path.chmod(mode)
    with capture_logs() as logs:
        trust(secret_file=str(path)).reload()
    [warning] = logs
    assert warning["log_level"] == "warning"
    assert warning["fix"] == f"chmod 600 {path}"
    assert SECRET not in repr(logs)


def test_a_secret_of_its_owner_only_is_not(tmp_path: Path) -> None:
    with capture_logs() as logs:
        trust(secret_file=private(tmp_path / "mesh.secret", SECRET.encode()))
    assert logs == []


# --- an organisation's own ---


def test_own_files_make_trust_without_a_word(tmp_path: Path) -> None:
    with capture_logs() as logs:
        assert trust(**own(tmp_path)).authorities == ("CN=Example CA",)
    assert logs == []


def test_a_key_that_others_can_read_is_warned_of(tmp_path: Path) -> None:
    files = own(tmp_path)
    (tmp_path / "key.pem").chmod(0o644)
    (tmp_path / "cert.pem").chmod(0o644)
    with capture_logs() as logs:
        trust(**files)
    assert [event["path"] for event in logs] == [files["key_file"]]


@pytest.mark.parametrize("name", ["ca_file", "cert_file", "key_file"])
@pytest.mark.parametrize(
    "content", [b"", b"no pem\n", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_file_with_something_else_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    files = own(tmp_path)
    Path(str(files[name])).write_bytes(content)
    assert refusal(**files).startswith(f"--mesh-{name.removesuffix('_file')} {files[name]} holds no ")


def test_an_encrypted_key_is_refused_and_no_passphrase_is_asked_for(tmp_path: Path) -> None:
    encryption = BestAvailableEncryption(b"passphrase")
    key = load_pem_private_key(GOOD.key, None).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    assert "is encrypted" in refusal(**own(tmp_path, Issued(GOOD.chain, key)))


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    issued = Issued(GOOD.chain, ORGANISATION.issue(NODE).key)
    assert "is not the key of the first certificate" in refusal(**own(tmp_path, issued))


@pytest.mark.parametrize(
    ("uris", "says"),
    [
        ((), "names no machine"),
        (("https://a.test",), "names no machine"),
        ((NODE, OTHER_NODE), "names 2 machines"),
        ((OTHER_NODE,), "is that of machine 00000007"),
    ],
)
def test_a_certificate_that_does_not_name_this_machine_tells_what_to_ask_for(
    tmp_path: Path, uris: tuple[str, ...], says: str
) -> None:
    files = own(tmp_path, ORGANISATION.issue(*uris))
    text = refusal(**files)
    assert text.startswith(f"--mesh-cert {files['cert_file']}") and says in text
    assert "ask your CA for one with subjectAltName URI:lambdamesh:node:46301aae" in text


def test_a_certificate_of_another_machine_names_the_flag_that_would_fit(tmp_path: Path) -> None:
    assert "--machine-id 00000007" in refusal(**own(tmp_path, ORGANISATION.issue(OTHER_NODE)))


@pytest.mark.parametrize(
    ("usages", "missing"),
    [
        ([ExtendedKeyUsageOID.SERVER_AUTH], "clientAuth"),
        ([ExtendedKeyUsageOID.CLIENT_AUTH], "serverAuth"),
        ([ExtendedKeyUsageOID.CODE_SIGNING], "serverAuth and clientAuth"),
    ],
)
def test_a_certificate_for_one_side_only_tells_what_is_missing(tmp_path: Path, usages: list, missing: str) -> None:
    assert f"is not made for {missing}: ask" in refusal(**own(tmp_path, ORGANISATION.issue(NODE, usages=usages)))


def test_a_certificate_for_any_usage_will_do(tmp_path: Path) -> None:
    trust(**own(tmp_path, ORGANISATION.issue(NODE, usages=())))


def test_an_expired_certificate_is_named_with_its_date(tmp_path: Path) -> None:
    issued = ORGANISATION.issue(NODE, ends=datetime(2025, 6, 1, 12, 30, tzinfo=UTC))
    assert "expired on 2025-06-01T12:30:00Z: renew it" in refusal(**own(tmp_path, issued))


def test_a_certificate_of_tomorrow_is_named_with_its_date(tmp_path: Path) -> None:
    issued = ORGANISATION.issue(NODE, began=datetime(2026, 6, 1, tzinfo=UTC))
    assert "is not valid before 2026-06-01T00:00:00Z" in refusal(**own(tmp_path, issued))


def test_an_expired_certificate_between_is_named_with_its_date(tmp_path: Path) -> None:
    between = Organisation("Between", parent=ORGANISATION, ends=datetime(2025, 6, 1, tzinfo=UTC))
    text = refusal(**own(tmp_path, between.issue(NODE)))
    assert "CN=Between in it expired on 2025-06-01T00:00:00Z" in text


def test_a_certificate_of_another_ca_is_refused(tmp_path: Path) -> None:
    files = own(tmp_path, Organisation("Another").issue(NODE))
    text = refusal(**files)
    assert f"--mesh-cert {files['cert_file']}" in text
    assert "nodes with the same CAs would refuse this one" in text and "add the CA that signed it to --mesh-ca" in text


def test_a_chain_that_lacks_what_is_between_is_refused(tmp_path: Path) -> None:
    chain, key = Organisation("Between", parent=ORGANISATION).issue(NODE)
    leaf = chain[: chain.index(b"-----END CERTIFICATE-----") + 26]
    assert "would refuse this one" in refusal(**own(tmp_path, Issued(leaf, key)))


def test_what_is_no_ca_is_no_ca(tmp_path: Path) -> None:
    text = refusal(**own(tmp_path, ca_pem=ORGANISATION.pem + GOOD.chain))
    assert "--mesh-ca" in text and "CN=a node is no CA certificate" in text


def test_a_ca_between_may_be_what_is_trusted(tmp_path: Path) -> None:
    between = Organisation("Between", parent=ORGANISATION)
    assert trust(**own(tmp_path, between.issue(NODE), between.pem)).authorities == ("CN=Between",)


def test_a_ca_that_has_expired_is_not_trusted_and_named_with_its_date(tmp_path: Path) -> None:
    old = Organisation("Old", ends=BEGAN + timedelta(days=1))
    with capture_logs() as logs:
        assert trust(**own(tmp_path, ca_pem=old.pem + ORGANISATION.pem)).authorities == ("CN=Example CA",)
    assert [(event["event"], event["expired"]) for event in logs] == [("mesh_ca_expired", "2025-01-02T00:00:00Z")]
    assert "each CA in it has expired, on 2025-01-02T00:00:00Z" in refusal(**own(tmp_path, ca_pem=old.pem))


# --- what ends soon ---


def test_a_certificate_that_ends_within_30_days_is_warned_of_once_a_day(tmp_path: Path) -> None:
    now_s = (ENDS - timedelta(days=31)).timestamp()

    def seen() -> list[str]:
        with capture_logs() as logs, pytest.raises(AttributeError):
            mesh.identity(None)  # type: ignore[arg-type]
        return [event["ends"] for event in logs]

    with capture_logs() as logs:
        mesh = MeshTrust(machine=MACHINE, clock=lambda: now_s, **own(tmp_path))
    assert logs == [] and seen() == []
    now_s += 2 * 86_400
    assert seen() == ["2027-01-01T00:00:00Z"]
    assert seen() == []
    now_s += 86_400
    assert seen() == ["2027-01-01T00:00:00Z"]
