"""What is wrong with NATS, in a sentence that says what to do. No credentials are in any of them."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterable

from nats.errors import AuthorizationError, Error, SecureConnWantedError
from nats.js.errors import APIError, NoStreamResponseError, ServiceUnavailableError

from lambdamesh.directory.nats_access import NatsServer
from lambdamesh.directory.nats_connection import Unwell

_NO_JETSTREAM = (10039, 10076)
_NO_REPLICAS = (10005, 10023, 10052, 10074)
_NO_ROOM = (10002, 10023, 10026, 10028, 10047, 10077)
_OUR_SUBJECTS = "$JS.API.>, $KV.lambdamesh.> and _INBOX.>"


def explain(error: Exception, told: Iterable[Exception], server: NatsServer) -> str:
    """Say why ``error`` came; ``told`` is what the library was told before it, latest last."""
    if isinstance(error, Unwell):
        return str(error)
    causes = [error, *reversed(list(told))]
    for look in (_refusal, _permission, _tls, _jetstream, _reach, _end):
        for cause in causes:
            reason = look(cause)
            if reason is not None:
                return f"NATS at {server} {reason}"
    return f"NATS at {server} did not do as it was asked ({type(error).__name__}): look into its log"


def _refusal(error: Exception) -> str | None:
    text = str(error).lower()
    is_refusal = isinstance(error, AuthorizationError) or (
        isinstance(error, Error) and ("authorization violation" in text or "authentication" in text)
    )
    if not is_refusal:
        return None
    if "expired" in text:
        return "says that the credentials have expired: give it new ones with --nats-creds"
    return (
        "refused who we say we are: check the user and password or the token in --nats, "
        "or the file of --nats-creds or --nats-nkey"
    )


def _permission(error: Exception) -> str | None:
    text = str(error).lower()
    if not isinstance(error, Error) or "permissions violation" not in text or "$js.event.advisory" in text:
        return None
    return f"does not let this user use the bucket: allow it to publish and subscribe to {_OUR_SUBJECTS}"


def _tls(error: Exception) -> str | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"shows a certificate that is not trusted ({error.verify_message}): name the CA that signed it with "
            "--nats-tls-ca, and the server as the certificate does"
        )
    if isinstance(error, SecureConnWantedError):
        return "speaks no TLS: let the server, or write nats:// and leave out --nats-tls-*"
    if isinstance(error, ssl.SSLError):
        if "CERTIFICATE_REQUIRED" in (error.reason or "") or "UNKNOWN_CA" in (error.reason or ""):
            return "wants another client certificate: name one that it trusts with --nats-tls-cert and --nats-tls-key"
        return f"does not come to terms about TLS ({error.reason or 'it ended the handshake'}): check --nats-tls-*"
    return None


def _jetstream(error: Exception) -> str | None:
    code = error.err_code if isinstance(error, APIError) else None
    if code in _NO_JETSTREAM or (isinstance(error, ServiceUnavailableError) and code is None):
        return "has no JetStream for us: start it with -js, or enable jetstream for this account"
    if code in _NO_REPLICAS:
        return "cannot place the bucket lambdamesh: are enough servers of its cluster running, with JetStream?"
    if code in _NO_ROOM:
        return "has no room for the bucket lambdamesh: raise the JetStream limits of this account"
    if isinstance(error, (NoStreamResponseError, ServiceUnavailableError)):
        return "has no leader for the bucket lambdamesh: are enough servers of its cluster running?"
    if isinstance(error, APIError):
        return f"refused a request of JetStream (code {code}): look into its log"
    return None


def _reach(error: Exception) -> str | None:
    if isinstance(error, socket.gaierror):
        return f"cannot be looked up ({error.strerror}): check the name in --nats"
    if isinstance(error, TimeoutError):
        return "does not answer: is it overloaded, or does something between drop what is sent to it?"
    if isinstance(error, OSError) and error.errno:
        return f"cannot be reached ({os.strerror(error.errno)}): is it running, and is --nats right?"
    return None


def _end(error: Exception) -> str | None:
    if isinstance(error, (Error, OSError)):
        return "ended the connection: is it being restarted, and does --nats name its client port?"
    return None
