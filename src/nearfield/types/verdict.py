"""What a tuning run ends in."""

from __future__ import annotations

from dataclasses import dataclass

BETTER = "better"
NO_DIFFERENCE = "no difference shown"
WORSE = "worse"


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Forgotten:
    """What a guard lost: its mean before and after, and the loss that was allowed (all in the measure's unit)."""

    guard: str
    measure: str
    queries: int
    before: float
    after: float
    margin: float

    @property
    def loss(self) -> float:
        """Positive where the tuned model is worse on the guard."""
        return self.before - self.after

    @property
    def kept(self) -> bool:
        """Whether the loss stays within its margin."""
        return self.loss <= self.margin


@dataclass(frozen=True)
class Verdict:
    """Is the tuned model better than its baseline, on queries that no decision was made with?

    `outcome` is better, no difference shown, or worse; `difference` is the mean of tuned minus baseline, paired by query;
    `p` is that of the two-sided paired randomisation test. `queries_needed` is the number of queries at which a difference
    of this size would be shown four times in five, None where there is none.
    """

    outcome: str
    measure: str
    collection: str
    split: str
    queries: int
    baseline: Estimate
    tuned: Estimate
    difference: Estimate
    p: float
    queries_needed: int | None
    forgotten: tuple[Forgotten, ...] = ()
