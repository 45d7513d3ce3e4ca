"""What a run that trains something ends in."""

from __future__ import annotations

import html
from dataclasses import dataclass

from nearfield.types.numbers import changed, count, estimated, p_value

BETTER = "better"
NO_DIFFERENCE = "no difference shown"
WORSE = "worse"
ENOUGH = 30
"""Queries: with a standard deviation of .2 between two models, as is usual for nDCG@10, differences
below .1 are mostly missed with fewer (2.8 * .2 / sqrt(30) = .10, two-sided 5 %, power 80 %).
"""


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float

    def __neg__(self) -> Estimate:
        """The difference b minus a of the one that is a minus b."""
        # the ends of the interval change places
        return Estimate(-self.mean, -self.high, -self.low)


@dataclass(frozen=True)
class Side(Estimate):
    """One side of a verdict: `name` is its row's in the comparison ("minilm tuned"), `noun` what it
    is ("tuned model").
    """

    name: str
    noun: str


@dataclass(frozen=True)
class Forgotten:
    """What a guard lost: its mean before and after, and the loss that was allowed (all in the
    measure's unit).
    """

    guard: str
    measure: str
    queries: int
    before: float
    after: float
    margin: float

    @property
    def loss(self) -> float:
        """Positive where what was trained is worse on the guard."""
        return self.before - self.after

    @property
    def kept(self) -> bool:
        """Whether the loss stays within its margin."""
        return self.loss <= self.margin


@dataclass(frozen=True)
class Verdict:
    """Is what was trained better than its baseline, on queries that no decision was made with?

    `outcome` is better, no difference shown, or worse; `difference` is the mean of tuned minus
    baseline, paired by query; `p` is that of the two-sided paired randomisation test.
    `queries_needed` is the number of queries at which a difference of this size would be shown four
    times in five, None where there is none. `dev_queries` chose the weights and the merge; 0 where
    their number is not known.
    """

    outcome: str
    measure: str
    collection: str
    split: str
    queries: int
    baseline: Side
    tuned: Side
    difference: Estimate
    p: float
    queries_needed: int | None
    forgotten: tuple[Forgotten, ...] = ()
    dev_queries: int = 0

    @property
    def small(self) -> dict[str, int]:
        """The splits that are too small to decide anything, dev first, with their numbers of
        queries.
        """
        sizes = {"dev": self.dev_queries, self.split: self.queries}
        return {name: count for name, count in sizes.items() if 0 < count < ENOUGH}

    def __str__(self) -> str:
        """The verdict in a sentence, and one more for each guard that lost more than allowed."""
        sentences = [
            f"{self.outcome.capitalize()}: {self.tuned.name} against {self.baseline.name}, "
            f"{self.measure} {changed(self.difference)} on "
            f"{count(self.queries)} {self.split} queries of {self.collection}, from "
            f"{estimated(self.baseline)} to {estimated(self.tuned)}, {p_value(self.p)}."
        ]
        sentences += [
            f"It lost more than allowed on {guard.guard}: {guard.measure} fell by "
            f"{guard.loss:.3f}, and {guard.margin:.3f} was allowed."
            for guard in self.forgotten
            if not guard.kept
        ]
        return " ".join(sentences)

    def _repr_html_(self) -> str:
        """The same for a notebook, the outcome in bold."""
        outcome, _, rest = str(self).partition(":")
        return f"<p><strong>{html.escape(outcome)}</strong>:{html.escape(rest)}</p>"
