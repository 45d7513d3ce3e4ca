"""How numbers are written, everywhere the same: .641, +.101, [.627, .655], p < .0001, 1,629, 1.5
kB.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nearfield.types.verdict import Estimate

UNKNOWN = "–"
MINUS = "\u2212"
_UNITS = ("B", "kB", "MB", "GB", "TB")


def score(value: float | None) -> str:
    """A measure's value with three decimals and no leading zero, as the field writes it: .641,
    1.000.
    """
    if value is None or not math.isfinite(value):
        return UNKNOWN
    digits = f"{abs(value):.3f}"
    # what rounds to zero has no sign
    sign = MINUS if value < 0 and float(digits) else ""
    return sign + digits.removeprefix("0")


def signed(value: float) -> str:
    """A difference with its sign: +.101, −.014, .000."""
    text = score(value)
    if text in (UNKNOWN, ".000") or text.startswith(MINUS):
        return text
    return f"+{text}"


def interval(estimate: Estimate) -> str:
    """A 95 % interval: [.087, .115]."""
    return f"[{score(estimate.low)}, {score(estimate.high)}]"


def changed(difference: Estimate) -> str:
    """A difference and its interval, each number with its sign: −.019 [−.039, +.001]."""
    return f"{signed(difference.mean)} [{signed(difference.low)}, {signed(difference.high)}]"


def estimated(estimate: Estimate) -> str:
    """A mean and its interval: .641 [.627, .655]."""
    return f"{score(estimate.mean)} {interval(estimate)}"


def p_value(p: float) -> str:
    """A p with its sign: p = .031, p < .0001; below .01 with four decimals."""
    if not math.isfinite(p):
        return f"p {UNKNOWN}"
    if p < 1e-4:
        return "p < .0001"
    digits = f"{p:.4f}" if p < 0.01 else f"{p:.3f}"
    return f"p = {digits.removeprefix('0')}"


def count(value: float) -> str:
    """A whole number with thousands separated: 1,629."""
    return f"{value:,.0f}" if math.isfinite(value) else UNKNOWN


def queries(needed: int | None) -> str:
    """How many queries would show a difference, for a column: 1,629; or that no number of them
    would.
    """
    return "none would" if needed is None else count(needed)


def speed(value: float | None) -> str:
    """Three significant digits, or whole above 100: 7.42, 812, 1,204."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def size(n_bytes: float) -> str:
    """A size in decimal units: 48 B, 1.54 kB, 5.87 MB."""
    if not math.isfinite(n_bytes):
        return UNKNOWN
    _, exponent = f"{max(n_bytes, 1):.2e}".split("e")  # rounded as it is written: 999,999 is 1 MB
    power = min(int(exponent) // 3, len(_UNITS) - 1)
    value = n_bytes / 1000**power
    if power == 0:
        return f"{value:.0f} B"
    return f"{value:.3g} {_UNITS[power]}"


def duration(seconds: float) -> str:
    """A time as people say it: 4.2 s, 7 min 05 s, 2 h 03 min."""
    if not math.isfinite(seconds):
        return UNKNOWN
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def plural(number: int, noun: str) -> str:
    """A count with its noun: 1 query, 1,629 queries."""
    if number != 1:
        noun = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count(number)} {noun}"
