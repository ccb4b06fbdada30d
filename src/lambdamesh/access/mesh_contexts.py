"""TLS as nodes speak it: 1.3 only, a certificate from both sides, no resumption."""

from __future__ import annotations

import contextlib
import os
import ssl
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from lambdamesh.access.mesh_ca import Credentials

PROTOCOL_NAME = "lambdamesh-link"
"""What links are called in ALPN. It is said for whoever passes connections on by it; nothing is decided by it."""

# X509_V_FLAG_NO_CHECK_TIME, which Python has no name for.
_NO_CHECK_TIME = ssl.VerifyFlags(0x200000)
_ROUNDS = 10


def new_context(*, is_server: bool) -> ssl.SSLContext:
    """Return a context that trusts nobody yet and has nothing to show.

    OpenSSL does not check times with it: it would refuse without the date. ``identity`` checks them, and has to be
    asked before anything that the other side says is believed.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if is_server else ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # An organisation may have nodes trust a CA of theirs that another CA has signed.
    context.verify_flags |= _NO_CHECK_TIME | ssl.VERIFY_X509_PARTIAL_CHAIN
    # Without tickets there is no resumption: every connection shows its certificate, and a reload holds for all.
    context.options |= ssl.OP_NO_TICKET
    if is_server:
        context.num_tickets = 0
    context.set_alpn_protocols([PROTOCOL_NAME])
    return context


def arm(context: ssl.SSLContext, authorities: Sequence[x509.Certificate], own: Credentials) -> ssl.SSLContext:
    """Have a context trust ``authorities`` and show ``own``; return it.

    Raises:
        ssl.SSLError: OpenSSL does not take them.
    """
    context.load_verify_locations(cadata=b"".join(ca.public_bytes(Encoding.DER) for ca in authorities))
    chain = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in own.chain)
    key = own.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with _path_of(key + chain) as path:
        context.load_cert_chain(path)
    return context


def meet(server_context: ssl.SSLContext, client_context: ssl.SSLContext) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Have two contexts shake hands in memory; return the server's end and the client's.

    Raises:
        ssl.SSLError: one refuses the other.
    """
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    client = client_context.wrap_bio(to_client, to_server, server_side=False)
    waiting = {client, server}
    for _ in range(_ROUNDS):
        for end in (client, server):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
                waiting.discard(end)
        if not waiting:
            return server, client
    raise ssl.SSLError("the handshake did not come to an end")


@contextlib.contextmanager
def _path_of(content: bytes) -> Iterator[str]:
    """Give a secret text a path, since OpenSSL reads keys from files only; the text is gone with the ``with``."""
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        fd = os.memfd_create("lambdamesh", os.MFD_CLOEXEC)
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            yield f"/proc/self/fd/{fd}"
        return
    # Where memory has no paths: a file that nobody else can open, for as long as OpenSSL takes to read it.
    with tempfile.TemporaryDirectory(prefix="lambdamesh-") as directory:
        path = Path(directory, "own.pem")
        path.touch(0o600)
        path.write_bytes(content)
        yield str(path)
