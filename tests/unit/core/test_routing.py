"""Where a call for an id goes."""

from __future__ import annotations

import pytest

from lambdamesh.core.routing import Place, out_of_reach, place_of
from lambdamesh.errors import LambdaNotFound, MeshError, PeerUnreachable
from lambdamesh.ids import LambdaId
from tests.unit.fakes import FakeDirectory


@pytest.mark.parametrize(("machine", "place"), [(7, Place.HERE), (8, Place.ELSEWHERE)])
def test_the_home_is_written_in_the_id(machine: int, place: Place) -> None:
    assert place_of(LambdaId(7, 1), machine) is place


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
    error = out_of_reach(LambdaId(7, 1), directory)
    assert type(error) is kind
    assert "00000007" in error.message
