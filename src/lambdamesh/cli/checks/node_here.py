"""The node that runs here, if one does: what it says of itself."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import lambdamesh
from lambdamesh.cli.checks.finding import Finding, State
from lambdamesh.cli.checks.surroundings import LOOK_S, Surroundings
from lambdamesh.cli.failure import Failure
from lambdamesh.cli.local_door import Answer, LocalDoor, error_text
from lambdamesh.cli.output import age_text, printable

CHECK = "node"
_STARTED = re.compile(rb"^process_start_time_seconds (\S+)$", re.MULTILINE)


def node_here(around: Surroundings) -> Iterator[Finding]:
    """Whether one answers at the local door, which version it is, and whether it is ready."""
    url, holder = around.url, around.holder()
    if url is None:
        yield Finding(CHECK, State.OK, "its port is another one at each start: name it with --url to have it asked")
        return
    try:
        door = LocalDoor(url, around.token or "")
        version = door.request("GET", "/version", timeout_s=LOOK_S)
    except Failure as failure:
        what = failure.message.partition(": start one")[0]
        if holder is not None and holder.is_running:
            fix = f"lambdamesh doctor --url URL of {holder.text}, or see its log"
            yield Finding(CHECK, State.WRONG, f"{what}, though {holder.text} runs", fix)
        else:
            yield Finding(CHECK, State.WARNING, what, "lambdamesh serve  # or name another with --url")
        return
    if "X-Ray" not in version.headers:
        yield _stranger(url)
        return
    if version.status != 200:
        yield _refusal(url, version)
        return
    yield _version(url, version, door)
    yield from _readiness(door)


def _stranger(url: str) -> Finding:
    what = f"what answers at {url} is no lambdamesh node"
    return Finding(CHECK, State.WRONG, what, "lambdamesh serve --local HOST:PORT")


def _refusal(url: str, answer: Answer) -> Finding:
    what = f"the node at {url} refuses: {error_text(answer).splitlines()[0]}"
    fix = 'LAMBDAMESH_TOKEN="$(cat TOKEN_FILE)" lambdamesh doctor' if answer.status == 401 else None
    return Finding(CHECK, State.WRONG, what, fix)


def _version(url: str, answer: Answer, door: LocalDoor) -> Finding:
    try:
        version = printable(str(json.loads(answer.body)))
    except ValueError:
        version = ""
    if not version:
        return _stranger(url)
    text = f"{url}: version {version}{_uptime(door)}"
    if version == lambdamesh.__version__:
        return Finding(CHECK, State.OK, text)
    what = f"{text}, and this command line is {lambdamesh.__version__}"
    return Finding(CHECK, State.WARNING, what, "sudo systemctl restart lambdamesh")


def _uptime(door: LocalDoor) -> str:
    try:
        found = _STARTED.search(door.request("GET", "/metrics", timeout_s=LOOK_S).body)
    except Failure:
        return ""
    return "" if found is None else f", up {age_text(time.time() - float(found[1]))}"


def _readiness(door: LocalDoor) -> Iterator[Finding]:
    try:
        answer = door.request("GET", "/readyz", timeout_s=LOOK_S)
        told = json.loads(answer.body)
    except (Failure, ValueError):
        yield Finding(CHECK, State.WARNING, "it does not say whether it is ready", "curl URL/readyz, and see its log")
        return
    if answer.status != 200:
        why = printable(str(told.get("error", "")))
        yield Finding(
            CHECK, State.WARNING, f"it takes no new lambdas and calls: {why}", "sudo systemctl start lambdamesh"
        )
    elif told.get("status") != "ready":
        what, _, fix = printable(str(told.get("why", ""))).rpartition(": ")
        yield Finding(CHECK, State.WARNING, f"it does not see the whole mesh: {what or fix}", fix if what else None)
