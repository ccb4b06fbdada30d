"""What a node says of itself in figures, and what the system says of it."""

from __future__ import annotations

import re
from pathlib import Path

from tests.nodes import Node


def metric(node: Node, name: str) -> int:
    """One of the node's metrics; that of a counter has ``_total`` behind its name."""
    text = node.fetch("GET", "/metrics").body.decode()
    found = re.search(rf"^lambdamesh_{name} (\S+)$", text, re.MULTILINE)
    assert found, name
    return int(float(found[1]))


def memory_kib(node: Node) -> int:
    """What the process holds in memory (Linux)."""
    text = Path(f"/proc/{node.pid}/status").read_text()
    found = re.search(r"^VmRSS:\s+([0-9]+) kB$", text, re.MULTILINE)
    assert found
    return int(found[1])
