"""Mints the ids of one worker, under a floor on disk: no clock that steps back and no restart ever repeats one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import structlog

from lambdamesh.ids import LambdaId, Snowflakes
from lambdamesh.state import FLOOR_AHEAD_MS, State, StateError

log = structlog.get_logger(__name__)

_FLOOR_STEP_MS = 1_000


class Mint:
    """The ids of ``worker`` of ``machine``. ``unix_ms`` reads the wall clock; ``noted`` is told that of the last id."""

    def __init__(self, machine: int, worker: int, state: State, unix_ms: Callable[[], int]) -> None:
        self._machine = machine
        self._state = state
        self._unix_ms = unix_ms
        self.floor_ms = state.floor_ms()
        self._snowflakes = Snowflakes(worker, self.floor_ms)
        self._first_ms = self._snowflakes.last_ms
        self.noted: Callable[[int], None] = lambda _last_ms: None

    def mint(self, needs_key: bool) -> LambdaId:
        """Return a new id; ``needs_key`` says that whoever re-opens it has to show its key."""
        lambda_id = LambdaId(self._machine, self._snowflakes.mint(self._unix_ms(), needs_key))
        self._keep_floor_ahead()
        return lambda_id

    def skip(self, lambda_id: LambdaId) -> None:
        """Never mint an id that somebody has claimed before its time."""
        if lambda_id.unix_ms >= self._snowflakes.last_ms:
            self._snowflakes.skip(lambda_id.unix_ms)
            self._keep_floor_ahead()

    def _keep_floor_ahead(self) -> None:
        last_ms = self._snowflakes.last_ms
        self.noted(last_ms)
        if last_ms + _FLOOR_STEP_MS // 2 < self.floor_ms:
            return
        # Where ids run ahead of the clock they do so in small steps, or each restart would add a whole one.
        floor_ms = max(self._unix_ms() + FLOOR_AHEAD_MS, last_ms + _FLOOR_STEP_MS)
        try:
            self._state.raise_floor(floor_ms)
            self.floor_ms = floor_ms
        except StateError as error:
            log.error("floor_not_written", why=str(error), once_a_minute=True)

    def lower_floor(self) -> None:
        """Nothing more is minted: let the next run begin where this one ends, and not a step ahead of the clock."""
        if self._snowflakes.last_ms > self._first_ms:
            with contextlib.suppress(StateError):
                self._state.raise_floor(self._snowflakes.last_ms + 1)
