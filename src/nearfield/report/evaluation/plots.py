"""Plots of what quality costs and of what vectors are like, as plotly figures in plain dicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from nearfield.report.axes import (
    LEGEND,
    SERIES,
    Plot,
    frame,
    layout,
    line,
    log_axis,
    marks,
    safe,
    score_axis,
    wrapped,
)
from nearfield.types.comparison import Comparison, Row
from nearfield.types.evaluation.look import EDGES, Inside, Map
from nearfield.types.numbers import estimated, size, speed

COSTS: dict[str, tuple[str, Callable[[float], str], Callable[[Row], float | None]]] = {
    "bytes": ("bytes per document", size, lambda row: row.bytes_per_document or None),
    "ms": ("milliseconds per query", speed, lambda row: row.query_milliseconds),
}
"""Each cost by its unit: what an axis calls it, how it is written, and a row's own, None where it
is not known.
"""


def pareto(comparison: Comparison, unit: str) -> Plot | None:
    """Each row's mean by what it costs in `unit`, one colour for each model, and a line through
    those that are better than every cheaper one. None where fewer than two rows have such a cost.
    """
    title, written, cost_of = COSTS[unit]
    known: list[tuple[float, Row]] = []
    for row in comparison.rows:
        cost = cost_of(row)
        if cost is not None:
            known.append((cost, row))
    if len(known) < 2:
        return None
    known.sort(key=lambda pair: (pair[0], -pair[1].estimate.mean))
    frontier: list[tuple[float, Row]] = []
    for cost, row in known:
        if not frontier or row.estimate.mean > frontier[-1][1].estimate.mean:
            frontier.append((cost, row))
    costs = [cost for cost, _ in frontier]
    steps = line(costs, [row.estimate.mean for _, row in frontier], color="$muted")
    steps["line"]["shape"] = "hv"  # between two points the cheaper one is the best there is
    traces = [steps]
    for number, model in enumerate(dict.fromkeys(row.model for row in comparison.rows)):
        own = [(cost, row) for cost, row in known if row.model == model]
        places = [(cost, row.estimate.mean) for cost, row in own]
        hover = [
            f"<b>{safe(row.name)}</b><br>{estimated(row.estimate)}<br>{written(cost)}"
            for cost, row in own
        ]
        traces.append(_points(places, safe(model), number, hover))
    axes = {
        "xaxis": log_axis([cost for cost, _ in known], title, written),
        "yaxis": score_axis([row.estimate.mean for _, row in known], ticks=6),
    }
    best = "; ".join(
        f"{row.name}, {written(cost)}, {estimated(row.estimate)}" for cost, row in frontier
    )
    summary = f"{comparison.measure} against {title}. Better than all cheaper ones: {best}."
    return Plot(tuple(traces), layout({**axes, "legend": LEGEND}), 400, summary)


def _points(
    places: Sequence[tuple[float, float]], name: str, number: int, hover: Sequence[str]
) -> dict[str, Any]:
    """Marks without a line, in the colour of the series `number`; those past the last in grey."""
    colour = SERIES[number] if number < len(SERIES) else "$muted"
    trace = marks(
        [x for x, _ in places],
        [y for _, y in places],
        marker={"color": colour, "size": 8, "opacity": 0.8},
        hover=[[text] for text in hover],
    )
    return trace | {"name": name, "showlegend": True}


def histograms(insides: Sequence[Inside]) -> Plot | None:
    """The similarities of pairs that belong together (solid) and that do not (dotted), in the
    colour of their model; of the first five models.
    """
    if not insides:
        return None
    shown = insides[: len(SERIES)]
    counted = np.array([[each.together, each.apart] for each in shown])  # (models, 2, bins)
    most = float(counted.max())
    # the axis begins one bin below the first that holds anything; there is one, as `look` gives
    # nothing where no two texts belong together
    first = max(0, int(np.flatnonzero(counted.sum((0, 1)))[0]) - 1)
    middles = [(low + high) / 2 for low, high in pairwise(EDGES)][first:]
    traces = []
    for colour, inside in zip(SERIES, shown, strict=False):
        for shares, dash in ((inside.together, "solid"), (inside.apart, "dot")):
            curve = line(middles, shares[first:], color=colour, dash=dash)
            curve |= {"name": safe(inside.model), "showlegend": dash == "solid"}
            traces.append(curve)
    axes = {
        "xaxis": {**frame("cosine"), "range": [EDGES[first], 1.0]},
        "yaxis": {
            **frame("share of pairs"),
            "range": [0, most * 1.05],
            "tickformat": ".0%",
        },
    }
    listed = ", ".join(inside.model for inside in shown)
    summary = (
        f"Cosines of pairs that belong together, solid, and of others, dotted, by {listed}. The "
        "further apart the two lie, the better a threshold tells them apart."
    )
    return Plot(tuple(traces), layout({**axes, "legend": LEGEND}), 340, summary)


def map_plot(shown: Map) -> Plot:
    """The map: a point for each document in the colour of its group, its text on hover; the five
    largest groups have a colour.
    """
    counts = Counter(shown.groups)
    largest = [group for group, _ in counts.most_common(len(SERIES))]
    traces = []
    # None stands for all groups that are left
    for number, group in enumerate([*largest, None]):
        if group is None:
            named = "others"
            colour = len(SERIES)
            rows = [row for row, own in enumerate(shown.groups) if own not in largest]
        else:
            named = group or "documents"
            colour = number
            rows = [row for row, own in enumerate(shown.groups) if own == group]
        if rows:
            places = [(shown.x[row], shown.y[row]) for row in rows]
            hover = [
                f"<b>{safe(shown.groups[row])}</b><br>{wrapped(shown.texts[row])}" for row in rows
            ]
            traces.append(_points(places, safe(named), colour, hover))
    hidden = {"visible": False, "fixedrange": True}
    own = {
        "xaxis": hidden,
        # one scale for both, so that distances mean the same in each direction
        "yaxis": {**hidden, "scaleanchor": "x"},
        "legend": LEGEND,
        "margin": {"l": 4, "r": 4, "t": 10, "b": 4},
    }
    groups = ", ".join(f"{group or 'documents'}: {counts[group]}" for group in largest)
    summary = f"{len(shown.x)} documents in two dimensions by {shown.model}; {groups}."
    return Plot(tuple(traces), layout(own), 560, summary)
