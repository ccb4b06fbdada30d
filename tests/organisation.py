"""An organisation's own CA, which signs certificates of nodes as they should be, and as they should not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

MACHINE = 0x46301AAE
OTHER = 0x00000007
NODE = "lambdamesh:node:46301aae"
OTHER_NODE = "lambdamesh:node:00000007"
BEGAN = datetime(2025, 1, 1, tzinfo=UTC)
ENDS = datetime(2027, 1, 1, tzinfo=UTC)
MIDWAY_S = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
"""A time at which what is issued without dates is valid."""
BOTH_USAGES = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


class Files(NamedTuple):
    """The arguments of ``MeshTrust`` that name files."""

    ca_file: str
    cert_file: str
    key_file: str


class Issued(NamedTuple):
    """A certificate with those between it and the CA, and its key, in PEM."""

    chain: bytes
    key: bytes


class Organisation:
    """A CA; with a ``parent`` one that the parent has signed."""

    def __init__(self, name: str = "Example CA", *, parent: Organisation | None = None, began=BEGAN, ends=ENDS) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._parent = parent
        issuer, signer = (parent.certificate.subject, parent._key) if parent else (_name(name), self._key)
        self.certificate: x509.Certificate = (
            _builder(self._key, issuer, _name(name), (began, ends))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(signer, SHA256())
        )

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def issue(
        self, *uris: str, began=BEGAN, ends=ENDS, usages: Sequence[x509.ObjectIdentifier] = BOTH_USAGES
    ) -> Issued:
        """Sign a certificate that names ``uris``; without any it has no subject alternative name."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(key, self.certificate.subject, _name("a node"), (began, ends))
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        if usages:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if uris:
            names = [x509.UniformResourceIdentifier(uri) for uri in uris]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        chain = builder.sign(self._key, SHA256()).public_bytes(Encoding.PEM) + (self.pem if self._parent else b"")
        return Issued(chain, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def written(directory: Path, ca_pem: bytes, issued: Issued) -> Files:
    """Write what a node is given, so that only its owner can read it."""
    directory.mkdir(exist_ok=True)
    files = Files(*(str(directory / name) for name in ("ca.pem", "cert.pem", "key.pem")))
    for path, content in zip(files, (ca_pem, issued.chain, issued.key), strict=True):
        private(Path(path), content)
    return files


def private(path: Path, content: bytes) -> str:
    """Write a file that only its owner can read; return its path."""
    path.touch(0o600)
    path.write_bytes(content)
    return str(path)


def _builder(
    key: ec.EllipticCurvePrivateKey, issuer: x509.Name, subject: x509.Name, valid: tuple[datetime, datetime]
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .public_key(key.public_key())
        .issuer_name(issuer)
        .subject_name(subject)
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid[0])
        .not_valid_after(valid[1])
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
