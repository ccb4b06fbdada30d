"""That ids never repeat, whatever happens to a node."""

from __future__ import annotations

from tests.lambda_ids import parse
from tests.nodes import Node
from tests.providers import Provider


class Ids:
    """The ids that a node has minted, in order; each has to be greater than all before it."""

    def __init__(self) -> None:
        self.minted: list[str] = []

    def mint(self, node: Node, count: int = 3) -> str:
        """Open and leave so many lambdas; the last id."""
        for _ in range(count):
            with Provider(node.address) as provider:
                self.saw(provider.accept().id)
        return self.minted[-1]

    def saw(self, lambda_id: str) -> None:
        """Note one that somebody else opened."""
        last = max((parse(one).uid & ~(0x200 << 12) for one in self.minted), default=0)
        assert parse(lambda_id).uid & ~(0x200 << 12) > last, (lambda_id, self.minted[-1])
        self.minted.append(lambda_id)
