"""What ``doctor`` says of the limits of the system."""

from __future__ import annotations

import pytest

from lambdamesh.cli.checks.finding import State
from lambdamesh.cli.checks.system_limits import memory, open_files, outgoing_ports, ranges_of, waiting_connections
from lambdamesh.door.listening import BACKLOG

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("wanted", "room", "how"),
    [
        (0, 20_000, State.OK),
        (0, 192, State.WARNING),
        (100, 192, State.OK),
        (193, 192, State.WRONG),
    ],
)
def test_open_files(wanted: int, room: int, how: State) -> None:
    found = open_files(wanted, room, soft=128, hard=room + 64)
    assert found.state is how
    assert (found.fix is None) is (how is State.OK)


def test_the_fix_of_open_files_leaves_room_for_what_is_wanted() -> None:
    fix = open_files(5000, 192, soft=256, hard=256).fix
    assert fix is not None
    assert "LimitNOFILE=5064" in fix


def test_waiting_connections() -> None:
    assert list(waiting_connections(BACKLOG)) == []
    assert list(waiting_connections(None)) == []
    [found] = waiting_connections(BACKLOG - 1)
    assert found.fix == f"sudo sysctl -w net.core.somaxconn={BACKLOG}"


def test_ports_that_the_system_hands_out() -> None:
    handed_out, kept = [range(32768, 61000)], [range(40000, 40002)]
    assert list(outgoing_ports({7630, 7631, 40001}, handed_out, kept)) == []
    [found] = outgoing_ports({40002}, handed_out, kept)
    assert found.state is State.WARNING


def test_the_fix_of_ports_keeps_those_that_others_have_kept() -> None:
    found = list(outgoing_ports({40002, 40005, 7630}, [range(32768, 61000)], [range(80, 81), range(40000, 40002)]))
    fix = "sudo sysctl -w net.ipv4.ip_local_reserved_ports=80-80,40000-40001,40002,40005"
    assert [one.fix for one in found] == [fix, fix]


def test_ports_as_the_system_writes_them() -> None:
    assert ranges_of("32768\t60999\n", is_pair=True) == [range(32768, 61000)]
    assert ranges_of("80,8000-8080\n", is_pair=False) == [range(80, 81), range(8000, 8081)]
    assert ranges_of("\n", is_pair=False) == []


def test_memory() -> None:
    assert list(memory(512 * MIB, 1024 * MIB)) == []
    assert list(memory(512 * MIB, None)) == []
    [found] = memory(512 * MIB, 256 * MIB)
    assert "512 MiB" in found.what
    assert found.fix == f"LAMBDAMESH_BUFFERED_BYTES={64 * MIB} lambdamesh serve"
