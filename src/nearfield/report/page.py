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
from nearfield.report import plots, words
from nearfield.report.axes import clipped
from nearfield.report.facts import Example, RunFacts, read_run
from nearfield.report.plots import Plot
from nearfield.report.reproduce import command, flat, toml
from nearfield.report.table import by_severity, p_short
from nearfield.store.atomic import write_text
from nearfield.types import numbers
from nearfield.types.comparison import Comparison

NAME = "report.html"
SHOWN = ("R@10", "R@100", "RR@10")  # measures with a column of their own in the first table
_CODE = re.compile(
    r"\n[ \t]{2,}\S|^\s*(async "
    r"def|def|class|import|from|function|public|fn|const|#include)\b|[;{}]\s*$",
    re.MULTILINE,
)


def write_report(run_folder: str | Path) -> Path:
    """Write report.html into the run folder and return its path; parts that the run lacks are named
    there as missing.

    Raises InputError for a folder that is no run or is damaged, MissingExtra without plotly and
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
        policy=_policy(scripts.values()),
        plots=drawn,
        **_verdict(facts),
        **_parts(facts),
        **_reproduction(facts),
    )
    return str(page)


def _plots(facts: RunFacts) -> dict[str, Plot | None]:
    comparison, storage, merge = facts.comparison, facts.storage, facts.merge
    choices = sorted(merge, key=lambda choice: choice.ratio)
    return {
        "forest": plots.forest(comparison) if comparison and comparison.rows else None,
        "sizes": plots.sizes(storage) if storage and storage.rows else None,
        "loss": plots.loss(facts.training),
        "dev": plots.dev(facts.training),
        "merge_dev": plots.merge_dev(choices) if merge else None,
        "merge_guards": plots.merge_guards(choices, _margin(facts)) if merge else None,
        "changes": plots.changes(facts.queries, _measure(facts)) if facts.queries else None,
    }


def _verdict(facts: RunFacts) -> dict[str, Any]:
    about, verdict = facts.about, facts.verdict
    shared = {"verdict": verdict, "about": _about(facts), "tone": ""}
    if verdict is None:
        return {**shared, "title": f"{about.model} on {about.collection}: no verdict yet"}
    kept = all(guard.kept for guard in verdict.forgotten)
    return {
        **shared,
        "title": f"{about.model} tuned on {about.collection}: {verdict.outcome}",
        "headline": words.headline(verdict),
        "summary": words.summary(verdict, about.model),
        "meaning": words.measure_meaning(verdict.measure),
        "advice": words.advice(verdict, facts.comparison),
        "tone": verdict.outcome.split()[0] if kept else "warning",
    }


def _parts(facts: RunFacts) -> dict[str, Any]:
    comparison, storage = facts.comparison, facts.storage
    has_rows = comparison is not None and bool(comparison.rows)
    evaluated = next((step.measure for step in facts.training if step.measure), "")
    return {
        "comparison": comparison if has_rows else None,
        **_measures(comparison if has_rows else None),
        "told_apart": words.told_apart(comparison) if comparison and has_rows else "",
        "letters": words.LETTERS,
        "storage": storage,
        "matrix": _matrix(storage) if storage else None,
        "measure": _measure(facts),
        "dev_title": f"{evaluated} on dev by step" if evaluated else "Dev by step",
        "seconds": ", ".join(
            f"{stage} {numbers.duration(time)}" for stage, time in facts.about.seconds.items()
        ),
        "merge": facts.merge,
        "fusion": words.fusion(**vars(facts.fusion)) if facts.fusion else "",
        "guards": list(facts.merge[0].guards) if facts.merge else [],
        "queries": len(facts.queries),
        "tally": plots.tally(facts.queries),
        "gained": _by_change(facts.examples, gained=True),
        "lost": _by_change(facts.examples, gained=False),
        "findings": None if facts.findings is None else by_severity(facts.findings),
    }


def _measures(comparison: Comparison | None) -> dict[str, list[str]]:
    """The measures beside the main one: those that the table shows at once, and those that it shows
    when asked.
    """
    others = (
        [name for name in comparison.rows[0].means if name != comparison.measure]
        if comparison
        else []
    )
    return {
        "shown": [name for name in others if name in SHOWN],
        "others": [name for name in others if name not in SHOWN],
    }


def _reproduction(facts: RunFacts) -> dict[str, Any]:
    return {
        "command": command(facts),
        "reproduction": (("Data", flat(facts.data)), ("Environment", flat(facts.environment))),
        "recipe": toml(facts.recipe),
        "remarks": facts.about.notes,
    }


def _about(facts: RunFacts) -> str:
    about = facts.about
    sizes = ", ".join(f"{numbers.count(size)} {split}" for split, size in about.split_sizes.items())
    parts = [
        f"{about.model} tuned on {about.collection}",
        f"{numbers.count(about.documents)} documents" if about.documents else "",
    ]
    parts += [f"queries: {sizes}" if sizes else "", _day(about.started)]
    return " · ".join(part for part in parts if part)


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


def _is_code(text: str) -> bool:
    return bool(_CODE.search(text))


_FILTERS = {
    **{
        name: getattr(numbers, name)
        for name in ("count", "interval", "p_value", "queries", "score", "signed", "size", "speed")
    },
    "clip": clipped,
    "guard_line": words.guard_line,
    "is_code": _is_code,
    "p_short": p_short,
    "snippet": _snippet,
}
