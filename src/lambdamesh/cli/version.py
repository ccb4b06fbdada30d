"""``lambdamesh version``: which version runs here, and which one the node runs."""

from __future__ import annotations

import msgspec

import lambdamesh
from lambdamesh.cli.failure import Failure
from lambdamesh.cli.local_door import DEFAULT_URL, LocalDoor, Url
from lambdamesh.cli.output import AsJson, for_people, printable, write_json


def version(*, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Print the version of this command line and that of the node."""
    people = for_people(as_json)
    if people:
        print(f"client {lambdamesh.__version__}", flush=True)
    node, failure = None, None
    try:
        node = LocalDoor(url).get("/version").value
    except Failure as error:
        failure = error
    if not people:
        write_json(msgspec.json.encode({"client": lambdamesh.__version__, "node": node}))
    elif node is not None:
        print(f"node   {printable(str(node))}")
    if failure is not None:
        raise failure
