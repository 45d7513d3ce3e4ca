"""The report: one HTML file that needs no network, from what a run folder holds."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Mapping
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any

from nearfield.extras import require
from nearfield.report import plots, run_plots, words
from nearfield.report.axes import Plot, clipped
from nearfield.report.facts import Example, RunFacts, read_run
from nearfield.report.reproduce import command, flat, toml
from nearfield.report.table import by_severity, p_short
from nearfield.store.atomic import write_text
from nearfield.types import numbers
from nearfield.types.comparison import Comparison

NAME = "report.html"
NUMBERS = (
    "count",
    "duration",
    "interval",
    "p_value",
    "queries",
    "score",
    "signed",
    "size",
    "speed",
)
FIRST_MEASURES = ("R@10", "R@100", "RR@10")  # with a column of their own in the first table
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
    jinja2 = require("jinja2", extra="report")
    plotly = require("plotly.offline", extra="report")
    markup = require("markupsafe", extra="report").Markup
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= _FILTERS
    drawn = _plots(facts)
    scripts = {"plotly": _script(plotly.get_plotlyjs()), "js": _script(_resource("page.js"))}
    raw = {"css": _resource("page.css"), "figures": _figures(drawn), **scripts}
    page = environment.from_string(_resource("page.html.jinja")).render(
        **{name: markup(text) for name, text in raw.items()},
        **vars(facts),
        policy=_policy(scripts.values()),
        plots=drawn,
        words=words,
        first_measures=FIRST_MEASURES,
        measure=_measure(facts),
        matrix=_matrix(facts.storage) if facts.storage else None,
        tally=run_plots.tally(facts.queries),
        command=command(facts),
    )
    return str(page)


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
        moment = datetime.fromisoformat(started)
    except ValueError:
        return started
    return f"{moment.day} {moment:%B %Y}"


def _margin(facts: RunFacts) -> float | None:
    """What a guard may lose, where the run says it."""
    if facts.verdict and facts.verdict.forgotten:
        return facts.verdict.forgotten[0].margin
    merge = facts.recipe.get("merge")
    margin = merge.get("margin") if isinstance(merge, Mapping) else None
    return margin if isinstance(margin, float) else None


def _measure(facts: RunFacts) -> str:
    for part in (facts.verdict, facts.comparison, facts.storage):
        if part is not None:
            return part.measure
    return next((step.measure for step in facts.training if step.measure), "the measure")


def _matrix(storage: Comparison) -> dict[str, Any]:
    cut = sorted({row.dim for row in storage.rows if row.dim is not None}, reverse=True)
    dims: list[int | None] = [*cut] or [None]  # what is not cut has none
    cells = {(row.model, row.storage, row.dim): row for row in storage.rows}
    groups = []
    for model in dict.fromkeys(row.model for row in storage.rows):
        lines = [
            (kind, [cells.get((model, kind, dim)) for dim in dims])
            for kind in plots.storage_types(storage)
        ]
        groups.append((model, [(kind, rows) for kind, rows in lines if any(rows)]))
    return {"dims": dims, "groups": groups}


def _by_change(examples: tuple[Example, ...], *, gained: bool) -> list[Example]:
    chosen = [
        example
        for example in examples
        if (example.after > example.before if gained else example.after < example.before)
    ]
    return sorted(chosen, key=lambda example: example.before - example.after, reverse=not gained)


def _figures(drawn: Mapping[str, Plot | None]) -> str:
    """The figures as JSON that can stand inside a script element whatever texts are in it."""
    value = {
        name: {"data": plot.data, "layout": plot.layout, "height": plot.height}
        for name, plot in drawn.items()
        if plot
    }
    text = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _finite(value: Any) -> Any:
    """JSON has no NaN: such a number becomes null, which a plot leaves out."""
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _policy(scripts: Any) -> str:
    """A content security policy: nothing is loaded from anywhere, and no script runs but the page's
    own two, by their hash.
    """
    hashes = [
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts
    ]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _script(text: str) -> str:
    """JavaScript that can stand inside a script element; line ends as the browser reads them, for
    the hash.
    """
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("</script", "<\\/script")


def _resource(name: str) -> str:
    return resources.files("nearfield.report").joinpath(name).read_text(encoding="utf-8")


def _snippet(text: str, most: int = 400) -> str:
    """The beginning of a document, with its own line breaks."""
    return text.strip("\n") if len(text) <= most else f"{text.strip()[:most]}…"


_FILTERS = {
    **{name: getattr(numbers, name) for name in NUMBERS},
    "by_severity": by_severity,
    "changed": _by_change,
    "clip": clipped,
    "day": _day,
    "flat": flat,
    "guard_line": words.guard_line,
    "is_code": _CODE.search,
    "p_short": p_short,
    "snippet": _snippet,
    "toml": toml,
}
