"""What prompts are worth, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from rich.console import RenderableType

from nearfield.evaluate.prompts import PromptCost
from nearfield.report.table import column_of, comparison_table
from nearfield.types.comparison import Comparison
from nearfield.types.numbers import UNKNOWN, changed, p_value


def prompts_table(
    comparison: Comparison, costs: Mapping[str, PromptCost], *, without: str
) -> RenderableType:
    """Each use of the prompts, best first, with its paired difference to the row called `without`
    and the tokens that it adds.
    """
    against = {row.name: _against(comparison, row.name, without) for row in comparison.rows}
    column = partial(column_of, comparison.rows)
    columns = (
        column(f"against {without}", lambda row: against[row.name][0], 9, right=False),
        column("p", lambda row: against[row.name][1], 9, right=False),
        column("tokens per query", lambda row: f"+{costs[row.name].query}", 8),
        column("per document", lambda row: f"+{costs[row.name].document}", 8),
    )
    return comparison_table(comparison, columns=columns)


def _against(comparison: Comparison, name: str, without: str) -> tuple[str, str]:
    """The difference to the row called `without` with its interval, and its corrected p."""
    for pair in comparison.pairs:
        if (pair.a, pair.b) == (name, without):
            return changed(pair.difference), p_value(pair.p_holm)
        if (pair.a, pair.b) == (without, name):
            return changed(-pair.difference), p_value(pair.p_holm)
    return UNKNOWN, UNKNOWN
