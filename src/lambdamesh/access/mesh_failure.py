"""Why a TLS handshake between nodes failed, in words for whoever reads the log."""

from __future__ import annotations

import ssl

from lambdamesh.access.mesh_errors import Untrusted

# Verification results of OpenSSL (x509_vfy.h): no CA of ours is at the end of the chain.
_UNKNOWN_AUTHORITY = frozenset((2, 7, 18, 19, 20, 21, 27, 28, 29, 30))
_WRONG_PURPOSE = 26

_PLAIN_TEXT = frozenset(
    (
        "BAD_PACKET_LENGTH",
        "BAD_RECORD_TYPE",
        "HTTP_REQUEST",
        "HTTPS_PROXY_REQUEST",
        "LENGTH_TOO_SHORT",
        "NOT_SSL_RECORD_TYPE",
        "PACKET_LENGTH_TOO_LONG",
        "RECORD_TOO_SMALL",
        "UNEXPECTED_RECORD",
        "UNKNOWN_PROTOCOL",
        "WRONG_VERSION_NUMBER",
    )
)
_OLD_TLS = frozenset(
    (
        "NO_PROTOCOLS_AVAILABLE",
        "UNSUPPORTED_PROTOCOL",
        "UNSUPPORTED_SSL_VERSION",
        "VERSION_TOO_LOW",
        "WRONG_SSL_VERSION",
    )
)
_NO_CERTIFICATE = frozenset(("PEER_DID_NOT_RETURN_A_CERTIFICATE", "NO_CERTIFICATE_RETURNED"))
_NO_OVERLAP = frozenset(
    ("NO_SHARED_CIPHER", "NO_SHARED_GROUPS", "NO_SHARED_SIGNATURE_ALGORITHMS", "NO_SUITABLE_SIGNATURE_ALGORITHM")
)


def handshake_failure(error: Exception, *, is_server: bool, remedy: str) -> str:
    """Say in one sentence why there is no link, and what to do.

    ``error`` is what the handshake raised, or the first read after it: under TLS 1.3 a client that is refused has
    its own handshake behind it, and learns of the refusal there. ``is_server`` says that the other side dialled.
    ``remedy`` is what makes two nodes trust each other, such as "give both nodes the same --mesh-secret-file".
    """
    if isinstance(error, Untrusted):
        return error.reason
    if isinstance(error, ssl.SSLCertVerificationError):
        return _refused_by_us(error, remedy)
    if isinstance(error, ssl.SSLError) and not isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return _of_openssl(error, is_server, remedy)
    if _is_timeout(error):
        return (
            "it did not finish the TLS handshake in time: it is overloaded, or no node's mesh door"
            if not is_server
            else "it did not finish the TLS handshake in time: it is overloaded, or no node"
        )
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there: check the address, and that the node there runs with --mesh"
    if isinstance(error, (ssl.SSLError, ConnectionError, EOFError)):
        return _hung_up(is_server, remedy)
    if isinstance(error, OSError):
        return f"the connection failed ({error.strerror or type(error).__name__}): check the address and the network"
    return f"the TLS handshake failed ({type(error).__name__})"


def _refused_by_us(error: ssl.SSLCertVerificationError, remedy: str) -> str:
    verify_code = getattr(error, "verify_code", None)
    if verify_code in _UNKNOWN_AUTHORITY:
        return f"its certificate is of another mesh or of a foreign CA, which this node does not trust: {remedy}"
    if verify_code == _WRONG_PURPOSE:
        return "its certificate may not be used for this: it needs both usages, serverAuth and clientAuth"
    return f"its certificate was refused ({getattr(error, 'verify_message', None) or 'not verified'}): {remedy}"


def _of_openssl(error: ssl.SSLError, is_server: bool, remedy: str) -> str:
    reason = _reason(error)
    _, is_alert, alert = reason.partition("ALERT_")
    if is_alert:
        return _refused_by_them(alert, remedy)
    if reason in _NO_CERTIFICATE:
        return f"it showed no certificate, so it is no node of this mesh: {remedy}"
    if reason in _PLAIN_TEXT:
        spoken = "HTTP" if reason.startswith("HTTP") else "something that is not TLS"
        if is_server:
            return f"it spoke {spoken} at the mesh door, which is for nodes only: use the local door"
        return "what answers there does not speak TLS: dial the mesh door of a node (port 7631 by default)"
    if reason in _OLD_TLS:
        return "it does not speak TLS 1.3, which nodes need: is it a node, or is a proxy between?"
    if reason in _NO_OVERLAP:
        return "the two sides have no TLS algorithm in common: use the same version of OpenSSL on both"
    return f"the TLS handshake failed ({reason or type(error).__name__}): {remedy}"


def _refused_by_them(alert: str, remedy: str) -> str:
    if alert == "CERTIFICATE_EXPIRED":
        return "it says that the certificate of this node has expired: renew it, or set the clocks right"
    if alert == "CERTIFICATE_REQUIRED":
        return f"it got no certificate from this node: {remedy}"
    if alert == "UNKNOWN_CA":
        return f"it does not trust the certificate of this node, which is of another mesh to it: {remedy}"
    if "CERTIFICATE" in alert or alert in ("ACCESS_DENIED", "DECRYPT_ERROR"):
        return f"it refused the certificate of this node ({_words(alert)}): {remedy}"
    if alert in ("PROTOCOL_VERSION", "INSUFFICIENT_SECURITY"):
        return "it does not speak TLS 1.3, which nodes need: is it a node, or is a proxy between?"
    return f"it ended the TLS handshake ({_words(alert)}): its log may say why"


def _hung_up(is_server: bool, remedy: str) -> str:
    if is_server:
        return f"it hung up during the handshake, as a node does that does not trust this one, or a port scan: {remedy}"
    return f"it hung up, as a node does that does not trust this one; its log says why: {remedy}"


def _is_timeout(error: Exception) -> bool:
    # Event loops abort a handshake that takes too long, with an error that has a text and no number.
    return isinstance(error, TimeoutError) or (isinstance(error, ConnectionAbortedError) and error.errno is None)


def _reason(error: ssl.SSLError) -> str:
    # One that an event loop raises, and not OpenSSL, has no such attribute.
    return getattr(error, "reason", None) or ""


def _words(alert: str) -> str:
    return alert.lower().replace("_", " ")
