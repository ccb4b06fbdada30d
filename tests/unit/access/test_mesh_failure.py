"""Failed handshakes in words, for those that a real handshake cannot be made to fail with at will."""

from __future__ import annotations

import errno
import ssl

import pytest

from lambdamesh.access.mesh_errors import Untrusted
from lambdamesh.access.mesh_failure import handshake_failure

REMEDY = "give both nodes the same --mesh-secret-file"


def openssl(reason: str | None) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}]")
    error.reason = reason  # type: ignore[assignment]
    return error


def refused(code: int, message: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, message
    return error


def both(error: Exception) -> tuple[str, str]:
    return (
        handshake_failure(error, is_server=True, remedy=REMEDY),
        handshake_failure(error, is_server=False, remedy=REMEDY),
    )


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (openssl("TLSV1_ALERT_UNKNOWN_CA"), "does not trust the certificate of this node"),
        (openssl("SSLV3_ALERT_BAD_CERTIFICATE"), "refused the certificate of this node (bad certificate)"),
        (openssl("SSL/TLS_ALERT_CERTIFICATE_UNKNOWN"), "refused the certificate of this node (certificate unknown)"),
        (openssl("SSLV3_ALERT_CERTIFICATE_REVOKED"), "(certificate revoked)"),
        (openssl("SSLV3_ALERT_UNSUPPORTED_CERTIFICATE"), "(unsupported certificate)"),
        (openssl("TLSV1_ALERT_ACCESS_DENIED"), "(access denied)"),
        (openssl("TLSV13_ALERT_CERTIFICATE_REQUIRED"), "got no certificate from this node"),
        (refused(20, "unable to get local issuer certificate"), "another mesh or of a foreign CA"),
        (refused(18, "self-signed certificate"), "another mesh or of a foreign CA"),
        (refused(7, "certificate signature failure"), "another mesh or of a foreign CA"),
        (refused(25, "path length constraint exceeded"), "refused (path length constraint exceeded)"),
        (ssl.SSLCertVerificationError("made by hand"), "refused (not verified)"),
        (openssl("PEER_DID_NOT_RETURN_A_CERTIFICATE"), "showed no certificate"),
        (openssl("SOMETHING_NEW"), "failed (SOMETHING_NEW)"),
        (openssl(None), "failed (SSLError)"),
        (ssl.SSLError("made by hand"), "failed (SSLError)"),
        (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), "it hung up"),
        (ssl.SSLZeroReturnError(6, "TLS/SSL connection has been closed (EOF)"), "it hung up"),
        (EOFError(), "it hung up"),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), "it hung up"),
        (ConnectionAbortedError(errno.ECONNABORTED, "Software caused connection abort"), "it hung up"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "it hung up"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_trust_can_mend_names_the_remedy(error: Exception, says: str) -> None:
    for text in both(error):
        assert says in text
        assert text.endswith(REMEDY)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (openssl("SSLV3_ALERT_CERTIFICATE_EXPIRED"), "the certificate of this node has expired: renew it"),
        (openssl("TLSV1_ALERT_PROTOCOL_VERSION"), "does not speak TLS 1.3"),
        (openssl("UNSUPPORTED_PROTOCOL"), "does not speak TLS 1.3"),
        (openssl("SSLV3_ALERT_HANDSHAKE_FAILURE"), "ended the TLS handshake (handshake failure): its log may say why"),
        (openssl("NO_SHARED_CIPHER"), "no TLS algorithm in common"),
        (refused(26, "unsuitable certificate purpose"), "needs both usages, serverAuth and clientAuth"),
        (TimeoutError(), "did not finish the TLS handshake in time"),
        (ConnectionAbortedError("SSL handshake is taking longer than 5 seconds"), "did not finish the TLS handshake"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "No route to host"),
        (Untrusted("its certificate names no machine"), "its certificate names no machine"),
        (ValueError("nobody knows"), "failed (ValueError)"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_it_cannot_mend_names_another(error: Exception, says: str) -> None:
    for text in both(error):
        assert says in text
        assert REMEDY not in text


@pytest.mark.parametrize(
    ("reason", "spoken"),
    [
        ("HTTP_REQUEST", "HTTP"),
        ("HTTPS_PROXY_REQUEST", "HTTP"),
        ("WRONG_VERSION_NUMBER", "something that is not TLS"),
        ("PACKET_LENGTH_TOO_LONG", "something that is not TLS"),
    ],
)
def test_plain_text_is_told_apart_from_both_sides(reason: str, spoken: str) -> None:
    as_server, as_client = both(openssl(reason))
    assert f"it spoke {spoken} at the mesh door" in as_server
    assert "does not speak TLS: dial the mesh door of a node (port 7631" in as_client


def test_nobody_there_is_not_a_matter_of_trust() -> None:
    text = handshake_failure(ConnectionRefusedError(errno.ECONNREFUSED, "refused"), is_server=False, remedy=REMEDY)
    assert "nobody listens there" in text and REMEDY not in text
