"""Models side by side on one task."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field

from nearfield.types.evaluation.decision import Decision
from nearfield.types.numbers import count, estimated
from nearfield.types.price import Price
from nearfield.types.verdict import Estimate


@dataclass(frozen=True)
class Row:
    """One system: a model at a dimension and a storage type, or a lexical or fused baseline.

    `means` holds every measure's mean by name; `estimate` is the main measure's with its interval.
    `letters` names the groups of rows that it cannot be told apart from: two rows that share a
    letter are not told apart. `per_query` are the main measure's values in the order of the
    comparison's `query_ids`. Speeds are None where nothing was encoded. `trained_on` is how many of
    the queries the model was trained on.
    """

    name: str
    model: str
    dim: int | None
    storage: str
    estimate: Estimate
    means: dict[str, float]
    letters: str
    bytes_per_document: float
    documents_per_second: float | None
    query_milliseconds: float | None
    per_query: tuple[float, ...]
    trained_on: int = 0


@dataclass(frozen=True)
class PairTest:
    """Row `a` against row `b`: `difference` is a minus b, paired by query; `p_holm` is corrected
    over all pairs of rows.

    `queries_needed` is None where no number of queries would show the difference. `spread` is the
    standard deviation of one query's difference, and `detectable` the least difference that would
    be shown four times in five with as many queries as were asked, None where they are too few.
    `p_tukey` is corrected by Tukey's range test, which is for three rows or more of means.
    Comparisons that were written before lack these.
    """

    a: str
    b: str
    difference: Estimate
    p: float
    p_holm: float
    queries_needed: int | None
    spread: float | None = None
    detectable: float | None = None
    p_tukey: float | None = None


@dataclass(frozen=True)
class Comparison:
    """All rows, best first, and the test of each pair of them.

    `notes` are warnings in words, one per line. `task` is the name of what was measured, and `item`
    what one value belongs to. `prices` are by the name of the row, where a vendor is paid, and
    `decision` says which row to take.
    """

    collection: str
    split: str
    documents: int
    measure: str
    query_ids: tuple[str, ...]
    rows: tuple[Row, ...]
    pairs: tuple[PairTest, ...]
    notes: tuple[str, ...] = ()
    task: str = "retrieval"
    item: str = "query"
    prices: Mapping[str, Price] = field(default_factory=dict)
    decision: Decision | None = None

    def __str__(self) -> str:
        """The rows, best first: name, mean with its interval, and letters; then the decision."""
        width = max((len(row.name) for row in self.rows), default=0)
        title = f"{self.measure} on {count(len(self.query_ids))} items of {self.collection}"
        rows = [
            f"{row.name:<{width}}  {estimated(row.estimate)}  {row.letters}" for row in self.rows
        ]
        return "\n".join([title, *rows, *self._decided])

    def _repr_html_(self) -> str:
        """The same for a notebook, as a table with the decision below it."""
        lines = [_table_line("th", "system", self.measure, "group")]
        for row in self.rows:
            lines.append(_table_line("td", row.name, estimated(row.estimate), row.letters))
        below = [f"<p>{html.escape(line)}</p>" for line in self._decided]
        return f"<table>{''.join(lines)}</table>{''.join(below)}"

    @property
    def _decided(self) -> tuple[str, ...]:
        return self.decision.words if self.decision else ()


def _table_line(tag: str, *cells: str) -> str:
    written = [f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells]
    return f"<tr>{''.join(written)}</tr>"
