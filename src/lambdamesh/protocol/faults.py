"""The class of an error that somebody else tells of, by the words of the wire."""

from __future__ import annotations

from lambdamesh import errors
from lambdamesh.errors import Delivered, MeshError


def _children(root: type[MeshError]) -> list[type[MeshError]]:
    return [root, *(child for direct in root.__subclasses__() for child in _children(direct))]


_ALL = [child for child in _children(MeshError) if child.__module__ == errors.__name__]
_BY_CODE = {child.code: child for child in reversed(_ALL)}
_BY_CODE_AND_STATUS = {(child.code, child.http_status): child for child in reversed(_ALL)}
_BY_STATUS = {child.http_status: child for child in reversed(_ALL)} | {400: errors.BadRequest, 404: errors.NotFound}


def fault(status: int, code: str, message: str, delivered: Delivered | None = None) -> MeshError:
    """Return the error of ``code``; one that is not known goes by its HTTP ``status``."""
    kind = _BY_CODE_AND_STATUS.get((code, status)) or _BY_CODE.get(code) or _BY_STATUS.get(status) or MeshError
    error = kind.__new__(kind)
    MeshError.__init__(error, message, delivered=delivered)
    if isinstance(error, errors.MethodNotAllowed):
        # Only its text says which.
        error.allow = message.removeprefix("this route takes ")
    return error
