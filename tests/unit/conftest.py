"""What all unit tests begin with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def plain_log() -> Iterator[None]:
    """Logs as the package configures none: a node in this process, of some test of the client, has made them quiet."""
    configured = structlog.get_config() if structlog.is_configured() else None
    structlog.reset_defaults()
    yield
    if configured is not None:
        structlog.configure(**configured)
