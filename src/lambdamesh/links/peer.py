"""What is known of the way to one other node: its links, whether it can be reached, when to try again."""

from __future__ import annotations

from enum import Enum
from random import uniform

from lambdamesh.core.peering import Directory
from lambdamesh.core.places import machine_of, place_text
from lambdamesh.errors import PeerUnreachable
from lambdamesh.links.connection import Connection
from lambdamesh.links.line import Line

_FIRST_PAUSE_S = 0.1


class State(Enum):
    """How things stand with a node."""

    IDLE = "idle"
    """No link, and none was needed."""
    CONNECTING = "connecting"
    """It is dialled for the first time, or after it was idle: calls wait."""
    UP = "up"
    """There is a link."""
    DOWN = "down"
    """It was lost, or did not answer: calls fail at once, and it is dialled again and again."""


class Peer:
    """One worker of another node, or another of this one.

    ``connections`` are those that have said hello, ``best`` the one for what begins now.
    """

    __slots__ = ("best", "connections", "failures", "instance", "line", "name", "place", "refusal", "state")

    def __init__(self, place: int) -> None:
        self.place = place
        self.name = place_text(place)
        self.instance = ""
        self.state = State.IDLE
        self.connections: list[Connection] = []
        self.best: Connection | None = None
        self.line: Line | None = None
        self.failures = 0
        self.refusal = PeerUnreachable(f"the node {self.name} cannot be reached: try again")

    def is_up(self) -> bool:
        """Whether there is a link for what begins now."""
        return self.best is not None

    def is_forgotten(self, directory: Directory) -> bool:
        """Whether nobody has to do with it, or knows it, any more."""
        return (
            not (self.connections or self.line)
            and self.state is not State.CONNECTING
            and not directory.knows(machine_of(self.place))
        )

    def waits(self) -> Line:
        """Return where calls wait that need the first link."""
        if self.line is None:
            self.line = Line()
        return self.line

    def up(self, connection: Connection) -> None:
        """A link has come up."""
        self.connections.append(connection)
        self.failures = 0
        self.choose()
        if self.line is not None and self.best is not None:
            line, self.line = self.line, None
            line.flow(self.best.link)

    def choose(self) -> None:
        """Find the link for what begins now: of two that both sides dialled at once, the smaller machine's.

        One that was not heard since a newer one came up does not count: whoever dials again may have lost it.
        """
        usable = [one for one in self.connections if one.link.is_up and not one.link.has_parted]
        if len(usable) > 1:
            newest_at = max(one.up_at for one in usable)
            usable = [one for one in usable if one.heard_at >= newest_at]
        self.best = min(usable, key=lambda one: (one.dialler, -one.up_at), default=None)
        if self.best is not None:
            self.state = State.UP
        elif self.state is State.UP:
            self.state = State.IDLE

    def gone(self, connection: Connection, why: str) -> None:
        """A link is over; ``why`` is told to those whose calls fail from now on."""
        if connection in self.connections:
            self.connections.remove(connection)
        had_left = connection.link.has_parted
        self.choose()
        if self.best is None and not had_left:
            self.fail(why)

    def fail(self, why: str) -> None:
        """It cannot be reached: calls fail at once until it can."""
        self.state = State.DOWN
        self.failures += 1
        self.refusal = PeerUnreachable(f"the node {self.name} cannot be reached ({why}): try again")
        line, self.line = self.line, None
        if line is not None:
            line.end(self.refusal)

    def rest(self) -> None:
        """Nobody wants it now: whoever does next has it dialled anew."""
        if self.best is None:
            self.state = State.IDLE
            self.failures = 0


def pause_s(failures: int, longest_s: float) -> float:
    """How long to wait after so many failures: longer each time, and not with all others at once."""
    longest_s = min(_FIRST_PAUSE_S * 2 ** min(failures, 16), longest_s)
    return uniform(longest_s / 2, longest_s)  # noqa: S311
