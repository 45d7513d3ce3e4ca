"""The page's plots, as plotly figures in plain dicts.

Colours are names of the page's own palette (`$accent`), which the page resolves when it draws, so
that one figure serves light, dark and print.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from nearfield.report.axes import (
    LEGEND,
    SAME,
    clipped,
    frame,
    layout,
    line,
    points,
    safe,
    score_axis,
    wrapped,
)
from nearfield.report.facts import MergeChoice, QueryChange, Step
from nearfield.types.comparison import Comparison, Row
from nearfield.types.numbers import estimated, interval, plural, score, signed, size

# queries drawn at most; more would be less than a pixel each and make the page heavy
MOST_POINTS = 2000
_SERIES = ("$accent", "$second", "$third", "$fourth", "$fifth")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross")


@dataclass(frozen=True)
class Plot:
    """A figure with its height in pixels and what it shows in words, for who cannot see it."""

    data: tuple[dict[str, Any], ...]
    layout: dict[str, Any]
    height: int
    summary: str


def forest(comparison: Comparison) -> Plot:
    """Each system's mean with its 95 % interval, best on top; in colour where it cannot be told
    apart from the best.
    """
    rows, best = comparison.rows, set(comparison.rows[0].letters)
    places = [-place for place in range(len(rows))]
    colours = ["$accent" if row is rows[0] or best & set(row.letters) else "$muted" for row in rows]
    bars = [
        line([row.estimate.low, row.estimate.high], [place, place], color=colour, width=3)
        for row, place, colour in zip(rows, places, colours, strict=True)
    ]
    means = {
        "type": "scatter",
        "mode": "markers",
        "x": [row.estimate.mean for row in rows],
        "y": places,
        "showlegend": False,
        "marker": {"size": 12, "color": colours},
        "customdata": [[safe(row.name), estimated(row.estimate), row.letters] for row in rows],
        "hovertemplate": "<b>%{customdata[0]}</b><br>%{customdata[1]}<br>group "
        "%{customdata[2]}<extra></extra>",
    }
    ends = [bound for row in rows for bound in (row.estimate.low, row.estimate.high)]
    own = {
        "xaxis": score_axis(ends, pad=0.04),
        "yaxis": {"visible": False, "range": [places[-1] - 0.4, 0.75], "fixedrange": True},
        "annotations": [
            label
            for row, place in zip(rows, places, strict=True)
            for label in _row_labels(row, place)
        ],
        "margin": {"l": 2, "r": 2, "t": 4, "b": 28},
    }
    listed = "; ".join(f"{row.name} {estimated(row.estimate)}, group {row.letters}" for row in rows)
    return Plot(
        (*bars, means),
        layout(own),
        36 + 56 * len(rows),
        f"{comparison.measure} with 95 % intervals, best first: {listed}.",
    )


def _row_labels(row: Row, place: int) -> list[dict[str, Any]]:
    label = {
        "y": place,
        "yshift": 19,
        "xref": "paper",
        "showarrow": False,
        "bgcolor": "$paper",
        "borderpad": 0,
        "font": {"color": "$ink"},
    }
    number = f"<b>{score(row.estimate.mean)}</b> {interval(row.estimate)}  {safe(row.letters)}"
    return [
        {**label, "x": 0, "xanchor": "left", "text": safe(clipped(row.name, 36))},
        {**label, "x": 1, "xanchor": "right", "text": number},
    ]


def sizes(comparison: Comparison) -> Plot:
    """Quality against bytes a document: a line for each storage, full for the first model and
    dotted for the others.
    """
    rows, storages = (
        [row for row in comparison.rows if row.bytes_per_document > 0],
        storage_types(comparison),
    )
    models = sorted({row.model: 0 for row in rows}, key=lambda model: model != "tuned")
    traces = []
    for number, storage in enumerate(storages):
        for model in models:
            of_both = [row for row in rows if row.storage == storage and row.model == model]
            if of_both:
                traces.append(
                    _size_line(
                        sorted(of_both, key=lambda row: row.bytes_per_document),
                        number,
                        first=model == models[0],
                    )
                )
    for model in models:
        key = line([None], [None], color="$muted", dash="solid" if model == models[0] else "dot")
        traces.append({**key, "name": safe(model), "showlegend": True})
    ends = [bound for row in rows for bound in (row.estimate.low, row.estimate.high)]
    drawn = layout(
        {"xaxis": _size_axis(rows), "yaxis": score_axis(ends, ticks=6), "legend": LEGEND}
    )
    best = comparison.rows[0]
    words = (
        f"{comparison.measure} against bytes a document for {', '.join(models)} in "
        f"{', '.join(storages)}"
    )
    words += f". Best: {best.name}, {estimated(best.estimate)}. The table below has every value."
    return Plot(tuple(traces), drawn, 440, words)


def _size_axis(rows: Sequence[Row]) -> dict[str, Any]:
    least, most = (end(row.bytes_per_document for row in rows) for end in (min, max))
    ticks = [2 * 4**power for power in range(32) if least * 0.8 <= 2 * 4**power <= most * 1.2]
    ends = [math.log10(least * 0.8), math.log10(most * 1.3)]
    return {
        **frame("bytes a document"),
        "type": "log",
        "range": ends,
        "tickvals": ticks,
        "ticktext": [size(tick) for tick in ticks],
    }


def _size_line(rows: Sequence[Row], number: int, *, first: bool) -> dict[str, Any]:
    colour = _SERIES[number % len(_SERIES)]
    nudge = 1 + 0.03 * number  # so that intervals of equal size stand beside each other
    above, below = (
        [abs(end - row.estimate.mean) for row, end in zip(rows, ends, strict=True)]
        for ends in _ends(rows)
    )
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": [row.bytes_per_document * nudge for row in rows],
        "y": [row.estimate.mean for row in rows],
        "name": safe(rows[0].storage),
        "legendgroup": safe(rows[0].storage),
        "showlegend": first,
        "line": {
            "color": colour,
            "width": 2.5 if first else 1.5,
            "dash": "solid" if first else "dot",
        },
        "marker": {
            "color": colour if first else "$paper",
            "size": 8 if first else 7,
            "symbol": _SYMBOLS[number % len(_SYMBOLS)],
            "line": {"color": colour, "width": 1.5},
        },
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": above,
            "arrayminus": below,
            "color": colour,
            "thickness": 1,
            "width": 0,
        },
        "customdata": [
            [safe(row.name), estimated(row.estimate), size(row.bytes_per_document)] for row in rows
        ],
        "hovertemplate": "<b>%{customdata[0]}</b><br>%{customdata[1]}<br>%{customdata[2]} a "
        "document<extra></extra>",
    }


def _ends(rows: Sequence[Row]) -> tuple[list[float], list[float]]:
    return [row.estimate.high for row in rows], [row.estimate.low for row in rows]


def loss(steps: Sequence[Step]) -> Plot | None:
    """The training loss by step; None when no step has one."""
    drawn = [
        (step.step, step.loss)
        for step in steps
        if step.loss is not None and math.isfinite(step.loss)
    ]
    if not drawn:
        return None
    x, y = [step for step, _ in drawn], [value for _, value in drawn]
    trace = points(
        x, y, color="$accent", hover=[f"step {step}<br>loss {value:.3f}" for step, value in drawn]
    )
    trace["marker"] |= {"opacity": 0 if len(drawn) > 1 else 1}  # one step is no line
    trace["line"]["width"] = 2
    axis = {**frame(), "rangemode": "tozero", "nticks": 5}
    summary = f"Training loss from {y[0]:.2f} at step {x[0]} to {y[-1]:.2f} at step {x[-1]}."
    return Plot((trace,), layout({"xaxis": _steps_axis(x), "yaxis": axis}), 260, summary)


def dev(steps: Sequence[Step]) -> Plot | None:
    """The main measure on dev by step; None when there was no evaluation."""
    drawn = [
        (step.step, step.dev) for step in steps if step.dev is not None and math.isfinite(step.dev)
    ]
    if not drawn:
        return None
    x, y = [step for step, _ in drawn], [value for _, value in drawn]
    measure = next((step.measure for step in steps if step.measure), "the main measure")
    trace = points(
        x, y, color="$accent", hover=[f"step {step}<br>{score(value)}" for step, value in drawn]
    )
    best = max(drawn, key=lambda one: one[1])
    summary = (
        f"{measure} on dev at {plural(len(drawn), 'evaluation')}; best {score(best[1])} at "
        f"step {best[0]}."
    )
    return Plot(
        (trace,), layout({"xaxis": _steps_axis(x), "yaxis": score_axis(y, pad=0.12)}), 260, summary
    )


def _steps_axis(steps: Sequence[int]) -> dict[str, Any]:
    few = {"tickvals": list(steps)} if len(steps) < 3 else {"nticks": 6}  # plotly would part a step
    return {**frame("step"), **few, "tickformat": ",d"}


def merge_dev(choices: Sequence[MergeChoice]) -> Plot:
    """The main measure on dev by the share of tuned weights."""
    return _by_share(
        choices, {"dev": [choice.dev for choice in choices]}, allowed=None, colours=("$accent",)
    )


def merge_guards(choices: Sequence[MergeChoice], margin: float | None) -> Plot | None:
    """The guards by the share of tuned weights, with the least that `margin` allows where there is
    one guard; None without.
    """
    guards = list(choices[0].guards)
    if not guards:
        return None
    choices = [choice for choice in choices if choice.guards]  # the others were not measured
    values = {guard: [choice.guards.get(guard, math.nan) for choice in choices] for guard in guards}
    base = [
        choice.guards[guards[0]] for choice in choices if choice.ratio == 0 and len(guards) == 1
    ]
    known = [before - margin for before in base if margin is not None]
    return _by_share(choices, values, allowed=known[0] if known else None, colours=_SERIES[1:])


def _by_share(
    choices: Sequence[MergeChoice],
    lines: dict[str, list[float]],
    *,
    allowed: float | None,
    colours: Sequence[str],
) -> Plot:
    """Lines over the share of tuned weights; a cross where a guard lost more than its margin, a
    dotted line at the choice.
    """
    shares = [100 * choice.ratio for choice in choices]
    traces = []
    for number, (name, values) in enumerate(lines.items()):
        hover = [
            f"<b>{safe(name)}</b><br>{share:.0f} % tuned<br>{score(value)}"
            for share, value in zip(shares, values, strict=True)
        ]
        trace = points(shares, values, color=colours[number % len(colours)], hover=hover)
        trace["marker"] |= {
            "symbol": ["circle" if choice.allowed else "x-thin" for choice in choices],
            "size": 8,
        }
        traces.append({**trace, "name": safe(name), "showlegend": len(lines) > 1})
    chosen = [100 * choice.ratio for choice in choices if choice.chosen]
    shapes = [_rule(x0=at, x1=at, yref="paper", y0=0, y1=1) for at in chosen]
    label = {"y": 0, "yref": "paper", "yanchor": "bottom", "text": "chosen", "showarrow": False}
    labels = [{**label, "x": at, "xanchor": "right" if at > 50 else "left"} for at in chosen]
    heights = [value for values in lines.values() for value in values if math.isfinite(value)] or [
        0.0
    ]
    if allowed is not None:
        heights.append(allowed)
        shapes.append(_rule(xref="paper", x0=0, x1=1, y0=allowed, y1=allowed))
        least = {
            "x": 0,
            "xref": "paper",
            "xanchor": "left",
            "y": allowed,
            "yanchor": "bottom",
            "showarrow": False,
        }
        labels.append({**least, "text": f"least allowed {score(allowed)}"})
    xaxis = {**frame("share of tuned weights"), "ticksuffix": " %", "nticks": 6}
    own = {
        "xaxis": xaxis,
        "yaxis": score_axis(heights, pad=0.12),
        "shapes": shapes,
        "annotations": labels,
    }
    drawn = layout({**own, "legend": LEGEND})
    words = "; ".join(
        f"{name}: " + ", ".join(f"{s:.0f} % {score(v)}" for s, v in zip(shares, vs, strict=True))
        for name, vs in lines.items()
    )
    return Plot(
        tuple(traces),
        drawn,
        280,
        f"By the share of tuned weights, {words}. Chosen: "
        f"{', '.join(f'{at:.0f} %' for at in chosen)}.",
    )


def _rule(**place: Any) -> dict[str, Any]:
    return {"type": "line", **place, "line": {"color": "$muted", "width": 1, "dash": "dot"}}


def changes(queries: Sequence[QueryChange], measure: str) -> Plot:
    """Each query's gain or loss, sorted from the greatest gain to the greatest loss; hover shows
    the query.
    """
    ordered = enumerate(sorted(queries, key=lambda query: -query.difference), start=1)
    drawn = list(ordered)[:: max(1, math.ceil(len(queries) / MOST_POINTS))]
    gained = [(place, query.difference) for place, query in drawn if query.difference > SAME]
    lost = [(place, query.difference) for place, query in drawn if query.difference < -SAME]
    hover = {
        "type": "scatter",
        "mode": "markers",
        "x": [place for place, _ in drawn],
        "y": [query.difference for _, query in drawn],
        "showlegend": False,
        "marker": {"size": 8, "opacity": 0},
        "customdata": [
            [wrapped(query.text), score(query.before), score(query.after), signed(query.difference)]
            for _, query in drawn
        ],
        "hovertemplate": "<b>%{customdata[3]}</b>  (%{customdata[1]} to "
        "%{customdata[2]})<br>%{customdata[0]}<extra></extra>",
    }
    values = [query.difference for _, query in drawn]
    ticks = {"nticks": 6, "tickformat": ",d", "showgrid": False, "range": [0.5, len(queries) + 0.5]}
    own = {
        "xaxis": {**frame("test queries, sorted by their change"), **ticks},
        "yaxis": {
            **score_axis([*values, 0.0], pad=0.06, sign=True),
            "zeroline": True,
            "zerolinecolor": "$rule",
        },
        "hovermode": "x",
        "hoverdistance": -1,
    }
    gains, same, losses = tally(queries)
    summary = f"Change in {measure} by query: {gains} gained, {same} unchanged, {losses} lost."
    return Plot((_area(gained, "$gain"), _area(lost, "$loss"), hover), layout(own), 340, summary)


def _area(drawn: Sequence[tuple[int, float]], color: str) -> dict[str, Any]:
    area = line(
        [place for place, _ in drawn], [value for _, value in drawn], color=color, width=1.5
    )
    mode = "lines+markers" if len(drawn) == 1 else "lines"  # one query is no area
    return {
        **area,
        "mode": mode,
        "marker": {"color": color, "size": 5},
        "fill": "tozeroy",
        "fillcolor": f"{color}-soft",
    }


def tally(queries: Iterable[QueryChange]) -> tuple[int, int, int]:
    """How many queries gained, stayed the same, lost."""
    differences = [query.difference for query in queries]
    gained, lost = (
        sum(value > SAME for value in differences),
        sum(value < -SAME for value in differences),
    )
    return gained, len(differences) - gained - lost, lost


def storage_types(comparison: Comparison) -> list[str]:
    """The storages of the rows, largest first."""
    width = {row.storage: row.bytes_per_document / (row.dim or 1) for row in comparison.rows}
    return sorted(width, key=lambda storage: -width[storage])
