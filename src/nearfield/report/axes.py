"""The parts of the page's plots: axes, lines and points as plotly's dicts.

Colours are names of the page's own palette (`$accent`), which the page resolves when it draws, so
that one figure serves light, dark and print.
"""

from __future__ import annotations

import html
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nearfield.types.numbers import score, signed

SAME = 1e-9  # a smaller difference is rounding
LEGEND = {
    "orientation": "h",
    "x": 0,
    "y": 1.02,
    "yanchor": "bottom",
    "itemclick": False,
    "itemdoubleclick": False,
}
SERIES = ("$accent", "$second", "$third", "$fourth", "$fifth")


@dataclass(frozen=True)
class Plot:
    """A figure with its height in pixels, and in words for readers who cannot see it."""

    data: tuple[dict[str, Any], ...]
    layout: dict[str, Any]
    height: int
    summary: str


def layout(parts: Mapping[str, Any]) -> dict[str, Any]:
    """A figure's layout with its own `parts`: no background, no zoom by dragging (a finger scrolls
    the page), calm hover labels.
    """
    clear = "rgba(0,0,0,0)"
    hover = {
        "bgcolor": "$panel",
        "bordercolor": "$rule",
        "align": "left",
        "font": {"color": "$ink", "size": 13},
    }
    shared = {
        "paper_bgcolor": clear,
        "plot_bgcolor": clear,
        "font": {"color": "$muted"},
        "hoverlabel": hover,
        "margin": {"l": 32, "r": 10, "t": 10, "b": 44},
        "dragmode": False,
        "hovermode": "closest",
    }
    return shared | dict(parts)


def frame(title: str = "") -> dict[str, Any]:
    """An axis without its range and ticks."""
    return {
        "gridcolor": "$grid",
        "linecolor": "$rule",
        "zeroline": False,
        "fixedrange": True,
        "automargin": True,
        "ticks": "",
        "title": {"text": safe(title), "font": {"color": "$muted", "size": 13}, "standoff": 10},
    }


def score_axis(
    values: Sequence[float],
    *,
    ticks: int = 5,
    pad: float = 0.08,
    sign: bool = False,
) -> dict[str, Any]:
    """An axis for a measure: its ticks are written as scores are written everywhere (.64), none
    past what a measure can be.
    """
    low = min(values)
    high = max(values)
    # what a measure can be, or more where these values are
    least = min(low, -1.0 if sign else 0.0)
    most = max(high, 1.0)
    room = (high - low or 0.1) * pad  # equal values get an axis, too
    low -= room
    high += room
    # 1, 2 or 5 times a power of ten: the smallest that gives no more than `ticks` steps
    rough = (high - low) / ticks
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    at = []
    for number in range(math.ceil(low / step), math.floor(high / step) + 1):
        if least - SAME <= step * number <= most + SAME:
            at.append(step * number)
    text = [_tick(value, step, sign=sign) for value in at]
    return {**frame(), "range": [low, high], "tickvals": at, "ticktext": text}


def log_axis(
    values: Sequence[float], title: str, written: Callable[[float], str]
) -> dict[str, Any]:
    """A logarithmic axis for `values` above 0, with a tick at each second power of two; of a
    narrow range at its ends.
    """
    least = min(values) * 0.8
    most = max(values) * 1.2
    # from less than any wait in milliseconds to more than any document's bytes
    ticks = [2.0 * 4**power for power in range(-16, 32) if least <= 2 * 4**power <= most]
    if len(ticks) < 2:
        ticks = sorted({min(values), max(values)})
    return {
        **frame(title),
        "type": "log",
        "range": [math.log10(least), math.log10(most * 1.1)],
        "tickvals": ticks,
        "ticktext": [written(tick) for tick in ticks],
    }


def _tick(value: float, step: float, *, sign: bool) -> str:
    """A tick's score, with no more decimals than the step has."""
    if abs(value) < step / 2:
        return "0"
    text = signed(value) if sign else score(value)
    # of log10(0.1) and the like, which may come out a hair below the whole number
    decimals = max(1, -math.floor(math.log10(step) + 1e-9))
    surplus = max(0, 3 - decimals)  # a score is written with three
    return text[: len(text) - surplus]


def line(
    x: Sequence[Any], y: Sequence[Any], *, color: str, width: float = 2, dash: str = "solid"
) -> dict[str, Any]:
    """A line without hover."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": list(x),
        "y": list(y),
        "line": {"color": color, "width": width, "dash": dash},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def points(
    x: Sequence[float], y: Sequence[float | None], *, color: str, hover: Sequence[str]
) -> dict[str, Any]:
    """A line with its points; `hover` is escaped text for each."""
    return {
        **line(x, y, color=color, width=2.5),
        "mode": "lines+markers",
        "marker": {"color": color, "size": 7, "line": {"color": color, "width": 2}},
        "customdata": [[text] for text in hover],
        "hovertemplate": "%{customdata[0]}<extra></extra>",
        "hoverinfo": "all",
    }


def marks(
    x: Sequence[Any],
    y: Sequence[Any],
    *,
    marker: Mapping[str, Any],
    hover: Sequence[Sequence[str]],
    template: str = "%{customdata[0]}",
) -> dict[str, Any]:
    """Points without a line; `template` says what is shown of the texts in each of `hover`, which
    are escaped.
    """
    return {
        "type": "scatter",
        "mode": "markers",
        "x": list(x),
        "y": list(y),
        "marker": dict(marker),
        "showlegend": False,
        "customdata": list(hover),
        "hovertemplate": f"{template}<extra></extra>",
    }


def safe(text: str) -> str:
    """Text from data for a label: plotly reads a small HTML in every one."""
    return html.escape(text, quote=False)


def wrapped(text: str) -> str:
    """Text from data for a hover label: at most 160 characters, broken every 44."""
    return "<br>".join(safe(part) for part in textwrap.wrap(clipped(text, 160), 44))


def clipped(text: str, most: int) -> str:
    """One line of at most `most` characters."""
    line = " ".join(text.split())
    if len(line) <= most:
        return line
    return f"{line[: most - 1]}…"
