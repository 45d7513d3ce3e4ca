"""A page of the report: a template with its figures, that loads nothing and runs its own scripts
alone.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import zlib
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

from nearfield.extras import require
from nearfield.report import words
from nearfield.report.axes import Plot, clipped
from nearfield.report.table import p_short
from nearfield.types import numbers

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


def rendered(
    template: str,
    drawn: Mapping[str, Plot | None],
    filters: Mapping[str, Callable[..., Any]],
    values: Mapping[str, Any],
) -> str:
    """The template with `values`; `drawn` are its figures by name. Raises MissingExtra without
    plotly and jinja2.
    """
    jinja2 = require("jinja2", extra="report")
    plotly = require("plotly.offline", extra="report").get_plotlyjs()
    markup = require("markupsafe", extra="report").Markup
    environment = jinja2.Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.FunctionLoader(_resource),
    )
    environment.filters |= _FILTERS | dict(filters)
    js = _resource("page.js").replace("\r\n", "\n")  # as the browser reads it, for the hash
    page = environment.get_template(template).render(
        **values,
        css=markup(_resource("page.css")),
        figures=markup(_figures(drawn)),
        js=markup(js),
        # compressed to 40 %; page.js unpacks it
        plotly=base64.b64encode(zlib.compress(plotly.encode(), 9)).decode(),
        # the hash of plotly as page.js unpacks and runs it, not as it stands in the page
        policy=_policy(plotly, js),
        plots=drawn,
        words=words,
        first_measures=FIRST_MEASURES,
    )
    return str(page)


def _figures(drawn: Mapping[str, Plot | None]) -> str:
    """The figures as JSON that can stand inside a script element whatever texts are in it."""
    value = {
        name: {"data": plot.data, "layout": plot.layout, "height": plot.height}
        for name, plot in drawn.items()
        if plot
    }
    text = json.dumps(
        _without_nan(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False
    )
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _without_nan(value: Any) -> Any:
    """JSON has no NaN: such a number becomes null, which a plot leaves out."""
    if isinstance(value, Mapping):
        return {name: _without_nan(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _policy(*scripts: str) -> str:
    """A content security policy: nothing is loaded from anywhere, and no script runs but the page's
    own two, by their hash.
    """
    hashes = [
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts
    ]
    # styles have no hash: the heights of figures are style attributes
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _resource(name: str) -> str:
    return resources.files("nearfield.report").joinpath(name).read_text(encoding="utf-8")


_FILTERS = {
    **{name: getattr(numbers, name) for name in NUMBERS},
    "clip": clipped,
    "p_short": p_short,
}
