"""The files that trust between nodes is read from: the mesh secret, or an organisation's own certificates."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from lambdamesh.access.mesh_ca import NODE_URI, Credentials, MeshCa
from lambdamesh.access.mesh_errors import TrustError, Untrusted
from lambdamesh.access.mesh_names import date_text, machine_of, subject_text, untimely
from lambdamesh.access.mesh_secret import parse_secrets
from lambdamesh.ids import machine_id_text

SECRET_FLAG = "--mesh-secret-file"  # noqa: S105 - the name of a flag
CA_FLAG = "--mesh-ca"
CERT_FLAG = "--mesh-cert"
KEY_FLAG = "--mesh-key"

log = structlog.get_logger(__name__)

_LARGEST_BYTES = 1 << 20
_USAGES = {ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth", ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth"}

Material = tuple[tuple[x509.Certificate, ...], Credentials]
"""Whom to trust, and what to show."""


class TrustFiles(NamedTuple):
    """Paths: either the secret, or CA, certificate and key."""

    secret: str | None
    ca: str | None
    cert: str | None
    key: str | None


class Reader:
    """Reads the files for one machine, as often as it is asked to.

    ``now`` is asked for the time. A file that others may read is warned of once.

    Raises:
        TrustError: neither way of trust is given, or both, or half of one.
    """

    def __init__(self, files: TrustFiles, machine: int, now: Callable[[], datetime]) -> None:
        _check_together(files)
        self._files = files
        self._machine = machine
        self._now = now
        self._warned: set[str] = set()

    def read(self) -> Material:
        """Read all files anew.

        Raises:
            TrustError: one of them cannot be used.
        """
        secret, ca, cert, key = self._files
        if secret is not None:
            return self._from_secret(secret)
        assert ca is not None
        assert cert is not None
        assert key is not None
        return self._authorities(ca), self._own(cert, key)

    def _from_secret(self, path: str) -> Material:
        text = self._private(path, SECRET_FLAG).decode("utf-8", "replace")
        cas = [MeshCa(secret) for secret in parse_secrets(text, f"{SECRET_FLAG} {path}")]
        return tuple(ca.certificate for ca in cas), cas[0].issue(self._machine)

    def _authorities(self, path: str) -> tuple[x509.Certificate, ...]:
        current: list[x509.Certificate] = []
        for certificate in _certificates(_read(path, CA_FLAG), f"{CA_FLAG} {path}"):
            if not _is_ca(certificate):
                text = f"{CA_FLAG} {path}: {subject_text(certificate)} is no CA certificate; give those of the CA only"
                raise TrustError(text)
            ended = certificate.not_valid_after_utc
            if self._now() > ended:
                log.warning("mesh_ca_expired", path=path, subject=subject_text(certificate), expired=date_text(ended))
            else:
                current.append(certificate)
        if not current:
            raise TrustError(f"{CA_FLAG} {path}: each CA in it has expired, on {date_text(ended)}: renew it")
        return tuple(current)

    def _own(self, cert_path: str, key_path: str) -> Credentials:
        where = f"{CERT_FLAG} {cert_path}"
        chain = _certificates(_read(cert_path, CERT_FLAG), where)
        key = _key(self._private(key_path, KEY_FLAG), f"{KEY_FLAG} {key_path}")
        if not _belongs(key, chain[0]):
            text = (
                f"{KEY_FLAG} {key_path} is not the key of the first certificate in {cert_path}: give the two together"
            )
            raise TrustError(text)
        for certificate in chain:
            reason = untimely(certificate, self._now())
            if reason is not None:
                whose = "" if certificate is chain[0] else f"the CA certificate {subject_text(certificate)} in it "
                raise TrustError(f"{where}: {whose}{reason}: renew it, or set the clock of this machine right")
        _check_names(chain[0], where, self._machine)
        return Credentials(chain, key)

    def _private(self, path: str, flag: str) -> bytes:
        content, mode = _read_with_mode(path, flag)
        if stat.S_ISREG(mode) and mode & 0o077 and path not in self._warned:
            self._warned.add(path)
            log.warning("mesh_file_open_to_others", flag=flag, path=path, fix=f"chmod 600 {path}")
        return content


def _check_together(files: TrustFiles) -> None:
    own = {CA_FLAG: files.ca, CERT_FLAG: files.cert, KEY_FLAG: files.key}
    given = [flag for flag, path in own.items() if path is not None]
    missing = [flag for flag, path in own.items() if path is None]
    if files.secret is not None and given:
        text = f"{SECRET_FLAG} and {given[0]} are two ways to say whom a node trusts: give one of them"
        raise TrustError(text)
    if files.secret is None and not given:
        raise TrustError(
            f"a node among others needs {SECRET_FLAG} FILE, made with `lambdamesh secret` and the same on each node; "
            f"or {CA_FLAG}, {CERT_FLAG} and {KEY_FLAG} of your own CA"
        )
    if files.secret is None and missing:
        raise TrustError(f"{given[0]} goes together with {' and '.join(missing)}, which is not given: give all three")


def _read(path: str, flag: str) -> bytes:
    return _read_with_mode(path, flag)[0]


def _read_with_mode(path: str, flag: str) -> tuple[bytes, int]:
    try:
        with Path(path).open("rb") as file:
            content = file.read(_LARGEST_BYTES + 1)
            mode = os.fstat(file.fileno()).st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        text = f"{flag} {path} cannot be read ({reason}): check the path, and that user {os.geteuid()} may read it"
        raise TrustError(text) from None
    if len(content) > _LARGEST_BYTES:
        raise TrustError(f"{flag} {path} is larger than 1 MiB, which no such file is: check the path")
    return content, mode


def _certificates(content: bytes, where: str) -> tuple[x509.Certificate, ...]:
    try:
        return tuple(x509.load_pem_x509_certificates(content))
    except ValueError:
        text = f"{where} holds no certificate in PEM (-----BEGIN CERTIFICATE-----): check the path and the form"
        raise TrustError(text) from None


def _key(content: bytes, where: str) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(content, None)
    except TypeError:
        text = f"{where} is encrypted, and a node has nobody to ask for the passphrase: store it without one, mode 600"
        raise TrustError(text) from None
    except (ValueError, UnsupportedAlgorithm):
        # What the library says of a key that it cannot read stays out: nobody has promised that it is not the key.
        raise TrustError(f"{where} holds no private key in PEM that can be read: check the path and the form") from None


def _belongs(key: PrivateKeyTypes, certificate: x509.Certificate) -> bool:
    try:
        certified = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return False
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return key.public_key().public_bytes(*form) == certified.public_bytes(*form)


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False


def _check_names(certificate: x509.Certificate, where: str, machine: int) -> None:
    wanted = f"ask your CA for one with subjectAltName URI:{NODE_URI}{machine_id_text(machine)}"
    try:
        named = machine_of(certificate)
    except Untrusted as error:
        raise TrustError(f"{where}: {error.reason}: {wanted}") from None
    if named != machine:
        text = machine_id_text(named)
        raise TrustError(f"{where} is that of machine {text}: {wanted}, or start this node with --machine-id {text}")
    try:
        usages = set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return
    missing = [text for usage, text in _USAGES.items() if usage not in usages]
    if missing:
        text = f"{where} is not made for {' and '.join(missing)}: {wanted} and both usages, serverAuth and clientAuth"
        raise TrustError(text)
