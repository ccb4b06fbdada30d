"""A wall clock that can be set: for a process whose PYTHONPATH has this folder, and whose file says how far it is off."""

from __future__ import annotations

import os
import time
from pathlib import Path

_FILE = os.environ.get("CLOCK_OFFSET_FILE")
_true_s, _true_ns = time.time, time.time_ns


def _offset_s() -> int:
    try:
        return int(Path(_FILE or "").read_text() or 0)
    except (OSError, ValueError):
        return 0


if _FILE:
    time.time = lambda: _true_s() + _offset_s()
    time.time_ns = lambda: _true_ns() + _offset_s() * 1_000_000_000
