"""A provider whose answers are written down beforehand, and which remembers what it was asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self

from lambdamesh import sync


class Asked(NamedTuple):
    """One call that came."""

    method: str
    body: Any


class FakeProvider:
    """A lambda at the node at ``url``. ``calls`` are those that came, in their order.

    ``answers`` says for each method what it answers: a value, an exception to raise, or a function of the body::

        with FakeProvider(node.url, {"add": 3, "fail": LambdaError("no"), "twice": lambda n: 2 * n}) as fake:
            ...
    """

    def __init__(self, url: str, answers: Mapping[str, Any]) -> None:
        self.calls: list[Asked] = []
        self._mesh = sync.connect(url)
        functions = {method: self._function(method, answer) for method, answer in answers.items()}
        try:
            self._exposed = self._mesh.expose(functions)
        except BaseException:
            self._mesh.close()
            raise

    def _function(self, method: str, answer: Any) -> Callable[[Any], Any]:
        def answered(body: Any = None) -> Any:
            self.calls.append(Asked(method, body))
            if isinstance(answer, BaseException):
                raise answer
            return answer(body) if callable(answer) else answer

        return answered

    @property
    def id(self) -> str:
        """By which it is called."""
        return self._exposed.id

    def close(self) -> None:
        """End it, and its connection."""
        self._mesh.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
