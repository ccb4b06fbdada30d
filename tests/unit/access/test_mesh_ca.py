"""The CA of a secret, and the certificates of nodes, as any other implementation would make and read them."""

from __future__ import annotations

import hashlib
import hmac
import ssl
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from lambdamesh.access.mesh_ca import MeshCa
from lambdamesh.access.mesh_contexts import arm, meet, new_context

SECRET = bytes(range(32))
MACHINE = 0x46301AAE
DER = Encoding.DER


def derived_public_key() -> Ed25519PublicKey:
    """RFC 5869 by hand: extract without salt, expand to one block."""
    extracted = hmac.digest(bytes(32), SECRET, "sha256")
    expanded = hmac.digest(extracted, b"lambdamesh mesh ca v1\x01", "sha256")
    return Ed25519PrivateKey.from_private_bytes(expanded).public_key()


def test_the_key_of_the_ca_is_derived_as_the_contract_says() -> None:
    certificate = MeshCa(SECRET).certificate
    assert certificate.public_key() == derived_public_key()
    name = hashlib.sha256(derived_public_key().public_bytes_raw()).hexdigest()[:16]
    assert certificate.subject.rfc4514_string() == certificate.issuer.rfc4514_string() == f"CN=lambdamesh {name}"


def test_each_node_makes_the_same_ca() -> None:
    assert MeshCa(SECRET).certificate.public_bytes(DER) == MeshCa(SECRET).certificate.public_bytes(DER)
    assert MeshCa(SECRET).certificate.subject != MeshCa(bytes(32)).certificate.subject


def test_the_ca_signs_nodes_and_no_further_ca() -> None:
    certificate = MeshCa(SECRET).certificate
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical and constraints.value.ca and constraints.value.path_length == 0
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.key_cert_sign and not usage.digital_signature


def test_a_node_s_certificate_names_its_machine_and_may_do_both() -> None:
    [certificate], key = MeshCa(SECRET).issue(MACHINE)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.UniformResourceIdentifier("lambdamesh:node:46301aae")]
    usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(usages) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert certificate.not_valid_before_utc == datetime(2024, 1, 1, tzinfo=UTC)
    assert certificate.not_valid_after_utc == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert certificate.public_key() == key.public_key()


def test_it_is_signed_by_the_ca() -> None:
    ca = MeshCa(SECRET)
    [certificate], _ = ca.issue(MACHINE)
    certificate.verify_directly_issued_by(ca.certificate)
    for own in (certificate, ca.certificate):
        identifier = own.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
        of_ca = ca.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        assert identifier == of_ca.key_identifier


def test_openssl_at_its_strictest_takes_the_chain() -> None:
    ca = MeshCa(SECRET)
    server = arm(new_context(is_server=True), [ca.certificate], ca.issue(MACHINE))
    client = arm(new_context(is_server=False), [ca.certificate], ca.issue(MACHINE))
    for context in (server, client):
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    at_server, at_client = meet(server, client)
    assert at_server.getpeercert(binary_form=True) and at_client.getpeercert(binary_form=True)


def test_each_certificate_has_a_key_of_its_own() -> None:
    ca = MeshCa(SECRET)
    [first], _ = ca.issue(MACHINE)
    [second], _ = ca.issue(MACHINE)
    assert first.public_key() != second.public_key()
    assert first.serial_number != second.serial_number
    assert ca.certificate.public_key() not in (first.public_key(), second.public_key())
