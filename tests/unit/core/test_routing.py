"""Where a call for an id goes."""

from __future__ import annotations

import pytest

from lambdamesh.core.routing import PASSAGES, next_stop, out_of_reach
from lambdamesh.errors import LambdaNotFound, Loop, MeshError, PeerUnreachable
from tests.unit.fakes import FakeDirectory

HOME, HOLDER, OTHER = 1, 2, 3


@pytest.mark.parametrize(
    ("directory", "kind"),
    [
        (FakeDirectory(), LambdaNotFound),
        (FakeDirectory(7), PeerUnreachable),
        (FakeDirectory(is_complete=False), PeerUnreachable),
        (FakeDirectory(8), LambdaNotFound),
    ],
    ids=["nobody", "known", "perhaps", "others"],
)
def test_only_a_complete_directory_says_that_there_is_no_such_machine(
    directory: FakeDirectory, kind: type[MeshError]
) -> None:
    error = out_of_reach(7, directory)
    assert type(error) is kind
    assert "00000007" in error.message


@pytest.mark.parametrize(
    ("me", "holder", "at_holder", "stop"),
    [
        (OTHER, None, False, HOME),
        (OTHER, HOLDER, False, HOME),
        (HOME, HOLDER, False, HOLDER),
        (HOME, None, False, None),
        (HOLDER, None, True, None),
        (HOLDER, None, False, HOME),
        (HOME, HOLDER, True, None),
    ],
    ids=[
        "a caller's node asks the home",
        "whatever it believes",
        "a home asks the holder",
        "a home without one knows best",
        "a holder to which the home has sent it knows best",
        "one that held it once asks the home",
        "nobody sends it back",
    ],
)
@pytest.mark.parametrize("passages", range(PASSAGES))
def test_the_next_stop(me: int, holder: int | None, at_holder: bool, stop: int | None, passages: int) -> None:
    assert next_stop(HOME, me, holder, passages, at_holder=at_holder) == stop


@pytest.mark.parametrize("holder", [None, HOLDER])
def test_what_is_no_id_goes_nowhere(holder: int | None) -> None:
    assert next_stop(0, OTHER, holder, 0, at_holder=False) == holder


@pytest.mark.parametrize("passages", [PASSAGES, PASSAGES + 1, 255])
def test_after_three_passages_it_goes_no_further(passages: int) -> None:
    assert PASSAGES == 3
    error = next_stop(HOME, OTHER, None, passages, at_holder=False)
    assert isinstance(error, Loop)
    assert error.http_status == 508
    assert error.delivered == "no"
    assert next_stop(HOME, HOLDER, None, passages, at_holder=True) is None
    assert next_stop(HOME, HOME, None, passages, at_holder=False) is None
