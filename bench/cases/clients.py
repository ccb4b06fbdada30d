"""The client library against the same written by hand with `websockets`, the two taking turns round by round."""

import contextlib
from collections.abc import Callable, Iterator

import msgspec

from bench.cases.case import Plan, rotated
from bench.load.meter import LoadSpec, Sample
from bench.outcome import Outcome, Row, Target, add_ratios
from bench.processes import PYTHON, run_on
from bench.stage import SMALL, Stage, Subject

AT_ONCE = 64
CLIENT, BY_HAND = "client", "websockets"
PROVIDERS = {CLIENT: "bench.load.client_provider", BY_HAND: "bench.peers.websockets_provider"}
TIMES = 3.0


class ClientCase:
    """A Python caller and a Python provider share a core, the node has the other: the two are what limits the rate."""

    name = "python"
    title = "a Python caller and a Python provider, 64 calls in flight over /connect"

    def steps(self, plan: Plan) -> int:
        """One for each round of both."""
        return plan.rounds * len(PROVIDERS)

    def run(self, stage: Stage, plan: Plan, further: Callable[[], None]) -> Outcome:
        """Measures."""
        rows = {name: Row(name, {}) for name in PROVIDERS}
        notes: list[str] = []
        with contextlib.ExitStack() as exits:
            subjects = {name: exits.enter_context(_provided(stage, name)) for name in rows}
            for number in range(plan.rounds):
                for name in rotated(list(rows), number):
                    sample = _measure(stage, plan, subjects[name])
                    rows[name].note_sample(sample)
                    if sample.first_error:
                        notes.append(f"{name}: {sample.first_error}")
                    further()
        measured = list(rows.values())
        add_ratios(measured, base=BY_HAND)
        client = rows[CLIENT]
        targets = [
            Target("times the calls of websockets code", "ratio", client.typical("ratio"), TIMES, at_least=True),
            Target("wrong or missing answers", "errors", client.typical("errors"), 0),
        ]
        return Outcome(self.name, self.title, measured, targets, notes, client.is_disturbed)


@contextlib.contextmanager
def _provided(stage: Stage, name: str) -> Iterator[Subject]:
    """A node with the provider that is measured."""
    with contextlib.ExitStack() as exits:
        node = exits.enter_context(stage.fresh("node", provided=False))
        command = [PYTHON, "-m", PROVIDERS[name], str(node.port)]
        provider = stage.child(exits, f"provider-{name}", command, stage.cores.load)
        yield Subject(name, node.port, node.process, str(provider.wait_for("id")["id"]), provider)


def _measure(stage: Stage, plan: Plan, subject: Subject) -> Sample:
    assert subject.provider is not None
    spec = LoadSpec(
        port=subject.port,
        path=subject.path,
        body=SMALL,
        connections=AT_ONCE,
        seconds=plan.seconds,
        warm_up_s=plan.warm_up_s,
        node_pid=subject.process.pid,
        provider_pid=subject.provider.pid,
    )
    command = [PYTHON, "-m", "bench.load.python_caller", subject.name]
    printed = run_on(stage.cores.load, command, msgspec.json.encode(spec), plan.seconds + 30)
    return msgspec.json.decode(printed, type=Sample)
