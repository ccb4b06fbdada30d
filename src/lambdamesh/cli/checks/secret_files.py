"""The files that prove who this node is, and who may use it: certificates, keys, secrets, tokens."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from lambdamesh.access.mesh_names import date_text
from lambdamesh.access.mesh_trust import MeshTrust, TrustError
from lambdamesh.cli.checks.finding import Finding, State, told
from lambdamesh.cli.checks.surroundings import Surroundings
from lambdamesh.ids import machine_id_text

TRUST = "mesh trust"
FILES = "secret files"
ENDING = timedelta(days=30)
_SECRET = ("local_token_file", "mesh_secret_file", "mesh_key", "nats_creds", "nats_nkey", "nats_tls_key")
_TOLD_BY_TRUST = ("mesh_secret_file", "mesh_key")
_ANY_MACHINE = 1
"""Stands for a machine that has no id yet, where its certificate is made of the mesh secret."""


def trust_of(around: Surroundings) -> MeshTrust:
    """What this node would show to others, and whom it would believe. Raises: TrustError."""
    settings = around.settings
    return MeshTrust(
        machine=around.machine() or _ANY_MACHINE,
        secret_file=settings.mesh_secret_file,
        ca_file=settings.mesh_ca,
        cert_file=settings.mesh_cert,
        key_file=settings.mesh_key,
        clock=around.unix_s,
    )


def mesh_trust(around: Surroundings) -> Iterator[Finding]:
    """Whether secret or certificates can be used by this machine, now, and for how long."""
    if not around.settings.joins:
        return
    try:
        trust = trust_of(around)
    except TrustError as error:
        found = told(TRUST, str(error))
        if around.settings.mesh_secret_file and not Path(around.settings.mesh_secret_file).exists():
            quoted = shlex.quote(around.settings.mesh_secret_file)
            made = f"(umask 077; lambdamesh secret > {quoted})  # or a copy of that of the mesh"
            found = Finding(TRUST, State.WRONG, found.what, made)
        yield found
        return
    machine = around.machine()
    whose = "a new machine" if machine is None else f"machine {machine_id_text(machine)}"
    yield Finding(TRUST, State.OK, f"{whose}; trusted: {', '.join(trust.authorities)}")
    if around.settings.mesh_cert is not None:
        yield from _ending(Path(around.settings.mesh_cert), around)


def _ending(path: Path, around: Surroundings) -> Iterator[Finding]:
    chain = x509.load_pem_x509_certificates(path.read_bytes())
    ends = min(certificate.not_valid_after_utc for certificate in chain)
    if ends - datetime.fromtimestamp(around.unix_s(), UTC) < ENDING:
        what = f"the certificate in {path} ends on {date_text(ends)}"
        fix = f"renew it, then kill -HUP $(cat {shlex.quote(str(around.state / 'lock'))})"
        yield Finding(TRUST, State.WARNING, what, fix)


def secret_files(around: Surroundings) -> Iterator[Finding]:
    """Whether this user can read each, and nobody else."""
    named = {key: path for key in _SECRET if (path := getattr(around.settings, key))}
    found = [finding for key, path in named.items() for finding in _file(key, path)]
    yield from found
    readable = [key for key, path in named.items() if os.access(path, os.R_OK)]
    if readable and not found:
        flags = ", ".join(f"--{key.replace('_', '-')}" for key in readable)
        yield Finding(FILES, State.OK, f"nobody but this user can read those of {flags}")


def _file(key: str, path: str) -> Iterator[Finding]:
    flag, quoted = "--" + key.replace("_", "-"), shlex.quote(path)
    try:
        with Path(path).open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            is_empty = not file.read(1024).strip()
    except OSError as error:
        if key in _TOLD_BY_TRUST:
            return
        fix = f"ls -l {quoted}" if not isinstance(error, FileNotFoundError) else f"lambdamesh serve {flag} FILE"
        yield Finding(FILES, State.WRONG, f"{flag} {path} cannot be read ({error.strerror})", fix)
        return
    if is_empty and key not in _TOLD_BY_TRUST:
        fix = (
            f"(umask 077; openssl rand -hex 32 > {quoted})"
            if key == "local_token_file"
            else f"lambdamesh serve {flag} FILE"
        )
        yield Finding(FILES, State.WRONG, f"{flag} {path} is empty", fix)
    if stat.S_ISREG(mode) and mode & 0o077:
        what = f"{flag} {path} can be read by others (mode {stat.S_IMODE(mode):03o})"
        yield Finding(FILES, State.WARNING, what, f"chmod 600 {quoted}")
