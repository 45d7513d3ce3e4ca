"""What a system may cost, and what of a comparison is measured and shown: options of
`evaluate`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated

import typer

from nearfield.cli.shell.options import Given, with_options

ASKED: Given = ContextVar("decision")
_DETAILS = typer.Option(
    "--details", help="Show also the groups of rows, each pair's test and every note."
)

_MARGIN = typer.Option(
    help="Recommend a cheaper row only where it is shown to be behind the best by less than this, "
    "and name all that are.",
    show_default=".02",
)

_TRADE_OFF = typer.Option(
    "--trade-off",
    help="Measure each model at eight dims and at every storage type, also scored again by a "
    "larger one; show the rows that are better than all smaller ones, and models at the same "
    "bytes and milliseconds.",
)


_REPORT = typer.Option(
    metavar="FILE",
    help="Write one page of HTML: the rows, what quality costs, slices, what the models' vectors "
    "are like, a map of the documents, and what some scores are made of.",
)


def _limit(what: str) -> object:
    return Annotated[float | None, typer.Option(help=f"Decide among the rows of at most {what}.")]


LIMITS = {
    "max_ms": (_limit("this many milliseconds per query"), None),
    "max_bytes": (_limit("this many bytes per document"), None),
    "max_price": (_limit("this many dollars per million tokens; local models cost none"), None),
}


def limited(command: Callable[..., None]) -> Callable[..., None]:
    """The same command with the limits of the decision alone; ASKED holds them."""
    return with_options(command, LIMITS, ASKED)


def decides(command: Callable[..., None]) -> Callable[..., None]:
    """The same command with the limits of the decision, --margin, --trade-off, --report and
    --details; ASKED holds them.
    """
    options = {
        **LIMITS,
        "margin": (Annotated[float | None, _MARGIN], None),
        "trade_off": (Annotated[bool, _TRADE_OFF], False),
        "report": (Annotated[Path | None, _REPORT], None),
        "details": (Annotated[bool, _DETAILS], False),
    }
    return with_options(command, options, ASKED)
