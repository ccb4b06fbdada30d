"""The handle of a lambda that was exposed."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from lambdamesh.client.hosting import End, Hosted
from lambdamesh.client.opening import close_lambda
from lambdamesh.client.session import Session


class Exposed:
    """A lambda of this client. It keeps its ``id`` across reconnects until it has ended."""

    def __init__(self, session: Session, hosted: Hosted) -> None:
        self._session = session
        self._hosted = hosted
        self._ended = asyncio.Event()
        hosted.on_end = self._ended.set
        if hosted.end is not None:
            self._ended.set()

    def __repr__(self) -> str:
        return f"<Exposed {self.id} {self.methods}{'' if self.end is None else ' ended: ' + self.end.reason}>"

    @property
    def id(self) -> str:
        """By which it is called."""
        return self._hosted.id

    @property
    def methods(self) -> list[str]:
        """The names that can be called, but for ``rpc.discover``."""
        return [name for name in self._hosted.handlers if not name.startswith("rpc.")]

    @property
    def end(self) -> End | None:
        """Why it has ended for good; ``None`` while it has not."""
        return self._hosted.end

    async def wait_ended(self) -> End:
        """Wait until it has ended for good; return why: closed here, deleted, superseded, or not to be re-opened."""
        await self._ended.wait()
        assert self._hosted.end is not None
        return self._hosted.end

    async def close(self) -> None:
        """End it at once; running handlers are cancelled. Calls that come from now on find it gone."""
        if self._hosted.end is None:
            close_lambda(self._session, self._hosted.id)
            self._session.forget(self._hosted, End(1000, "closed"))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
