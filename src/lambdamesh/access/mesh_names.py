"""What certificates say: which machine, and from when until when."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509

from lambdamesh.access.mesh_ca import NODE_URI
from lambdamesh.access.mesh_errors import Untrusted
from lambdamesh.ids import parse_machine_id

_SHOWN_CHARS = 80


def machine_of(certificate: x509.Certificate) -> int:
    """Return the machine id that a certificate names.

    Raises:
        Untrusted: it names none or several, or cannot be read.
    """
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except x509.ExtensionNotFound:
        uris = []
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise Untrusted(f"its certificate cannot be read ({error})") from None
    # Whatever looks like one counts, so that no second spelling passes beside the first.
    ours = [uri for uri in uris if uri.lower().startswith(NODE_URI)]
    wanted = f"a node's has exactly one subjectAltName URI:{NODE_URI}<machine id of 8 hex digits>"
    if len(ours) != 1:
        raise Untrusted(f"its certificate names {len(ours) or 'no'} machine{'s' if ours else ''}; {wanted}")
    try:
        if not ours[0].startswith(NODE_URI):
            raise ValueError(ours[0])
        return parse_machine_id(ours[0].removeprefix(NODE_URI))
    except ValueError:
        raise Untrusted(f"its certificate names {ours[0][:_SHOWN_CHARS]!r}; {wanted}") from None


def untimely(certificate: x509.Certificate, now: datetime) -> str | None:
    """Say how ``now`` lies outside of a certificate's validity, with the date; ``None`` where it lies within."""
    if now > certificate.not_valid_after_utc:
        return f"expired on {date_text(certificate.not_valid_after_utc)}"
    if now < certificate.not_valid_before_utc:
        return f"is not valid before {date_text(certificate.not_valid_before_utc)}"
    return None


def date_text(when: datetime) -> str:
    """Write a time in UTC, such as ``2026-03-01T12:00:00Z``."""
    return f"{when:%Y-%m-%dT%H:%M:%SZ}"


def subject_text(certificate: x509.Certificate) -> str:
    """Write a certificate's subject, printable and not long."""
    text = certificate.subject.rfc4514_string()
    return (text if text.isprintable() else repr(text))[:_SHOWN_CHARS]
