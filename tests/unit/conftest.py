"""What all unit tests begin with."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def logs_as_ever(plain_log: None) -> None:
    """A node in this process may have made the logs quiet."""
