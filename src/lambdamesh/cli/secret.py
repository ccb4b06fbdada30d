"""``lambdamesh secret``: make the secret that makes a mesh."""

from __future__ import annotations

import sys

from lambdamesh.access.mesh_secret import mint_secret

_HINT = """\
Each node of a mesh is given this in a file, the same on all of them, that nobody else can read:
  lambdamesh secret > mesh.secret
  chmod 600 mesh.secret
  lambdamesh serve --mesh-secret-file mesh.secret ..."""


def secret() -> None:
    """Print a new secret for a mesh; the nodes that are given the same one trust each other."""
    print(mint_secret())
    if sys.stdout.isatty():
        print(_HINT, file=sys.stderr)
