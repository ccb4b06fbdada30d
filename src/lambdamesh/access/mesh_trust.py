"""Trust between the nodes of a mesh: what this node shows, whom it believes, and who the other side is."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import structlog
from cryptography import x509

from lambdamesh.access.mesh_contexts import arm, meet, new_context
from lambdamesh.access.mesh_errors import TrustError, Untrusted
from lambdamesh.access.mesh_failure import handshake_failure
from lambdamesh.access.mesh_files import CA_FLAG, CERT_FLAG, SECRET_FLAG, Reader, TrustFiles
from lambdamesh.access.mesh_identity import peer_machine
from lambdamesh.access.mesh_names import date_text, subject_text, untimely

__all__ = ["MeshTrust", "TrustError", "Untrusted"]

log = structlog.get_logger(__name__)

_ENDING = timedelta(days=30)
_WARN_AGAIN_S = 86_400.0


class _Loaded(NamedTuple):
    server: ssl.SSLContext
    client: ssl.SSLContext
    chain: tuple[x509.Certificate, ...]
    authorities: tuple[str, ...]


class MeshTrust:
    """The trust of one node, from the mesh secret or from an organisation's own CA, certificate and key.

    All but ``machine`` are paths; ``clock`` tells Unix time.

    Raises:
        TrustError: the files cannot be used, or are not those that belong together.
    """

    def __init__(
        self,
        *,
        machine: int,
        secret_file: str | None = None,
        ca_file: str | None = None,
        cert_file: str | None = None,
        key_file: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._machine = machine
        self._reader = Reader(TrustFiles(secret_file, ca_file, cert_file, key_file), machine, self._now)
        self._source = f"{SECRET_FLAG} {secret_file}" if cert_file is None else f"{CERT_FLAG} {cert_file}"
        self._remedy = f"give both nodes the same {SECRET_FLAG if cert_file is None else CA_FLAG}"
        self._warned_at_s: float | None = None
        self._current = self._load()
        self._warn_if_ending()

    @property
    def authorities(self) -> tuple[str, ...]:
        """The subjects of the CAs that are trusted; two nodes of one mesh have one in common."""
        return self._current.authorities

    def server_context(self) -> ssl.SSLContext:
        """Return the context for a connection that another node opened. Ask anew for each: ``reload`` makes new ones.

        So accept without TLS and begin it then (``start_tls``, ``connect_accepted_socket``). A listener that is given
        a context keeps it, and keeps to itself why a handshake failed.
        """
        return self._current.server

    def client_context(self) -> ssl.SSLContext:
        """Return the context for a connection to another node. Ask anew for each: ``reload`` makes new ones.

        Host names are not checked: whoever dials compares ``identity`` with the machine that was meant.
        """
        return self._current.client

    def reload(self) -> None:
        """Read the files again, for the handshakes from now on; links that are up stay as they are.

        Raises:
            TrustError: they cannot be used; what was read before stays in force.
        """
        self._current = self._load()
        self._warned_at_s = None
        self._warn_if_ending()

    def identity(self, ssl_object: ssl.SSLObject | ssl.SSLSocket) -> int:
        """Return the machine id that the other side's certificate names.

        To be asked after each handshake, before anything that the other side sent is believed: times of certificates
        are checked here and nowhere else.

        Raises:
            Untrusted: it has no verified certificate that is valid now and names exactly one machine; or the
                certificate of this node is not valid now, so that the other side would refuse it.
        """
        self._warn_if_ending()
        reason = self._own_trouble()
        if reason is not None:
            raise Untrusted(reason)
        return peer_machine(ssl_object, self._now())

    def handshake_failure(self, error: Exception, *, is_server: bool) -> str:
        """Say in one sentence why a handshake failed, or the first read after it, and what to do.

        ``is_server`` says that the other side dialled. A certificate of our own that is not valid now is named first.
        """
        return self._own_trouble() or handshake_failure(error, is_server=is_server, remedy=self._remedy)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    def _load(self) -> _Loaded:
        authorities, own = self._reader.read()
        try:
            server = arm(new_context(is_server=True), authorities, own)
            client = arm(new_context(is_server=False), authorities, own)
        except ssl.SSLError as error:
            reason = getattr(error, "reason", None) or str(error)
            text = f"{self._source} is nothing that OpenSSL takes here ({reason}): use a key of a newer kind"
            raise TrustError(text) from None
        self._prove(server, client)
        return _Loaded(server, client, own.chain, tuple(subject_text(ca) for ca in authorities))

    def _prove(self, server: ssl.SSLContext, client: ssl.SSLContext) -> None:
        """Let the node meet itself: one that would refuse itself is let in by nobody who has the same CAs."""
        try:
            named = {peer_machine(end, self._now()) for end in meet(server, client)}
        except ssl.SSLError as error:
            reason = handshake_failure(error, is_server=True, remedy=f"add the CA that signed it to {CA_FLAG}")
        except Untrusted as error:
            reason = error.reason
        else:
            assert named == {self._machine}
            return
        raise TrustError(f"{self._source}: nodes with the same CAs would refuse this one: {reason}")

    def _own_trouble(self) -> str | None:
        for certificate in self._current.chain:
            reason = untimely(certificate, self._now())
            if reason is not None:
                return f"the certificate of this node, {self._source}, {reason}: renew it, then send SIGHUP"
        return None

    def _warn_if_ending(self) -> None:
        """Warn once a day of a certificate of our own that soon ends."""
        now_s = self._clock()
        ends = min(certificate.not_valid_after_utc for certificate in self._current.chain)
        is_warned = self._warned_at_s is not None and now_s - self._warned_at_s < _WARN_AGAIN_S
        if is_warned or ends - self._now() > _ENDING:
            return
        self._warned_at_s = now_s
        log.warning("mesh_cert_ends", source=self._source, ends=date_text(ends), fix="renew it, then send SIGHUP")
