"""Who is at the other end of a TLS connection between nodes."""

from __future__ import annotations

import _ssl
import ssl
from datetime import datetime

from cryptography import x509

from lambdamesh.access.mesh_errors import Untrusted
from lambdamesh.access.mesh_names import machine_of, subject_text, untimely


def peer_machine(ssl_object: ssl.SSLObject | ssl.SSLSocket, now: datetime) -> int:
    """Return the machine id that the other side's certificate names.

    Signatures, usages and that the chain ends at a CA of ours OpenSSL has checked in the handshake, or there would be
    no connection: so the context has to be one that insists (``CERT_REQUIRED``), which is checked here. Times are
    checked here, of the whole chain that it found: the node's certificate, those between, and the CA. Revocation is
    checked nowhere: a CA that is no longer trusted is taken out of the file.

    Raises:
        Untrusted: no certificate, no verified chain, not valid at ``now``, or not exactly one machine named.
    """
    shown = ssl_object.getpeercert(binary_form=True)
    if not shown:
        raise Untrusted("it showed no certificate: only nodes of this mesh may speak here")
    try:
        chain = [x509.load_der_x509_certificate(der) for der in _verified_chain(ssl_object)]
        leaf = x509.load_der_x509_certificate(shown)
    except ValueError as error:
        raise Untrusted(f"its certificate cannot be read ({error})") from None
    # A chain alone proves nothing: a context that does not insist has one of what failed, too.
    if ssl_object.context.verify_mode is not ssl.CERT_REQUIRED or not chain or chain[0] != leaf:
        raise Untrusted("its certificate was not verified: only nodes of this mesh may speak here")
    reason = untimely(leaf, now)
    if reason is not None:
        raise Untrusted(f"its certificate {reason}: renew it there, or set the clocks right")
    for authority in chain[1:]:
        reason = untimely(authority, now)
        if reason is not None:
            raise Untrusted(f"the CA certificate {subject_text(authority)} behind its own {reason}: renew that CA")
    return machine_of(leaf)


def _verified_chain(ssl_object: ssl.SSLObject | ssl.SSLSocket) -> list[bytes]:
    """The chain as OpenSSL verified it, from the other side's certificate to a CA of ours, each in DER.

    Public since Python 3.13; before, the same method of the object underneath. Where neither is, there is no chain,
    and nobody is trusted.
    """
    public = getattr(ssl_object, "get_verified_chain", None)
    if public is not None:
        return list(public() or ())
    beneath = getattr(getattr(ssl_object, "_sslobj", None), "get_verified_chain", None)
    certificates = beneath() if beneath is not None else None
    return [certificate.public_bytes(_ssl.ENCODING_DER) for certificate in certificates or ()]
