"""How many lambdas a second can be opened, and what one costs."""

import contextlib
from collections.abc import Callable

from bench.cases.case import Plan, rotated
from bench.cases.crowds import dismiss, gather
from bench.outcome import Outcome, Row, Target
from bench.stage import Stage, Subject


class OpeningCase:
    """Opens a few thousand, counts them at the node, closes them."""

    name = "opening"
    title = "lambdas opened, 64 at a time"
    subjects = ("node", "aiohttp")

    def steps(self, plan: Plan) -> int:
        """One for each round of each subject."""
        return plan.rounds * len(self.subjects)

    def run(self, stage: Stage, plan: Plan, further: Callable[[], None]) -> Outcome:
        """Measures."""
        rows = {name: Row(name, {}) for name in self.subjects}
        with contextlib.ExitStack() as exits:
            fresh = {name: exits.enter_context(stage.fresh(name, provided=False)) for name in self.subjects}
            for number in range(plan.rounds):
                for name in rotated(list(self.subjects), number):
                    self._round(stage, fresh[name], plan.opened_a_round, rows[name])
                    further()
        node = rows["node"]
        targets = [Target("lambdas that failed or were left", "errors", node.typical("errors"), 0)]
        return Outcome(self.name, self.title, list(rows.values()), targets, [])

    def _round(self, stage: Stage, subject: Subject, count: int, row: Row) -> None:
        with contextlib.ExitStack() as exits:
            holder, crowd = gather(stage, exits, subject, count)
            missing = count - subject.wait_for_count(count)
            lost = dismiss(holder).lost
            left = subject.wait_for_count(0)
        row.note(
            opened_rate=crowd.opened / crowd.seconds, opened_cpu_us=crowd.cpu_us, errors=abs(missing) + lost + left
        )
