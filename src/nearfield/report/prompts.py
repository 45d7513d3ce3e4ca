"""What prompts are worth, as a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from rich.console import RenderableType

from nearfield.report.table import Column, Fitted
from nearfield.types.comparison import Comparison, PairTest, Row
from nearfield.types.numbers import UNKNOWN, changed, interval, p_value, score, speed
from nearfield.types.verdict import Estimate


class Cost(Protocol):
    """What prompts add to a text, in tokens."""

    @property
    def query(self) -> int:
        """Tokens that each query grows by."""

    @property
    def document(self) -> int:
        """Tokens that each document grows by."""


def prompts_table(
    comparison: Comparison, costs: Mapping[str, Cost], *, without: str
) -> RenderableType:
    """Each use of the prompts, best first: the measure with its interval, its paired difference to
    the row called `without`, the tokens that it adds, and the speeds.
    """
    rows = comparison.rows
    against = {row.name: _against(comparison, row.name, without) for row in rows}

    def column(
        title: str,
        cell: Callable[[Row], str],
        keep: int,
        *,
        right: bool = True,
        folds: bool = False,
    ) -> Column:
        return Column(title, tuple(cell(row) for row in rows), keep, right, folds)

    columns = (
        column("prompts", lambda row: row.name, 9, right=False, folds=True),
        column(comparison.measure, lambda row: score(row.estimate.mean), 9),
        column("95 %", lambda row: interval(row.estimate), 6, right=False),
        column(f"against {without}", lambda row: against[row.name][0], 9, right=False),
        column("p", lambda row: against[row.name][1], 8, right=False),
        column("tokens a query", lambda row: f"+{costs[row.name].query}", 8),
        column("a document", lambda row: f"+{costs[row.name].document}", 8),
        column("ms a query", lambda row: speed(row.query_milliseconds), 5),
        column("documents/s", lambda row: speed(row.documents_per_second), 4),
    )
    title = (
        f"{comparison.collection} {comparison.split}: {len(comparison.query_ids):,} queries, "
        f"{comparison.documents:,} documents"
    )
    return Fitted(title, columns)


def _against(comparison: Comparison, name: str, without: str) -> tuple[str, str]:
    """The difference to the row called `without` with its interval, and its corrected p."""
    pair: PairTest | None = next(
        (pair for pair in comparison.pairs if {pair.a, pair.b} == {name, without}), None
    )
    if pair is None or name == without:
        return UNKNOWN, UNKNOWN
    found = pair.difference
    difference = found if pair.a == name else Estimate(-found.mean, -found.high, -found.low)
    return changed(difference), p_value(pair.p_holm)
