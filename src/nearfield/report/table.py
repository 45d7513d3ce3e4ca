"""The same numbers for the terminal, as rich renderables."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeVar

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.constrain import Constrain
from rich.measure import Measurement
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from nearfield.report.axes import clipped
from nearfield.report.words import (
    LETTERS,
    NO_GUARD,
    advice,
    enough_queries,
    guard_line,
    headline,
    in_one_line,
)
from nearfield.types.comparison import Comparison, Row
from nearfield.types.evaluation.slices import Holes, Slice
from nearfield.types.evaluation.trade_off import AtCost
from nearfield.types.finding import ERROR, NOTE, WARNING, Finding
from nearfield.types.numbers import (
    UNKNOWN,
    count,
    interval,
    p_value,
    plural,
    queries,
    score,
    signed,
    size,
    speed,
)
from nearfield.types.verdict import BETTER, NO_DIFFERENCE, WORSE, Verdict

_OUTCOME = {BETTER: "green", NO_DIFFERENCE: "yellow", WORSE: "red"}
PANEL = 100  # columns of the verdict at most: sentences, which nobody reads in longer lines
FOLDED = 20  # characters of a system's name in a line, at the least
T = TypeVar("T")
# the gravest first: `by_severity` sorts by this order
_SEVERITY = {ERROR: "bold red", WARNING: "yellow", NOTE: "dim"}


@dataclass(frozen=True)
class Column:
    """One column of a table that fits itself to the terminal: of a narrow one the column with the
    least `keep` goes first, 8 is what the user asked for, and 9 stays; what `folds` is narrowed.
    """

    title: str
    cells: tuple[str, ...]
    keep: int
    right: bool = True
    folds: bool = False

    @property
    def width(self) -> int:
        """Characters that the longest cell takes."""
        return max(map(len, (self.title, *self.cells)))


def column_of(
    rows: Iterable[T],
    title: str,
    cell: Callable[[T], str],
    keep: int,
    *,
    right: bool = True,
    folds: bool = False,
) -> Column:
    """The column of `cell` of each row."""
    return Column(title, tuple(map(cell, rows)), keep, right, folds)


@dataclass(frozen=True)
class Fitted:
    """A table that leaves out its least needed columns where the terminal is narrow, and says so
    below.
    """

    title: str
    columns: tuple[Column, ...]
    best_first: bool = True

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        shown, hidden = self._fit(options.max_width)
        table = _empty_table(self.title)
        for column in shown:
            _add_column(table, column.title, right=column.right, whole=not column.folds)
        style = "bold" if self.best_first else ""
        for cells in zip(*(column.cells for column in shown), strict=True):
            # as Text: in a plain string rich would take a name's [brackets] for markup
            table.add_row(*map(Text, cells), style=style)
            style = ""
        yield table
        if hidden:
            titles = ", ".join(column.title for column in hidden)
            left_out = f"Left out to fit: {titles} (a wider terminal or --json shows them)."
            yield Text(left_out, style="dim")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(min(20, options.max_width), options.max_width)

    def _fit(self, width: int) -> tuple[list[Column], list[Column]]:
        """The columns that fit into `width` characters, and those that are left out."""
        shown = list(self.columns)
        hidden: list[Column] = []
        while shown:
            # the last of those that are needed least
            least = min(reversed(shown), key=lambda column: column.keep)
            if least.keep >= 9:
                break
            # a long name is folded before a number that was asked for goes
            folded = FOLDED if least.keep >= 8 else width
            needed = 0
            for column in shown:
                taken = min(column.width, folded) if column.folds else column.width
                needed += taken + 2  # the padding
            if needed <= width:
                break
            shown.remove(least)
            hidden.insert(0, least)
        return shown, hidden


def comparison_table(
    comparison: Comparison,
    *,
    named: Sequence[str] = (),
    columns: Sequence[Column] = (),
    letters: bool = False,
) -> RenderableType:
    """All rows, best first: name, dim, storage, main measure with its interval, other measures,
    size and speeds, and with `letters` the groups of rows that are not told apart.

    Where the terminal is narrow, dim, storage, size, latency and the measures in `named` are left
    out last. The caller's `columns` follow the main measure.
    """
    rows = comparison.rows
    main = comparison.measure
    column = partial(column_of, rows)
    queries_asked = len(comparison.query_ids)

    def mean_of(name: str) -> Column:
        return column(name, lambda row: score(row.means.get(name)), 8 if name in named else 2)

    shown = [
        column("system", lambda row: _marked(row, queries_asked), 9, right=False, folds=True),
        column("dim", lambda row: UNKNOWN if row.dim is None else str(row.dim), 8),
        column("storage", lambda row: row.storage or UNKNOWN, 8, right=False),
        column(main, lambda row: score(row.estimate.mean), 9),
        column("95 %", lambda row: interval(row.estimate), 8, right=False),
        *columns,
    ]
    if letters:
        shown.append(column("group", lambda row: row.letters, 7, right=False))
    shown += [mean_of(name) for name in rows[0].means if name != main]
    shown += [
        column("bytes", lambda row: size(row.bytes_per_document), 8),
        column("ms", lambda row: speed(row.query_milliseconds), 8),
        *_prices(comparison),
        column("docs/s", lambda row: speed(row.documents_per_second), 3),
    ]
    title = f"{comparison.collection} / {comparison.split}: {asked(comparison)}"
    parts: list[RenderableType] = [Fitted(title, tuple(shown))]
    if letters:
        parts.append(Text(LETTERS, style="dim"))
    parts += [Text(f"Note: {note}", style="yellow") for note in comparison.notes]
    return Group(*parts)


def _prices(comparison: Comparison) -> list[Column]:
    """What vendors are paid, where any is."""
    prices = comparison.prices
    if not prices:
        return []
    documents = []
    tokens = []
    for row in comparison.rows:
        price = prices.get(row.name)
        documents.append(UNKNOWN if price is None else f"{price.per_thousand_documents:.3g}")
        tokens.append(UNKNOWN if price is None else f"{price.per_million_tokens:.3g}")
    return [Column("$/1,000 docs", tuple(documents), 8), Column("$/M tokens", tuple(tokens), 4)]


def asked(comparison: Comparison) -> str:
    """How many items were asked, and of a retrieval among how many documents."""
    items = plural(len(comparison.query_ids), comparison.item)
    if comparison.item != "query":
        return items
    return f"{items}, {plural(comparison.documents, 'document')}"


def _marked(row: Row, queries: int) -> str:
    """The row's name without the dim and the storage, which have columns of their own; marked where
    the model was trained on some of the queries.
    """
    name = row.model if row.name == f"{row.model} {row.dim} {row.storage}" else row.name
    if not row.trained_on:
        return name
    return f"{name} (trained on {count(row.trained_on)} of {count(queries)})"


def pairs_table(comparison: Comparison) -> RenderableType:
    """Each pair of rows: the paired difference, its p before and after Holm's correction and by
    Tukey's range test, the queries that would show it, and the least difference that those asked
    show four times in five.
    """
    table = _table(
        "Pairs",
        ("a minus b", "difference", "95 %", "p", "Holm", "Tukey", "queries needed", "detectable"),
        right=(1, 3, 4, 5, 6, 7),
    )
    for pair in comparison.pairs:
        p = p_short(pair.p)
        holm = p_short(pair.p_holm)
        difference = (signed(pair.difference.mean), interval(pair.difference))
        power = (queries(pair.queries_needed), score(pair.detectable))
        tukey = UNKNOWN if pair.p_tukey is None else p_short(pair.p_tukey)
        row = (f"{pair.a} − {pair.b}", *difference, p, holm, tukey, *power)
        table.add_row(*map(Text, row))
    return table


def slices_table(found: Sequence[Slice]) -> RenderableType:
    """Each slice: its items, the row that is first there, and how far it is ahead where that is not
    the best of all.
    """
    table = _table(
        "Slices", ("slice", "items", "first", "mean", "ahead", "95 %", "p"), right=(1, 3, 4, 6)
    )
    for each in found:
        first = next(iter(each.means))
        cells = [f"{each.by}: {each.name}", count(each.items), first, score(each.means[first])]
        if each.ahead is not None and each.p is not None:
            cells += [signed(each.ahead.mean), interval(each.ahead), p_short(each.p)]
        table.add_row(*map(Text, cells))
    return table


def holes_table(found: Sequence[Holes]) -> RenderableType:
    """Of each row, what nobody has judged, and the measure if that were relevant or not."""
    titles = ("not judged", "of the top", "share", "if none is relevant", "if all are")
    table = _table("Holes in the judgements", titles, right=(1, 2, 3, 4))
    for each in found:
        bounds = (score(each.low), score(each.high))
        table.add_row(*map(Text, (each.row, str(each.depth), f"{each.share:.0%}", *bounds)))
    return table


def at_cost_table(found: Sequence[AtCost], comparison: Comparison) -> RenderableType:
    """The best row of each model at the same bytes and at the same milliseconds."""
    means = {row.name: row.estimate.mean for row in comparison.rows}
    table = _table(
        "Models at the same cost",
        ("at most", "system", comparison.measure, "behind the first", "95 %", "Holm"),
        right=(0, 2, 3, 5),
    )
    for each in found:
        limit = f"{speed(each.limit)} ms" if each.unit == "ms" else size(each.limit)
        first, *others = each.names
        table.add_row(*map(Text, (limit, first, score(means[first]))))
        for name, behind, p in zip(others, each.behind, each.p_holm, strict=True):
            cells = ("", name, score(means[name]), score(behind.mean), interval(behind), p_short(p))
            table.add_row(*map(Text, cells))
    return table


def findings_table(findings: Sequence[Finding]) -> RenderableType:
    """The doctor's findings, errors first, or a line that says there are none."""
    if not findings:
        return Text("The doctor found nothing to fix.", style="green")
    table = _empty_table("Findings")
    _add_column(table, "severity", right=False, whole=True)
    _add_column(table, "check", right=False, whole=True)
    _add_column(table, "example, and what to do", right=False, whole=False)
    for finding in by_severity(findings):
        style = _SEVERITY.get(finding.severity, "")
        affected = f"{count(finding.count)} of {count(finding.total)}"
        cells = (
            Text(finding.severity, style),
            Text(f"{finding.check}\n{affected}"),
            # below each other, so that both are wide enough for the name of a model
            Text.assemble((clipped(finding.example, 200), "dim"), "\n", finding.fix),
        )
        table.add_row(*cells)
    return table


def by_severity(findings: Iterable[Finding]) -> list[Finding]:
    """Errors, then warnings, then notes; otherwise in the order given."""
    order = {severity: place for place, severity in enumerate(_SEVERITY)}
    return sorted(findings, key=lambda finding: order.get(finding.severity, len(order)))


def verdict_panel(verdict: Verdict, comparison: Comparison | None = None) -> RenderableType:
    """The verdict: its word first, then the numbers, then a line for each guard, then what to do.
    `comparison` is what the verdict was made of.
    """
    style = _OUTCOME.get(verdict.outcome, "red")
    lines = [Text.assemble((verdict.outcome.upper(), f"bold {style}"), ": ", in_one_line(verdict))]
    if verdict.outcome == NO_DIFFERENCE:
        lines.append(Text(enough_queries(verdict), style="dim"))
    for guard in verdict.forgotten:
        lines.append(Text(f"Guard {guard_line(guard)}", style="" if guard.kept else "bold red"))
    if not verdict.forgotten:
        lines.append(Text(NO_GUARD, style="dim"))
    lines.append(Text(advice(verdict, comparison)))
    panel = Panel(
        Group(*lines),
        title=Text(headline(verdict, comparison)),
        title_align="left",
        border_style=style,
        padding=(1, 2),
    )
    return Constrain(panel, PANEL)


def p_short(p: float) -> str:
    """A p without its letter, for a column: .031, <.0001."""
    return p_value(p).removeprefix("p ").removeprefix("= ").replace("< ", "<")


def _table(title: str, columns: Sequence[str], *, right: Collection[int]) -> Table:
    """A table with these columns; those whose places are in `right` hold numbers."""
    table = _empty_table(title)
    for place, column in enumerate(columns):
        number = place in right
        _add_column(table, column, right=number, whole=number)
    return table


def _empty_table(title: str) -> Table:
    return Table(
        title=Text(title) if title else None,
        title_justify="left",
        title_style="bold",
        header_style="dim",
        box=None,
        padding=(0, 2, 0, 0),
    )


def _add_column(table: Table, title: str, *, right: bool, whole: bool) -> None:
    """Add a column whose cells stand on the `right`, and are not folded where they are `whole`."""
    justify: Literal["right", "left"] = "right" if right else "left"
    table.add_column(Text(title), justify=justify, no_wrap=whole, overflow="fold")
