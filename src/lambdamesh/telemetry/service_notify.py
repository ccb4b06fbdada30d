"""What a service tells the system that started it: that it serves, that it ends, that it lives (``sd_notify(3)``)."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Mapping

import structlog

log = structlog.get_logger(__name__)

_SEND_S = 0.1
"""Longest wait for a reader whose queue is full: the event loop waits along."""
_ABSTRACT = "@"


class ServiceNotify:
    """Sends notifications to ``$NOTIFY_SOCKET``; where there is none, all of it does nothing. Never raises.

    Only the process that the system started may speak: a worker of it is not heard.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self._watchdog_s = _watchdog_s(environ)
        self._has_failed = False

    @property
    def is_wanted(self) -> bool:
        """Whether somebody listens."""
        return self._address is not None

    @property
    def watchdog_s(self) -> float | None:
        """Seconds of silence after which the service counts as hung; ``None`` where nobody watches this process."""
        return self._watchdog_s if self.is_wanted else None

    def ready(self) -> None:
        """Say that every door listens, or that a reload is done."""
        self._send("READY=1")

    def stopping(self) -> None:
        """Say that the end has begun."""
        self._send("STOPPING=1")

    def reloading(self) -> None:
        """Say that the configuration is read again; ``ready`` must follow."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1_000}")

    def watchdog(self) -> None:
        """Say that the service lives; wanted more often than every ``watchdog_s``."""
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """Say in one line, for people, what the service does."""
        self._send("STATUS=" + " ".join(text.split()))

    def _send(self, text: str) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.settimeout(_SEND_S)
                sock.sendto(text.encode("utf-8", "replace"), self._address)
        except OSError as error:
            if not self._has_failed:
                self._has_failed = True
                log.warning("service_notify_failed", why=str(error))


def _address(text: str) -> bytes | None:
    """Where to send to: a path, or the name of an abstract socket; ``None`` where that is neither."""
    if sys.platform == "win32" or not text.startswith((_ABSTRACT, "/")) or len(text) == 1:
        return None
    raw = os.fsencode(text)
    return b"\0" + raw[1:] if text.startswith(_ABSTRACT) else raw


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    pid, period_us = environ.get("WATCHDOG_PID", ""), environ.get("WATCHDOG_USEC", "")
    if (pid and pid != str(os.getpid())) or not (period_us.isascii() and period_us.isdecimal()):
        return None
    return int(period_us) / 1_000_000 or None
