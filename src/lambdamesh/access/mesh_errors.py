"""What can be wrong with trust between nodes: with our own files, or with the other side."""

from __future__ import annotations


class TrustError(Exception):
    """The files of the mesh cannot be used; the text names flag, file and remedy, and never what is secret."""


class Untrusted(Exception):
    """The other side is no node of this mesh, or cannot prove it; ``reason`` says why and what to do."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
