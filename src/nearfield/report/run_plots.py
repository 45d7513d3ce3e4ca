"""Plots of a run: training, merge and each query's change, as plotly figures in plain dicts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from nearfield.report.axes import (
    LEGEND,
    SAME,
    SERIES,
    Plot,
    frame,
    layout,
    line,
    marks,
    points,
    safe,
    score_axis,
    wrapped,
)
from nearfield.report.facts import MergeChoice, QueryChange, Step
from nearfield.types.numbers import plural, score, signed

# queries drawn at most; more would be less than a pixel each and make the page heavy
MOST_POINTS = 2000


def loss(steps: Sequence[Step]) -> Plot | None:
    """The training loss by step; None when no step has one."""
    drawn = _finite((step.step, step.loss) for step in steps)
    if not drawn:
        return None
    plot = _by_step(drawn, "loss {:.3f}", {**frame(), "rangemode": "tozero", "nticks": 5})
    (trace,) = plot.data
    trace["marker"]["opacity"] = 0 if len(drawn) > 1 else 1  # one step does not make a line
    trace["line"]["width"] = 2
    (first, highest), (last, lowest) = drawn[0], drawn[-1]
    summary = f"Training loss from {highest:.2f} at step {first} to {lowest:.2f} at step {last}."
    return replace(plot, summary=summary)


def dev(steps: Sequence[Step]) -> Plot | None:
    """The main measure on dev by step; None when there was no evaluation."""
    drawn = _finite((step.step, step.dev) for step in steps)
    if not drawn:
        return None
    measure = next((step.measure for step in steps if step.measure), "the main measure")
    step, best = max(drawn, key=lambda one: one[1])
    plot = _by_step(drawn, "{}", score_axis([value for _, value in drawn], pad=0.12), write=score)
    evaluations = plural(len(drawn), "evaluation")
    summary = f"{measure} on dev at {evaluations}; best {score(best)} at step {step}."
    return replace(plot, summary=summary)


def _finite(values: Iterable[tuple[int, float | None]]) -> list[tuple[int, float]]:
    """The steps that have a value which can be drawn; a loss may have become infinite."""
    return [(step, value) for step, value in values if value is not None and math.isfinite(value)]


def _by_step(
    drawn: Sequence[tuple[int, float]],
    words: str,
    yaxis: dict[str, Any],
    *,
    write: Callable[[float], Any] = float,
) -> Plot:
    x = [step for step, _ in drawn]
    hover = [f"step {step}<br>{words.format(write(value))}" for step, value in drawn]
    trace = points(x, [value for _, value in drawn], color="$accent", hover=hover)
    xaxis = {**frame("step"), "tickformat": ",d"}
    if len(x) < 3:  # plotly would divide a single step
        xaxis["tickvals"] = x
    else:
        xaxis["nticks"] = 6
    return Plot((trace,), layout({"xaxis": xaxis, "yaxis": yaxis}), 260, "")


def merge_dev(choices: Sequence[MergeChoice]) -> Plot:
    """The main measure on dev by the share of tuned weights."""
    values = [choice.dev for choice in choices]
    return _by_share(choices, {"dev": values}, allowed=None, colours=("$accent",))


def merge_guards(choices: Sequence[MergeChoice], margin: float | None) -> Plot | None:
    """The guards by the share of tuned weights, with the least that `margin` allows where there is
    one guard; None without.
    """
    guards = list(choices[0].guards)
    if not guards:
        return None
    choices = [choice for choice in choices if choice.guards]  # the others were not measured
    values = {}
    for guard in guards:
        values[guard] = [choice.guards.get(guard, math.nan) for choice in choices]
    allowed = None
    if margin is not None and len(guards) == 1:
        for choice in choices:
            # the base model is the mix without tuned weights
            if choice.ratio == 0 and math.isfinite(choice.guards[guards[0]]):
                allowed = choice.guards[guards[0]] - margin
    return _by_share(choices, values, allowed=allowed, colours=SERIES[1:])


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
    symbols = ["circle" if choice.allowed else "x-thin" for choice in choices]
    traces = []
    told = []
    heights: list[float] = []
    for number, (name, values) in enumerate(lines.items()):
        pairs = list(zip(shares, map(score, values), strict=True))
        hover = [f"<b>{safe(name)}</b><br>{share:.0f} % tuned<br>{text}" for share, text in pairs]
        trace = points(shares, values, color=colours[number % len(colours)], hover=hover)
        trace["marker"] |= {"symbol": symbols, "size": 8}
        traces.append({**trace, "name": safe(name), "showlegend": len(lines) > 1})
        listed = ", ".join(f"{share:.0f} % {text}" for share, text in pairs)
        told.append(f"{name}: {listed}")
        heights += filter(math.isfinite, values)
    if allowed is not None:
        heights.append(allowed)
    chosen = [100 * choice.ratio for choice in choices if choice.chosen]
    shapes, labels = _marks(chosen, allowed)
    own = {
        "xaxis": {**frame("share of tuned weights"), "ticksuffix": " %", "nticks": 6},
        "yaxis": score_axis(heights or [0.0], pad=0.12),
        "shapes": shapes,
        "annotations": labels,
        "legend": LEGEND,
    }
    kept = ", ".join(f"{at:.0f} %" for at in chosen)
    summary = f"By the share of tuned weights, {'; '.join(told)}. Chosen: {kept}."
    return Plot(tuple(traces), layout(own), 280, summary)


def _marks(
    chosen: Sequence[float], allowed: float | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Dotted lines, and their labels, at the chosen share and at the least that a guard allows."""
    shapes = []
    labels: list[dict[str, Any]] = []
    for at in chosen:
        shapes.append(_rule(x0=at, x1=at, yref="paper", y0=0, y1=1))
        side = "right" if at > 50 else "left"
        labels.append({"x": at, "xanchor": side, "y": 0, "yref": "paper", "text": "chosen"})
    if allowed is not None:
        shapes.append(_rule(xref="paper", x0=0, x1=1, y0=allowed, y1=allowed))
        text = f"least allowed {score(allowed)}"
        labels.append({"x": 0, "xref": "paper", "xanchor": "left", "y": allowed, "text": text})
    for label in labels:
        label |= {"yanchor": "bottom", "showarrow": False}
    return shapes, labels


def _rule(**place: Any) -> dict[str, Any]:
    return {"type": "line", **place, "line": {"color": "$muted", "width": 1, "dash": "dot"}}


def changes(queries: Sequence[QueryChange], measure: str) -> Plot:
    """Each query's gain or loss, sorted from the greatest gain to the greatest loss; hover shows
    the query.
    """
    ordered = sorted(queries, key=lambda query: -query.difference)
    step = max(1, math.ceil(len(queries) / MOST_POINTS))
    # places before the step is taken, so that the axis still counts all queries
    drawn = list(enumerate(ordered, start=1))[::step]
    gained = [(place, query.difference) for place, query in drawn if query.difference > SAME]
    lost = [(place, query.difference) for place, query in drawn if query.difference < -SAME]
    values = [query.difference for _, query in drawn]
    texts = [
        [wrapped(query.text), score(query.before), score(query.after), signed(query.difference)]
        for _, query in drawn
    ]
    # nothing is seen of them: they give each query its hover
    hover = marks(
        [place for place, _ in drawn],
        values,
        marker={"size": 8, "opacity": 0},
        hover=texts,
        template="<b>%{customdata[3]}</b>  (%{customdata[1]} to %{customdata[2]})"
        "<br>%{customdata[0]}",
    )
    own = {
        "xaxis": {
            **frame("test queries, sorted by their change"),
            "nticks": 6,
            "tickformat": ",d",
            "showgrid": False,
            "range": [0.5, len(queries) + 0.5],
        },
        "yaxis": {
            **score_axis([*values, 0.0], pad=0.06, sign=True),
            "zeroline": True,
            "zerolinecolor": "$rule",
        },
        "hovermode": "x",
        # without a limit: the nearest query, wherever the pointer is
        "hoverdistance": -1,
    }
    gains, same, losses = tally(queries)
    summary = f"Change in {measure} by query: {gains} gained, {same} unchanged, {losses} lost."
    return Plot((_area(gained, "$gain"), _area(lost, "$loss"), hover), layout(own), 340, summary)


def _area(drawn: Sequence[tuple[int, float]], color: str) -> dict[str, Any]:
    places = [place for place, _ in drawn]
    mode = "lines+markers" if len(drawn) == 1 else "lines"  # one query does not make an area
    return {
        **line(places, [value for _, value in drawn], color=color, width=1.5),
        "mode": mode,
        "marker": {"color": color, "size": 5},
        "fill": "tozeroy",
        "fillcolor": f"{color}-soft",
    }


def tally(queries: Iterable[QueryChange]) -> tuple[int, int, int]:
    """How many queries gained, stayed the same, lost."""
    differences = [query.difference for query in queries]
    gained = sum(value > SAME for value in differences)
    lost = sum(value < -SAME for value in differences)
    return gained, len(differences) - gained - lost, lost
