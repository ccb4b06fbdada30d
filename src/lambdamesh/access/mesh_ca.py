"""The mesh's own CA, derived from its secret, and the certificates that nodes sign themselves with it.

Whoever has the secret has the CA. Everything is Ed25519; nothing of it is ever on disk.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lambdamesh.ids import machine_id_text

NODE_URI = "lambdamesh:node:"
"""What the subject alternative name of a node's certificate starts with; the machine id follows."""
VALID_FROM = datetime(2024, 1, 1, tzinfo=UTC)
VALID_UNTIL = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)

_CA_INFO = b"lambdamesh mesh ca v1"
_KEY_BYTES = 32


class Credentials(NamedTuple):
    """What a node shows of itself. ``chain`` is its certificate, then those between it and a CA; ``key`` its key."""

    chain: tuple[x509.Certificate, ...]
    key: PrivateKeyTypes


class MeshCa:
    """The CA of one secret. The same secret makes the same CA on each node, byte for byte."""

    def __init__(self, secret: bytes) -> None:
        derived = HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=_CA_INFO).derive(secret)
        self._key = Ed25519PrivateKey.from_private_bytes(derived)
        self.certificate = _ca_certificate(self._key)

    def issue(self, machine: int) -> Credentials:
        """Return a certificate with a new key for a machine, which may be both client and server."""
        key = Ed25519PrivateKey.generate()
        text = machine_id_text(machine)
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        names = [x509.UniformResourceIdentifier(NODE_URI + text)]
        builder = (
            _builder(key.public_key(), self._key.public_key())
            .subject_name(_name(f"lambdamesh node {text}"))
            .issuer_name(self.certificate.subject)
            .serial_number(x509.random_serial_number())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
        )
        return Credentials((builder.sign(self._key, None),), key)


def _ca_certificate(key: Ed25519PrivateKey) -> x509.Certificate:
    public = key.public_key()
    digest = hashlib.sha256(public.public_bytes_raw()).digest()
    name = _name(f"lambdamesh {digest.hex()[:16]}")
    return (
        _builder(public, public)
        .subject_name(name)
        .issuer_name(name)
        # Derived too, or two nodes would make two certificates of one CA.
        .serial_number(int.from_bytes(digest[:16], "big") + 1)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, None)
    )


def _builder(public: Ed25519PublicKey, issuer: Ed25519PublicKey) -> x509.CertificateBuilder:
    """Begin a certificate with what a CA and a node have in common."""
    return (
        x509.CertificateBuilder()
        .public_key(public)
        .not_valid_before(VALID_FROM)
        .not_valid_after(VALID_UNTIL)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
