"""Where ids have their home."""

from __future__ import annotations

import pytest

from lambdamesh.core import places
from lambdamesh.core.places import NOWHERE, Atlas, machine_of, place_of, place_text, worker_of
from lambdamesh.ids import EPOCH_MS, NEEDS_KEY, SEQUENCE_BITS, TIME_SHIFT, LambdaId
from tests.unit.fakes import MACHINE, TEXT, an_id

OTHER = 5


def minted_by(field: int, *, machine: int = MACHINE, needs_key: bool = False) -> bytes:
    """An id with this worker field."""
    field |= NEEDS_KEY if needs_key else 0
    return LambdaId(machine, (EPOCH_MS & 0xFFFF) << TIME_SHIFT | field << SEQUENCE_BITS | 7).text


def test_the_first_worker_is_at_the_machines_own_number() -> None:
    assert place_of(MACHINE, 0) == MACHINE


@pytest.mark.parametrize("machine", [1, MACHINE, 2**32 - 1])
@pytest.mark.parametrize("worker", [0, 1, 63])
def test_a_place_is_a_machine_and_a_worker(machine: int, worker: int) -> None:
    place = place_of(machine, worker)
    assert (machine_of(place), worker_of(place)) == (machine, worker)


def test_a_place_is_written_as_its_machine_and_a_worker_that_is_not_the_first() -> None:
    assert place_text(0x46301AAE) == "46301aae"
    assert place_text(place_of(0x46301AAE, 3)) == "46301aae/3"


@pytest.mark.parametrize(
    ("text", "home"),
    [(TEXT, MACHINE), (an_id(machine=OTHER), OTHER), (b"nonsense", NOWHERE), (b"", NOWHERE), (b"A" * 16, NOWHERE)],
)
def test_what_is_no_id_has_no_home(text: bytes, home: int) -> None:
    assert Atlas(MACHINE).home_of(text) == home


@pytest.mark.parametrize("needs_key", [False, True])
@pytest.mark.parametrize(("field", "worker"), [(0, 0), (1, 1), (2, 2), (3, 0), (4, 1), (511, 1)])
def test_the_low_bits_of_the_worker_field_modulo_the_workers_name_the_home(
    field: int, worker: int, needs_key: bool
) -> None:
    text = minted_by(field, needs_key=needs_key)
    assert Atlas(MACHINE, 0, 3).home_of(text) == place_of(MACHINE, worker)


def test_of_another_machine_it_is_as_many_workers_as_are_known() -> None:
    atlas = Atlas(MACHINE, 1, 2)
    text = minted_by(3, machine=OTHER)
    assert atlas.home_of(text) == OTHER
    atlas.workers_of = lambda machine: {OTHER: 2}[machine]
    assert atlas.home_of(text) == place_of(OTHER, 1)
    assert atlas.places_of(OTHER) == (OTHER, place_of(OTHER, 1))


def test_a_worker_knows_itself_and_the_others_of_its_node() -> None:
    atlas = Atlas(MACHINE, 1, 3)
    assert atlas.here == place_of(MACHINE, 1)
    assert atlas.siblings == (MACHINE, place_of(MACHINE, 2))
    assert all(atlas.is_own(place) for place in atlas.own_places)
    assert not atlas.is_own(OTHER)


def test_nothing_is_remembered_of_what_is_too_long_for_an_id() -> None:
    """Whoever asks for paths that are no ids would fill the memory with them."""
    before = places._minted_by.cache_info()
    assert Atlas(MACHINE).home_of(TEXT * 1000) == NOWHERE
    assert places._minted_by.cache_info() == before
