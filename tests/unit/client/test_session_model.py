"""Whatever happens to a connection, each request has one outcome and each call at most one answer."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lambdamesh.client.hosting import Served
from lambdamesh.client.requests import Terms
from tests.unit.client.sessions import ID, Asked, World


class Sessions(RuleBasedStateMachine):
    """A client's session, and a node that remembers what it has sent and what it has heard."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.world = World()
        self.asked: list[Asked] = []
        self.withdrawn: set[Asked] = set()
        self.in_flight: dict[int, Asked] = {}
        self.unanswered: set[int] = set()
        self.running: dict[int, Served] = {}
        self.answers: Counter[int] = Counter()
        self.number = 0

    @initialize()
    def begin(self) -> None:
        self.world.connect()
        self.hosted = self.world.open()

    @property
    def is_connected(self) -> bool:
        return self.world.session.is_connected

    def hear(self) -> None:
        """The node reads what was sent."""
        for message in self.world.take():
            self._hear(message)

    def _hear(self, message: dict[str, Any]) -> None:
        method = message.get("method")
        if method is None:
            number = int(message["id"].rpartition(".")[2])
            assert number in self.unanswered, "an answer to a call that is not open"
            self.unanswered.discard(number)
            self.answers[number] += 1
        elif method == "$/cancelRequest":
            self.in_flight.pop(message["params"]["id"], None)
        else:
            assert message["id"] not in self.in_flight
            self.in_flight[message["id"]] = next(one for one in self.asked if one.number == message["id"])

    # -- requests -----------------------------------------------------------------------------------------------

    @rule(timeout_s=st.sampled_from([0.5, 5.0, 50.0]))
    def ask(self, timeout_s: float) -> None:
        one = Asked(Terms(timeout_s), self.now)
        self.asked.append(one)
        self.world.session.ask(one, self.now)
        self.hear()

    @precondition(lambda self: self.in_flight)
    @rule(chosen=st.randoms(use_true_random=False), is_error=st.booleans())
    def answer_request(self, chosen: Any, is_error: bool) -> None:
        number = chosen.choice(sorted(self.in_flight))
        del self.in_flight[number]
        outcome: dict[str, Any] = {"error": {"code": 400, "message": "m"}} if is_error else {"result": number}
        self.world.say(self.now, id=number, **outcome)

    @precondition(lambda self: self.asked)
    @rule(chosen=st.randoms(use_true_random=False))
    def withdraw(self, chosen: Any) -> None:
        one = chosen.choice(self.asked)
        if one.outcomes == 0:
            self.withdrawn.add(one)
        self.world.session.withdraw(one)
        self.hear()

    @rule(passed_s=st.sampled_from([0.1, 1.0, 10.0]))
    def pass_time(self, passed_s: float) -> None:
        self.now += passed_s
        self.world.session.expire(self.now)
        self.hear()

    # -- the connection -----------------------------------------------------------------------------------------

    @precondition(lambda self: self.is_connected)
    @rule()
    def lose(self) -> None:
        self.world.session.disconnected("gone")
        self.in_flight.clear()

    @precondition(lambda self: not self.is_connected)
    @rule(forgotten=st.sets(st.integers(1, 20)), meanwhile=st.randoms(use_true_random=False))
    def come_back(self, forgotten: set[int], meanwhile: Any) -> None:
        self.world.connect()
        keep = self.hosted.unanswered()
        for number in list(self.running):
            if meanwhile.random() < 0.3:
                self.running.pop(number).result(b"1")
        assert self.world.take() == []
        pending = [number for number in keep if number in self.unanswered and number not in forgotten]
        self.unanswered = set(pending)
        self.world.session.reseat(self.hosted, "key", pending)
        self.world.session.flush(self.now)
        self.hear()

    # -- calls --------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.is_connected)
    @rule()
    def call(self) -> None:
        self.number += 1
        self.unanswered.add(self.number)
        served = self.world.call(self.number)
        assert served is not None
        self.running[self.number] = served

    @precondition(lambda self: self.running)
    @rule(chosen=st.randoms(use_true_random=False))
    def finish(self, chosen: Any) -> None:
        self.running.pop(chosen.choice(sorted(self.running))).result(b"1")
        self.hear()

    @precondition(lambda self: self.unanswered and self.is_connected)
    @rule(chosen=st.randoms(use_true_random=False))
    def cancel(self, chosen: Any) -> None:
        number = chosen.choice(sorted(self.unanswered))
        self.unanswered.discard(number)
        self.world.say(method="$/cancelRequest", params={"id": f"{ID}.{number}"})

    # -- what always holds --------------------------------------------------------------------------------------

    @invariant()
    def every_request_has_one_outcome_at_most(self) -> None:
        for one in self.asked:
            assert one.outcomes <= (one not in self.withdrawn)
            if self.is_connected and one not in self.withdrawn:
                assert one.outcomes == (one.number not in self.in_flight)

    @invariant()
    def every_call_has_one_answer_at_most(self) -> None:
        assert all(count == 1 for count in self.answers.values())

    @invariant()
    def nothing_is_held_for_what_is_over(self) -> None:
        open_requests = [one for one in self.asked if one.outcomes == 0 and one not in self.withdrawn]
        assert len(self.world.session.requests) + len(self.world.session._waiting) == len(open_requests)
        assert self.world.session._kept_answers == len(self.hosted.kept)
        assert self.world.session._kept_bytes == sum(map(len, self.hosted.kept.values()))


TestSessions = Sessions.TestCase
TestSessions.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
