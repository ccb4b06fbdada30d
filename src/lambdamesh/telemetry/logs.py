"""The node's log: one event a line on stderr, for machines as JSON, for people in columns."""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

SECRET_WORDS = frozenset(
    {
        "authorization",
        "cookie",
        "cookies",
        "jwt",
        "key",
        "keys",
        "password",
        "secret",
        "ticket",
        "tickets",
        "token",
        "tokens",
    }
)
"""A field whose name ends with one of these words is blanked, at any depth of mappings."""
BLANK = "***"
_REMEMBERED_EVENTS = 1024


def configure(
    log_format: Literal["auto", "json", "console"] = "auto", level: str = "info", worker: int | None = None
) -> None:
    """Send every structlog event of at least ``level`` to stderr, and the standard library's warnings the same way.

    ``auto`` is ``console`` where stderr is a terminal, else ``json``. A line has ``timestamp`` (UTC), ``level``
    and ``event``, and ``worker`` where a node has several. An
    event with ``once_a_minute=True`` passes at most once a minute; see ``OnceAMinute``.
    """
    terminal = sys.stderr.isatty()
    console = terminal if log_format == "auto" else log_format == "console"
    least = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            OnceAMinute(),
            blank_secrets,
            *([partial(_signed, worker)] if worker is not None else []),
            *_rendering(console, terminal),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=partial(_Lines, sys.stderr),
        cache_logger_on_first_use=True,
    )
    _adopt_standard_logging(least)


def _signed(worker: int, _logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    event["worker"] = worker
    return event


class OnceAMinute:
    """Lets an event with ``once_a_minute=True`` pass once in 60 s and counts the others.

    The next one of the same name that passes says ``suppressed=N``. The key itself is removed.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._passed: dict[str, tuple[float, int]] = {}

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        if not event.pop("once_a_minute", False):
            return event
        name, now = str(event.get("event")), self._clock()
        passed_at, suppressed = self._passed.get(name, (None, 0))
        if passed_at is not None and now - passed_at < 60:
            self._passed[name] = (passed_at, suppressed + 1)
            raise structlog.DropEvent
        if passed_at is None and len(self._passed) >= _REMEMBERED_EVENTS:
            del self._passed[next(iter(self._passed))]
        self._passed[name] = (now, 0)
        if suppressed:
            event["suppressed"] = suppressed
        return event


def blank_secrets(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Replace the value of each field that is secret by its name, in mappings inside fields too; numbers stay."""
    return {name: _blanked(name, value) for name, value in event.items()}


def _blanked(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_text(inner): _blanked(_text(inner), item) for inner, item in value.items()}
    if value is None or isinstance(value, bool | int | float):
        return value
    return BLANK if name.lower().replace("-", "_").rpartition("_")[2] in SECRET_WORDS else value


def _rendering(console: bool, colors: bool) -> list[Processor]:
    common: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if console:
        return [*common, _escape, structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=_traceback)]
    return [
        *common,
        structlog.processors.format_exc_info,
        _lead_with_the_event,
        structlog.processors.JSONRenderer(default=_text),
    ]


def _lead_with_the_event(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    first = {name: event.pop(name) for name in ("timestamp", "level", "event")}
    return first | dict(event)


def _escape(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Keep control characters, which a stranger may have sent, away from the terminal."""
    return {
        name: repr(value) if isinstance(value, str) and not value.isprintable() else value
        for name, value in event.items()
    }


def _traceback(out: TextIO, exc_info: ExcInfo) -> None:
    """A traceback without local variables, which may be secrets, and without control characters."""
    lines = "".join(traceback.format_exception(*exc_info)).splitlines()
    out.write("\n" + "\n".join(line if line.isprintable() else repr(line) for line in lines))


def _text(value: object) -> str:
    """What JSON has no type for, as text."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes | bytearray) else str(value)


class _Lines:
    """Where structlog's lines end: a stream whose reader may have gone, which must not hurt the node."""

    def __init__(self, stream: TextIO, *_: object) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            return

    log = debug = info = warning = error = critical = exception = msg


class _Adopted(logging.Handler):
    """Passes the records of libraries on as the event ``library``."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        log.log(record.levelno, "library", logger=record.name, message=record.getMessage(), exc_info=record.exc_info)


def _adopt_standard_logging(least: int) -> None:
    root = logging.getLogger()
    root.handlers[:] = [handler for handler in root.handlers if not isinstance(handler, _Adopted)]
    root.addHandler(_Adopted())
    root.setLevel(max(least, logging.WARNING))
    logging.getLogger("picows").setLevel(logging.CRITICAL)  # tells of every connection that ends badly; so do the doors
