"""lambdamesh: call a function wherever it lives, over plain HTTP."""

from lambdamesh import sync
from lambdamesh.client.connecting import connect
from lambdamesh.client.context import Call, current
from lambdamesh.client.exposed import Exposed
from lambdamesh.client.faults import ClientClosed
from lambdamesh.client.hosting import End
from lambdamesh.client.mesh import Mesh
from lambdamesh.client.reconnector import State
from lambdamesh.client.streams import Stream
from lambdamesh.errors import (
    BadAnswer,
    BadRequest,
    CallerOverloaded,
    CallTimeout,
    Draining,
    Forbidden,
    InvalidParams,
    LambdaError,
    LambdaGone,
    LambdaLost,
    LambdaNotFound,
    Loop,
    MeshError as CallError,
    MethodNotAllowed,
    MethodNotFound,
    NotFound,
    Overloaded,
    PeerUnreachable,
    Recovering,
    TooLarge,
    Unauthorized,
    Unsupported,
)

__all__ = [
    "BadAnswer",
    "BadRequest",
    "Call",
    "CallError",
    "CallTimeout",
    "CallerOverloaded",
    "ClientClosed",
    "Draining",
    "End",
    "Exposed",
    "Forbidden",
    "InvalidParams",
    "LambdaError",
    "LambdaGone",
    "LambdaLost",
    "LambdaNotFound",
    "Loop",
    "Mesh",
    "MethodNotAllowed",
    "MethodNotFound",
    "NotFound",
    "Overloaded",
    "PeerUnreachable",
    "Recovering",
    "State",
    "Stream",
    "TooLarge",
    "Unauthorized",
    "Unsupported",
    "__version__",
    "connect",
    "current",
    "sync",
]

__version__ = "0.1.0"
