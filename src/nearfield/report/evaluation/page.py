"""One HTML page of a comparison that needs no network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from nearfield.report import plots, words
from nearfield.report.evaluation.plots import histograms, map_plot, pareto
from nearfield.report.html import rendered
from nearfield.store.atomic import write_text
from nearfield.types.comparison import Comparison
from nearfield.types.evaluation.look import Attributed, Look

STRONGEST = 45  # percent of its colour that the part which counts most is painted with
NOTHING = Look(0)


def write_evaluation(path: str | Path, comparison: Comparison, look: Look = NOTHING) -> None:
    """Write the page of a comparison, and of a look into its models, as `evaluate.analysis.look`
    gives one. Raises MissingExtra without plotly and jinja2, StorageError when it cannot be
    written.
    """
    write_text(Path(path), evaluation_page(comparison, look))


def evaluation_page(comparison: Comparison, look: Look = NOTHING) -> str:
    """The page as HTML. Of many rows those are listed that are better than all smaller ones, and
    the best of each model; the plots have all.
    """
    shown = _shown(comparison)
    decision = comparison.decision
    drawn = {
        "forest": plots.forest(shown),
        "bytes": pareto(comparison, "bytes"),
        "ms": pareto(comparison, "ms"),
        "histograms": histograms(look.insides),
        "map": map_plot(look.map) if look.map else None,
    }
    values = {
        "comparison": shown,
        "rows": len(comparison.rows),
        "decision": decision,
        "flips": words.flips(decision.slices) if decision else [],
        "look": look,
    }
    return rendered("evaluation/page.html.jinja", drawn, {"painted": _painted}, values)


def _shown(comparison: Comparison) -> Comparison:
    # the first row of each model, as the last that is put under a key stays
    best = {row.model: row.name for row in reversed(comparison.rows)}
    kept = set(best.values())
    decision = comparison.decision
    if decision and decision.trade_off:
        kept.update(decision.trade_off.frontier)
    rows = tuple(row for row in comparison.rows if row.name in kept)
    pairs = tuple(pair for pair in comparison.pairs if {pair.a, pair.b} <= kept)
    return replace(comparison, rows=rows, pairs=pairs, decision=None)  # which stands on top


def _painted(each: Attributed) -> Iterator[tuple[str, float, str, int]]:
    """Each part with its value, what it does ("for", "against") and how strongly, in percent."""
    most = max(abs(value) for _, value in each.parts) or 1.0
    for name, value in each.parts:
        # the marks of WordPiece, byte-level BPE and SentencePiece
        plain = name.removeprefix("##").replace("Ġ", " ").replace("▁", " ")
        strength = round(STRONGEST * abs(value) / most)
        yield plain, value, "for" if value >= 0 else "against", strength
