"""Plots of comparisons, as plotly figures in plain dicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nearfield.report.axes import (
    LEGEND,
    SERIES,
    Plot,
    clipped,
    layout,
    line,
    log_axis,
    marks,
    safe,
    score_axis,
)
from nearfield.types.comparison import Comparison, Row
from nearfield.types.numbers import estimated, interval, score, size

_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross")


def forest(comparison: Comparison) -> Plot:
    """Each system's mean with its 95 % interval, best on top; in colour where it cannot be told
    apart from the best.
    """
    rows = comparison.rows
    best = rows[0]
    places = [-place for place in range(len(rows))]
    colours = []
    bars = []
    labels = []
    for row, place in zip(rows, places, strict=True):
        # the best row alone may have no letter
        alike = row is best or set(row.letters) & set(best.letters)
        colour = "$accent" if alike else "$muted"
        colours.append(colour)
        ends = [row.estimate.low, row.estimate.high]
        bars.append(line(ends, [place, place], color=colour, width=3))
        labels += _row_labels(row, place)
    means = marks(
        [row.estimate.mean for row in rows],
        places,
        marker={"size": 12, "color": colours},
        hover=[[safe(row.name), estimated(row.estimate), row.letters] for row in rows],
        template="<b>%{customdata[0]}</b><br>%{customdata[1]}<br>group %{customdata[2]}",
    )
    own = {
        "xaxis": score_axis(_ends(rows), pad=0.04),
        "yaxis": {"visible": False, "range": [places[-1] - 0.4, 0.75], "fixedrange": True},
        "annotations": labels,
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
    """Above the row's interval: its name on the left, its mean on the right."""
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
    """Quality against bytes per document: a line for each storage, full for the first model and
    dotted for the others.
    """
    rows = [row for row in comparison.rows if row.bytes_per_document > 0]
    rows.sort(key=lambda row: row.bytes_per_document)
    storages = storage_types(comparison)
    models = list(dict.fromkeys(row.model for row in comparison.rows))
    # the tuned model first, which full lines are for
    models.sort(key=lambda name: name != "tuned")
    traces = []
    for number, storage in enumerate(storages):
        for model in models:
            of_both = [row for row in rows if row.storage == storage and row.model == model]
            if of_both:
                traces.append(_size_line(of_both, number, first=model == models[0]))
    # a line without points for each model, for the legend alone
    for model in models:
        dash = "solid" if model == models[0] else "dot"
        key = line([None], [None], color="$muted", dash=dash)
        traces.append({**key, "name": safe(model), "showlegend": True})
    axes = {
        "xaxis": log_axis([row.bytes_per_document for row in rows], "bytes per document", size),
        "yaxis": score_axis(_ends(rows), ticks=6),
    }
    best = comparison.rows[0]
    summary = (
        f"{comparison.measure} against bytes per document for {', '.join(models)} in "
        f"{', '.join(storages)}. Best: {best.name}, {estimated(best.estimate)}. The table below "
        "has every value."
    )
    return Plot(tuple(traces), layout({**axes, "legend": LEGEND}), 440, summary)


def _size_line(rows: Sequence[Row], number: int, *, first: bool) -> dict[str, Any]:
    colour = SERIES[number % len(SERIES)]
    nudge = 1 + 0.03 * number  # so that intervals of equal size stand beside each other
    means = [row.estimate.mean for row in rows]
    sizes = [row.bytes_per_document * nudge for row in rows]
    marker = {
        "color": "$paper",
        "size": 7,
        "symbol": _SYMBOLS[number % len(_SYMBOLS)],
        "line": {"color": colour, "width": 1.5},
    }
    if first:
        trace = line(sizes, means, color=colour, width=2.5, dash="solid")
        marker |= {"color": colour, "size": 8}
    else:
        trace = line(sizes, means, color=colour, width=1.5, dash="dot")
    bars = {
        "type": "data",
        "symmetric": False,
        "array": [row.estimate.high - row.estimate.mean for row in rows],
        "arrayminus": [row.estimate.mean - row.estimate.low for row in rows],
        "color": colour,
        "thickness": 1,
        "width": 0,
    }
    hover = [
        [safe(row.name), estimated(row.estimate), size(row.bytes_per_document)] for row in rows
    ]
    return {
        **trace,
        "mode": "lines+markers",
        "name": safe(rows[0].storage),
        "legendgroup": safe(rows[0].storage),
        "showlegend": first,
        "marker": marker,
        "error_y": bars,
        "hoverinfo": "all",
        "customdata": hover,
        "hovertemplate": "<b>%{customdata[0]}</b><br>%{customdata[1]}<br>%{customdata[2]} per "
        "document<extra></extra>",
    }


def _ends(rows: Sequence[Row]) -> list[float]:
    ends = []
    for row in rows:
        ends += [row.estimate.low, row.estimate.high]
    return [end for end in ends if math.isfinite(end)]


def storage_types(comparison: Comparison) -> list[str]:
    """The storages of the rows, largest first."""
    # per dimension, as rows of one storage type may have different dims
    width = {row.storage: row.bytes_per_document / (row.dim or 1) for row in comparison.rows}
    return sorted(width, key=lambda storage: -width[storage])
