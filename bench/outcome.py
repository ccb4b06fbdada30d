"""What a case has found: rows of measures by round, and targets met or missed."""

from statistics import median

import msgspec

from bench.load.meter import Sample

DISTURBED = 0.1
RATIOS = ("ratio", "cpu_ratio", "added_us", "added_cpu_us")


class Row(msgspec.Struct):
    """One subject's measures: for each column one value a round. Units are in the column's name."""

    subject: str
    rounds: dict[str, list[float]]

    def note(self, **values: float) -> None:
        """Adds one round."""
        for column, value in values.items():
            self.rounds.setdefault(column, []).append(value)

    def note_sample(self, sample: Sample) -> None:
        """Adds one round of calls."""
        self.note(
            rate=sample.rate,
            p50_ms=sample.p50_us / 1e3,
            p99_ms=sample.p99_us / 1e3,
            cpu_us=sample.cpu_us,
            node_share=sample.node_share,
            load_share=sample.load_share,
            other_share=sample.other_share,
            errors=sample.errors,
        )
        self._note_parts(sample)

    def note_items(self, sample: Sample) -> None:
        """Adds one round of a stream."""
        self.note(
            item_rate=sample.rate,
            item_cpu_us=sample.cpu_us,
            node_share=sample.node_share,
            load_share=sample.load_share,
            other_share=sample.other_share,
            errors=sample.errors,
        )
        self._note_parts(sample)

    def _note_parts(self, sample: Sample) -> None:
        if sample.further_cpu_us:
            self.note(first_cpu_us=sample.cpu_us - sample.further_cpu_us, further_cpu_us=sample.further_cpu_us)

    @property
    def disturbed(self) -> int:
        """Rounds during which something else used the cores."""
        return sum(share > DISTURBED for share in self.rounds.get("other_share", []))

    @property
    def is_disturbed(self) -> bool:
        """Whether there is no round in which nothing else did, for it and for what it is compared with."""
        shares = self.rounds.get("ratio_other_share", [])
        return bool(shares) and min(shares) > DISTURBED

    def typical(self, column: str) -> float:
        """The median over the undisturbed rounds, over all where there is none; for errors the sum of all."""
        values = self.rounds[column]
        if column == "errors":
            return sum(values)
        shares = self.rounds.get("ratio_other_share" if column in RATIOS else "other_share", [])
        quiet = [value for value, share in zip(values, shares, strict=False) if share <= DISTURBED]
        return median(quiet or values)


class Target(msgspec.Struct):
    """A figure that must hold."""

    text: str
    column: str
    measured: float
    limit: float
    at_least: bool = False
    met: bool = False

    def __post_init__(self) -> None:
        self.met = self.measured >= self.limit if self.at_least else self.measured <= self.limit


class Outcome(msgspec.Struct):
    """Of one case."""

    name: str
    title: str
    rows: list[Row]
    targets: list[Target]
    notes: list[str]
    is_disturbed: bool = False


def disturbances(rows: list[Row]) -> list[str]:
    """Notes on rounds during which something else used the cores."""
    return [
        f"{row.subject}: something else used its cores in {row.disturbed} rounds; these count only if all are so"
        for row in rows
        if row.disturbed
    ]


def add_ratios(rows: list[Row], base: str, rate: str = "rate", cost: str = "cpu_us") -> None:
    """Gives each row its rate as a part of the base's, round by round, and what it would be by CPU time alone."""
    of_base = next((row.rounds for row in rows if row.subject == base), None)
    if of_base is None:
        return
    for row in rows:
        row.rounds["ratio"] = _parts(row.rounds[rate], of_base[rate])
        row.rounds["cpu_ratio"] = _parts(of_base[cost], row.rounds[cost])
        row.rounds["ratio_other_share"] = list(map(max, of_base["other_share"], row.rounds["other_share"]))


def add_latencies(rows: list[Row], base: str, column: str = "p50_ms") -> None:
    """Gives each other row what its typical call takes longer than the base's, round by round."""
    _add_differences(rows, base, column, "added_us", 1e3)


def add_costs(rows: list[Row], base: str) -> None:
    """Gives each other row what CPU time its call takes more than the base's, round by round."""
    _add_differences(rows, base, "cpu_us", "added_cpu_us", 1.0)


def _add_differences(rows: list[Row], base: str, column: str, into: str, times: float) -> None:
    of_base = next(row.rounds[column] for row in rows if row.subject == base)
    for row in rows:
        if row.subject != base:
            pairs = zip(row.rounds[column], of_base, strict=True)
            row.rounds[into] = [(value - base_value) * times for value, base_value in pairs]


def _parts(values: list[float], wholes: list[float]) -> list[float]:
    return [value / whole if whole else 0.0 for value, whole in zip(values, wholes, strict=True)]
