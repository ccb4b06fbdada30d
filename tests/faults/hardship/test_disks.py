"""A state directory whose disk is full, or can only be read: the node says so, goes on, and mends itself."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.crowds.scale import node_settings
from tests.faults.hardship.ids import Ids
from tests.faults.hardship.mounts import OwnMounts
from tests.integration.reopening import refusal
from tests.json_rpc_2 import Provider2, calling
from tests.lambda_ids import parse, sibling
from tests.nodes import Node, until
from tests.providers import Provider
from tests.wire import refused

BAD_CONFIGURATION = 78
DISK_KIB = 64
LINE_BYTES = len("rhowRuuCUoE5vlcA 1711843200\n")
"""Of the file of deleted ids, one of them."""

PAGE_BYTES = 4096
"""What such a disk gives at a time."""

Harm = Callable[["OnDisk", bool], None]
"""Makes the disk bad, or good again."""


class OnDisk:
    """A node whose state lies on a disk of its own."""

    def __init__(self, mounts: OwnMounts, state: Path, node: Node) -> None:
        self.mounts = mounts
        self.state = state
        self.node = node

    def start_again(self) -> Node:
        """Start it after its end, without waiting for its doors."""
        self.node = self.mounts.run(lambda: Node(self.state, node_settings()))
        return self.node

    def full(self, is_bad: bool) -> None:
        """Fill the disk, or free it."""
        (self.mounts.fill if is_bad else self.mounts.free)(self.state)

    def read_only(self, is_bad: bool) -> None:
        """Let nobody write to the disk, or let them again."""
        self.mounts.set_writable(self.state, not is_bad)

    def read(self, name: str) -> str:
        """A file of the state directory."""
        return self.mounts.run((self.state / name).read_text)


@pytest.fixture
def own(mounts: OwnMounts, tmp_path: Path) -> Iterator[OnDisk]:
    state = tmp_path / "state"
    state.mkdir(0o700)
    mounts.disk(state, DISK_KIB)
    on_disk = OnDisk(mounts, state, mounts.run(lambda: Node(state, node_settings())).ready())
    yield on_disk
    on_disk.node.stop()
    assert not on_disk.node.complaints()


@pytest.mark.parametrize(
    ("harm", "said"),
    [(OnDisk.full, "No space left on device"), (OnDisk.read_only, "Read-only file system")],
    ids=["full", "read-only"],
)
def test_a_disk_that_cannot_be_written(own: OnDisk, harm: Harm, said: str) -> None:
    node, ids = own.node, Ids()
    ids.mint(node)
    with Provider2(node, "/lambda/new?grace=30").accept() as provider, contextlib.ExitStack() as held:
        ids.saw(provider.id)
        caller = held.enter_context(calling(node, provider.id))
        under_way = provider.call()
        harm(own, True)
        # An id ahead of the clock wants another floor at once.
        ahead = held.enter_context(Provider(node.address, f"/lambda/new/{sibling(provider.id, after_s=12.0)}")).accept()
        ids.saw(ahead.id)
        assert said in node.wait_log("floor_not_written")["why"]
        ids.mint(node)
        doomed = held.enter_context(Provider(node.address)).accept()
        ids.saw(doomed.id)
        assert node.fetch("DELETE", f"/lambda/{doomed.id}").status == 200
        assert said in node.wait_log("deletion_not_written")["why"]
        refused(node.fetch("POST", f"/lambda/{doomed.id}/m", b"1"), 410, "lambda_gone")
        # Calls, and sockets that end, go on as ever.
        provider.answer(under_way, "once")
        assert caller.answer().json() == "once"
        provider.ws.http.reset()
        with provider.again() as again:
            other = held.enter_context(calling(node, provider.id))
            again.answer(again.call(), "again")
            assert other.answer().json() == "again"
            assert caller.quiet()
            harm(own, False)
            last = ids.mint(node)
            until(lambda: int(own.read("floor-0")) > parse(last).at_ms, "there is a floor again")
    node.kill()
    ids.mint(own.start_again().ready())


def test_a_start_on_a_disk_that_can_only_be_read(own: OnDisk) -> None:
    ids = Ids()
    ids.mint(own.node)
    machine = own.node.machine_id
    own.node.kill()
    own.read_only(True)
    broken = own.start_again()
    assert broken.wait() == BAD_CONFIGURATION
    assert "Read-only file system" in broken.log.text() and str(own.state) in broken.log.text()
    assert not broken.complaints()
    own.read_only(False)
    ids.mint(own.start_again().ready())
    assert own.node.machine_id == machine


@pytest.mark.parametrize("has_deleted", [False, True])
def test_a_start_on_a_disk_that_is_full(own: OnDisk, has_deleted: bool) -> None:
    ids = Ids()
    last = ids.mint(own.node)
    if has_deleted:
        assert own.node.fetch("DELETE", f"/lambda/{last}").status == 410
    own.node.kill()
    own.full(True)
    node = own.start_again().ready()
    ids.mint(node)
    with Provider(node.address, f"/lambda/new/{sibling(last, after_s=14.0)}") as ahead:
        ids.saw(ahead.accept().id)
    assert "No space left on device" in node.wait_log("floor_not_written")["why"]
    if has_deleted:
        assert refusal(node, f"/lambda/new/{last}")[0] == 410
    own.full(False)
    ids.mint(node)
    node.kill()
    ids.mint(own.start_again().ready())


def test_half_a_line_of_a_deletion_harms_no_other(own: OnDisk) -> None:
    """A disk that becomes full in the middle of a line takes the begin of it."""
    node = own.node
    keys = {}

    def deleted() -> str:
        with Provider(node.address) as provider:
            keys[provider.accept().id] = provider.key
            assert node.fetch("DELETE", f"/lambda/{provider.id}").status == 200
            return provider.id

    while len(own.read("deleted") if keys else "") + LINE_BYTES <= PAGE_BYTES:
        deleted()
    own.full(True)
    deleted()
    assert "No space left" in node.wait_log("deletion_not_written")["why"]
    own.full(False)
    after = deleted()
    node.kill()
    again = own.start_again().ready()
    assert refusal(again, f"/lambda/new/{after}?key={keys[after]}")[0] == 410
