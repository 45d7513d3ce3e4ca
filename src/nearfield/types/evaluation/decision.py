"""Which of the compared systems to take."""

from __future__ import annotations

from dataclasses import dataclass

from nearfield.types.evaluation.slices import Holes, Slice
from nearfield.types.evaluation.trade_off import TradeOff
from nearfield.types.verdict import Estimate


@dataclass(frozen=True)
class Limits:
    """What a system may cost at most, None for no limit: milliseconds per query, bytes per
    document, dollars per million tokens.
    """

    ms: float | None = None
    bytes: float | None = None
    price: float | None = None


@dataclass(frozen=True)
class Choice:
    """A row of the comparison, and what it costs; None is not known, and for the price none.

    `behind` is the best row's mean minus this one's, paired by item, with its 95 % interval, and
    `p_holm` its p, corrected over all pairs of the comparison; both are None for that row.
    """

    name: str
    estimate: Estimate
    bytes_per_document: float | None
    query_milliseconds: float | None
    price: float | None
    behind: Estimate | None = None
    p_holm: float | None = None
    items_needed: int | None = None


@dataclass(frozen=True)
class NotWorse:
    """The rows that are shown to be behind the best by less than `margin`: `names`, as `p`, each
    other row's one-sided p, corrected over them, is below 2.5 %. `cheapest` costs the least of them
    and the best.
    """

    margin: float
    p: dict[str, float]
    names: tuple[str, ...]
    cheapest: str


@dataclass(frozen=True)
class Decision:
    """The answer to "which one?": `best` has the highest mean, `cheapest` costs least of what
    cannot be told apart from it, and `take` is what to take: under the `limits`, None where nothing
    fits them, else the cheapest that is shown to be `not_worse` than the best.

    `alike` names the other rows that cannot be told apart from the best. `words` are three lines:
    the best, the cheapest, and what to take with how sure that is; where a margin was asked for, a
    fourth names all that are `not_worse`. `trade_off` sets quality against cost, `slices` say where
    another row is first, and `holes` what is not judged.
    """

    best: Choice
    cheapest: Choice
    take: Choice | None
    limits: Limits
    alike: tuple[str, ...]
    words: tuple[str, ...]
    not_worse: NotWorse
    trade_off: TradeOff | None = None
    slices: tuple[Slice, ...] = ()
    holes: tuple[Holes, ...] = ()

    def __str__(self) -> str:
        return "\n".join(self.words)
