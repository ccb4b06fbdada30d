"""The body of a call as a command is given it: JSON, from its argument or from stdin."""

from __future__ import annotations

import json
import sys
from typing import Annotated

from cyclopts import Parameter

from lambdamesh.cli.failure import USAGE, Failure
from lambdamesh.cli.output import printable

LambdaId = Annotated[str, Parameter(name="ID", help="Id of the lambda, 16 characters.", allow_leading_hyphen=True)]
Body = Annotated[
    str, Parameter(name="JSON", help="Body of the call as JSON; - reads it from stdin.", allow_leading_hyphen=True)
]


def read_body(text: str) -> bytes:
    """The body of the call, unchanged. Raises: Failure (usage) where it is not JSON, with what may have been meant."""
    if text == "-":
        return sys.stdin.buffer.read()
    try:
        json.loads(text, parse_constant=refuse, parse_int=str, parse_float=str)
    except RecursionError:
        pass  # the node tells how deep is too deep
    except ValueError as error:
        reason = f"the body is not JSON: {error}"
        if text[:1] not in ("{", "[", '"'):
            meant = json.dumps(text, ensure_ascii=False)
            reason = f"the body {text!r} is not JSON; for the text write it as '{printable(meant)}', quotes and all"
        raise Failure(reason, USAGE) from error
    return text.encode("utf-8", "surrogateescape")


def refuse(constant: str) -> float:
    """Raise: ValueError. NaN and Infinity are taken by Python for JSON, and by nobody else."""
    raise ValueError(f"{constant} is not JSON")
