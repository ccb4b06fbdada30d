"""What of a dict, a function, a module or an object is exposed, and under which names."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any

Function = Callable[..., Any]

LONGEST_NAME_BYTES = 256
_CALLABLES_OF_A_CLASS = (staticmethod, classmethod)


class NothingToExpose(ValueError):
    """A target of which nothing is taken by itself."""


def collect(target: object, only: Iterable[str] | None = None) -> dict[str, Function]:
    """Return the functions of ``target`` by method name.

    Of a mapping all are taken, of a module the public functions defined in it, of an object the public methods of its
    own class; a function stands for itself. ``only`` names others, and nothing else is taken then.

    Raises:
        ValueError: nothing is left, or a name cannot be a method's.
        TypeError: something that cannot be called.
    """
    found = _named(target, only) if only is not None else dict(_public(target))
    if not found:
        raise NothingToExpose(f"{_called(target)} has nothing to expose: give a dict, or name methods with only=[...]")
    for name, function in found.items():
        check_name(name)
        if not callable(function):
            raise TypeError(f"{name!r} of {_called(target)} cannot be called")
    return found


def check_name(name: object) -> None:
    """Raise: ValueError where ``name`` cannot be a method's."""
    if not isinstance(name, str):
        raise TypeError(f"a method's name is a str, not {name!r}")
    size = len(name.encode(errors="surrogatepass"))
    if not 0 < size <= LONGEST_NAME_BYTES or not name.isprintable():
        raise ValueError(f"{name!r} cannot be a method's name: 1 to {LONGEST_NAME_BYTES} bytes, no control characters")
    if name == "open" or name.startswith(("rpc.", "$/")):
        raise ValueError(f"{name!r} cannot be exposed: open, rpc.* and $/* belong to the node and to the client")


def _public(target: object) -> Iterator[tuple[str, Function]]:
    if isinstance(target, Mapping):
        yield from target.items()
    elif isinstance(target, ModuleType):
        for name, value in vars(target).items():
            if inspect.isfunction(value) and value.__module__ == target.__name__ and not name.startswith("_"):
                yield name, value
    elif isinstance(target, type):
        raise TypeError(f"{target.__name__} is a class: expose an object of it")
    elif inspect.isroutine(target) or isinstance(target, functools.partial):
        yield name_of(target), target
    else:
        for name, value in vars(type(target)).items():
            is_method = inspect.isfunction(value) or isinstance(value, _CALLABLES_OF_A_CLASS)
            if is_method and not name.startswith("_"):
                yield name, getattr(target, name)


def _named(target: object, only: Iterable[str]) -> dict[str, Function]:
    if isinstance(only, str):
        raise TypeError(f"only is a list of names: only=[{only!r}]")
    if isinstance(target, Mapping):
        missing = [name for name in only if name not in target]
        found = {name: target[name] for name in only if name in target}
    else:
        missing = [name for name in only if not hasattr(target, name)]
        found = {name: getattr(target, name) for name in only if hasattr(target, name)}
    if missing:
        raise ValueError(f"{_called(target)} has no {', '.join(map(repr, missing))}")
    return found


def name_of(target: object) -> str:
    """Return the name of a function, or of what stands for one; the empty text where it has none."""
    while isinstance(target, functools.partial):
        target = target.func
    return str(getattr(target, "__name__", ""))


def _called(target: object) -> str:
    return name_of(target) or f"this {type(target).__name__}"
