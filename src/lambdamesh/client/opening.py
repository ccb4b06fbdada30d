"""Opens lambdas on the socket, and opens them again after it was lost."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from math import inf
from typing import Any

import msgspec

from lambdamesh.client.envelopes import word_head
from lambdamesh.client.hosting import End, Hosted
from lambdamesh.client.reconnecting import Backoff
from lambdamesh.client.requests import PLAIN, AwaitedRequest
from lambdamesh.client.session import Session
from lambdamesh.errors import BadAnswer, CallTimeout, LambdaLost, MeshError

log = logging.getLogger("lambdamesh.client")

OPENED_AT_ONCE = 256
"""Lambdas that are opened at the same time; a socket may ask 1,024 things at once."""

_OPEN = word_head("lambda.open")
_CLOSE = word_head("lambda.close")


class _Wish(msgspec.Struct, omit_defaults=True):
    """``params`` of ``lambda.open``."""

    id: str | None = None
    key: str | None = None
    grace_s: float | None = None
    keep: list[int] = []


class _Opened(msgspec.Struct):
    """What the node answers."""

    id: str
    resume_key: str = ""
    grace_s: float = 0.0
    pending: list[int] = []


_decode = msgspec.json.Decoder(_Opened).decode


class WordRequest(AwaitedRequest):
    """A request that the node itself answers."""

    __slots__ = ()

    def __init__(self, head: bytes, params: Any) -> None:
        super().__init__(head, msgspec.json.encode(params), PLAIN, time.monotonic(), b"")


class OpenRequest(WordRequest):
    """Opens a lambda. It is seated as soon as the answer is read: a call may come right behind it."""

    __slots__ = ("_hosted", "_is_again", "_session")

    def __init__(self, session: Session, hosted: Hosted) -> None:
        self._session = session
        self._hosted = hosted
        self._is_again = bool(hosted.id)
        wish = _Wish(grace_s=hosted.grace_s)
        if self._is_again:
            wish.id, wish.key, wish.keep = hosted.id, hosted.key, hosted.unanswered()
        super().__init__(_OPEN, wish)

    def result(self, raw: bytes) -> None:
        """It is open."""
        try:
            opened = _decode(raw)
        except msgspec.MsgspecError as error:
            self.fault(BadAnswer(f"the node's answer to lambda.open cannot be read: {error}"))
            return
        session, hosted = self._session, self._hosted
        hosted.given_s = opened.grace_s
        if hosted.end is not None or self.outcome.cancelled():
            close_lambda(session, opened.id)
        elif self._is_again:
            session.reseat(hosted, opened.resume_key, opened.pending)
        else:
            session.seat(hosted, opened.id, opened.resume_key)
        super().result(raw)


def close_lambda(session: Session, lambda_id: str) -> None:
    """Ask the node to end a lambda of ours; nobody waits for the answer."""
    session.notify(_CLOSE, msgspec.json.encode({"id": lambda_id}), b"")


async def ask(session: Session, request: WordRequest) -> bytes:
    """Send a request and wait for its result. Raises: MeshError."""
    session.ask(request, time.monotonic())
    try:
        return await request.outcome
    except asyncio.CancelledError:
        session.withdraw(request)
        raise


async def open_lambda(session: Session, hosted: Hosted) -> None:
    """Open a lambda for the first time; a connection that is lost meanwhile is waited for. Raises: MeshError."""
    while True:
        try:
            await ask(session, OpenRequest(session, hosted))
        except LambdaLost:
            continue
        return


async def open_again(session: Session) -> None:
    """Open all lambdas of ``session`` again, on a new connection; one that cannot be has ended."""
    turns = asyncio.Semaphore(OPENED_AT_ONCE)

    async def one(hosted: Hosted) -> None:
        async with turns:
            await _open_one_again(session, hosted)

    if session.hosted:
        await asyncio.gather(*(one(hosted) for hosted in tuple(session.hosted.values())))


async def _open_one_again(session: Session, hosted: Hosted) -> None:
    backoff = Backoff()
    while hosted.end is None and session.is_connected:
        try:
            await ask(session, OpenRequest(session, hosted))
        except MeshError as error:
            if hosted.id not in session.hosted:
                return
            if not error.retryable and not isinstance(error, (CallTimeout, LambdaLost)):
                log.warning("lambda %s cannot be opened again: %s", hosted.id, error.message)
                session.forget(hosted, End(error.close_code, error.message))
                return
            pause_s = backoff.pause_s(random.random(), hosted.given_s or inf)  # noqa: S311 -- jitter
            await asyncio.sleep(pause_s)
        else:
            return
