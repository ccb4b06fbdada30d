"""NATS, where nodes find each other: whether each server lets this node in, and has what it needs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import datetime

import msgspec
from nats.js.errors import NotFoundError

from lambdamesh.cli.checks.clock import FIX as CLOCK_FIX
from lambdamesh.cli.checks.finding import Finding, State, told
from lambdamesh.cli.checks.surroundings import LOOK_S, Surroundings
from lambdamesh.core.peering import NodeRecord
from lambdamesh.directory.nats_access import NatsAccess, NatsServer, check_nats_urls
from lambdamesh.directory.nats_bucket import NAME, STREAM, Bucket
from lambdamesh.directory.nats_connection import Connection, connected, remembered_errors
from lambdamesh.directory.nats_trouble import explain
from lambdamesh.ids import machine_id_text

CHECK = "NATS"
APART_S = 5.0
"""Clocks that are further apart than this are worth a word."""


async def nats_servers(around: Surroundings) -> list[Finding]:
    """Each server of ``--nats``. One that fails beside one that does not is a warning: a node takes the other."""
    access = around.settings.nats_access
    if access is None:
        return []
    looks = await asyncio.gather(*(_look(server, access, around) for server in _servers(access.urls)))
    has_one = any(finding.state is not State.WRONG for findings in looks for finding in findings)
    return [_softened(finding) if has_one else finding for findings in looks for finding in findings]


def _softened(finding: Finding) -> Finding:
    is_wrong = finding.check == CHECK and finding.state is State.WRONG
    return msgspec.structs.replace(finding, state=State.WARNING) if is_wrong else finding


def _servers(urls: str) -> Iterator[NatsServer]:
    given = check_nats_urls(urls)
    known = next((server for server in given if server.user or server.token), None)
    for server in given:
        # The credentials of one URL hold for those that have none, as they do for a node.
        has_own = server.user is not None or server.token is not None
        yield server if has_own or known is None else server.known_as(known)


async def _look(server: NatsServer, access: NatsAccess, around: Surroundings) -> list[Finding]:
    errors = remembered_errors()
    try:
        async with asyncio.timeout(LOOK_S), connected(server, access, LOOK_S, lambda: None, errors) as connection:
            return await _findings(server, connection, around)
    except Exception as error:
        return [told(CHECK, explain(error, errors, server))]


async def _findings(server: NatsServer, connection: Connection, around: Surroundings) -> list[Finding]:
    bucket = Bucket(connection, LOOK_S)
    # Raises where there is no JetStream, or this user may not use it.
    await bucket.jetstream.account_info()
    apart_s = await _clocks_apart_s(connection, around)
    try:
        await bucket.jetstream.stream_info(STREAM)
    except NotFoundError:
        what = f"{server} lets this node in; the bucket {NAME} is not there yet: the first node makes it"
        return [Finding(CHECK, State.OK, what)]
    findings = [Finding(CHECK, State.OK, f"{server} lets this node in, and has the bucket {NAME}")]
    machine = around.machine()
    if machine is not None:
        findings += _twin((await bucket.read(machine)).record, around)
    if apart_s is not None and abs(apart_s) > APART_S:
        what = f"that of NATS at {server} is {abs(apart_s):,.0f} s {'ahead of' if apart_s > 0 else 'behind'} this one"
        findings.append(Finding("clock", State.WARNING, what, f"{CLOCK_FIX}  # on both machines"))
    return findings


def _twin(record: NodeRecord | None, around: Surroundings) -> Iterator[Finding]:
    """A node that has this one's machine id although none runs with its state directory."""
    holder = around.holder()
    if record is None or (holder is not None and holder.is_running):
        return
    text = machine_id_text(record.machine)
    what = (
        f"{record.host or 'a node'} at {record.address or 'an address that nobody told'} has machine id {text}, that "
        "of this state directory, or had it until lately: if it is another machine, one of the two has a copy"
    )
    fix = "lambdamesh peers  # where the other one runs; if it lives, start this one with a --state of its own"
    yield Finding(CHECK, State.WARNING, what, fix)


async def _clocks_apart_s(connection: Connection, around: Surroundings) -> float | None:
    """How far the server's clock is ahead of this one, to half of the exchange; ``None`` where it tells no time."""
    asked_s = around.unix_s()
    began_at = time.monotonic()
    answer = await connection.client.request(f"$JS.API.STREAM.INFO.{STREAM}", b"", timeout=LOOK_S)
    passed_s = time.monotonic() - began_at
    try:
        told_at = datetime.fromisoformat(str(msgspec.json.decode(answer.data)["ts"]))
    except (msgspec.MsgspecError, KeyError, ValueError, TypeError):
        return None
    return told_at.timestamp() - asked_s - passed_s / 2
