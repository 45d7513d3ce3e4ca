"""The report: one HTML file that needs no network, from what a run folder holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from nearfield.report import plots, run_plots, words
from nearfield.report.axes import Plot
from nearfield.report.facts import Example, RunFacts, read_run
from nearfield.report.html import rendered
from nearfield.report.reproduce import command, flat, toml
from nearfield.report.table import by_severity
from nearfield.store.atomic import write_text
from nearfield.types.comparison import Comparison

NAME = "report.html"
# an indented line, a first word of programming languages, or a line that ends like a statement
_CODE = re.compile(
    r"\n[ \t]{2,}\S|^\s*(async "
    r"def|def|class|import|from|function|public|fn|const|#include)\b|[;{}]\s*$",
    re.MULTILINE,
)


def write_report(run_folder: str | Path) -> Path:
    """Write report.html into the run folder and return its path; parts that the run lacks are named
    there as missing.

    Raises InputError for a folder that is not a run or is damaged, MissingExtra without plotly and
    jinja2, StorageError when it cannot be written.
    """
    facts = read_run(run_folder)
    path = facts.folder / NAME
    write_text(path, render(facts))
    return path


def render(facts: RunFacts) -> str:
    """The page as HTML."""
    values = {
        **vars(facts),
        "measure": _measure(facts),
        "matrix": _matrix(facts.storage) if facts.storage else None,
        "tally": run_plots.tally(facts.queries),
        "command": command(facts),
    }
    return rendered("page.html.jinja", _plots(facts), _FILTERS, values)


_PLOTS = ("forest", "sizes", "loss", "dev", "merge_dev", "merge_guards", "changes")


def _plots(facts: RunFacts) -> dict[str, Plot | None]:
    drawn: dict[str, Plot | None] = dict.fromkeys(_PLOTS)
    if facts.comparison and facts.comparison.rows:
        drawn["forest"] = plots.forest(facts.comparison)
    if facts.storage and facts.storage.rows:
        drawn["sizes"] = plots.sizes(facts.storage)
    drawn["loss"] = run_plots.loss(facts.training)
    drawn["dev"] = run_plots.dev(facts.training)
    if facts.merge:
        choices = sorted(facts.merge, key=lambda choice: choice.ratio)
        drawn["merge_dev"] = run_plots.merge_dev(choices)
        drawn["merge_guards"] = run_plots.merge_guards(choices, _margin(facts))
    if facts.queries:
        drawn["changes"] = run_plots.changes(facts.queries, _measure(facts))
    return drawn


def _day(started: str) -> str:
    try:
        # "" where a run does not say when it began
        moment = datetime.fromisoformat(started)
    except ValueError:
        return started
    return f"{moment.day} {moment:%B %Y}"


def _margin(facts: RunFacts) -> float | None:
    """What a guard may lose, where the run says it."""
    if facts.verdict and facts.verdict.forgotten:
        return facts.verdict.forgotten[0].margin
    # of a run that has not reached its verdict
    merge = facts.origin.recipe.get("merge")
    margin = merge.get("margin") if isinstance(merge, Mapping) else None
    return margin if isinstance(margin, float) else None


def _measure(facts: RunFacts) -> str:
    """The main measure, by whichever part of the run has got as far as to name it."""
    for part in (facts.verdict, facts.comparison, facts.storage, *facts.training):
        if part is not None and part.measure:
            return part.measure
    return "the measure"


def _matrix(storage: Comparison) -> dict[str, Any]:
    """The rows as a table: each model's storages, and for each storage its row at each of `dims`,
    None where there is none.
    """
    cut = sorted({row.dim for row in storage.rows if row.dim is not None}, reverse=True)
    dims: list[int | None] = [*cut] or [None]  # what is not cut has none
    cells = {(row.model, row.storage, row.dim): row for row in storage.rows}
    groups = []
    for model in dict.fromkeys(row.model for row in storage.rows):
        lines = []
        for kind in plots.storage_types(storage):
            rows = [cells.get((model, kind, dim)) for dim in dims]
            if any(rows):
                lines.append((kind, rows))
        groups.append((model, lines))
    return {"dims": dims, "groups": groups}


def _by_change(examples: tuple[Example, ...], *, gained: bool) -> list[Example]:
    """Those that gained, the greatest gain first; or those that lost, the greatest loss first."""
    sign = 1 if gained else -1
    changes = [(sign * (example.after - example.before), example) for example in examples]
    changed = [pair for pair in changes if pair[0] > 0]
    return [example for _, example in sorted(changed, key=lambda pair: -pair[0])]


def _snippet(text: str, most: int = 400) -> str:
    """The beginning of a document, with its own line breaks."""
    if len(text) <= most:
        return text.strip("\n")
    return f"{text.strip()[:most]}…"


_FILTERS: dict[str, Callable[..., Any]] = {
    "by_severity": by_severity,
    "changed": _by_change,
    "day": _day,
    "flat": flat,
    "guard_line": words.guard_line,
    "is_code": _CODE.search,
    "snippet": _snippet,
    "toml": toml,
}
