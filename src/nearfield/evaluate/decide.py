"""From a comparison to a decision: the best, the cheapest that is as good, and the one to take."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from nearfield.errors import InputError
from nearfield.evaluate.analysis.trade_off import trade_off
from nearfield.statistics.holm import holm
from nearfield.statistics.noninferiority import LEVEL, behind_by, check_margin
from nearfield.statistics.pairwise import ALPHA
from nearfield.types.comparison import Comparison, PairTest, Row
from nearfield.types.evaluation.decision import Choice, Decision, Limits, NotWorse
from nearfield.types.numbers import count, estimated, interval, plural, score, size, speed
from nearfield.types.price import Price

NONE = Limits()
MARGIN = 0.02
"""How much worse than the best a cheaper row may be and still be recommended, in the measure's
unit.
"""


def decide(
    comparison: Comparison, limits: Limits = NONE, *, margin: float | None = None
) -> Decision:
    """Which row to take: without a limit the cheapest that is shown to be not worse than the best
    by more than a margin, with limits the best of those that fit them.

    A row is told apart from the best where their pair is in the comparison's own table: a paired p
    below 5 % after the correction of `tell_apart`. Cheaper means a lower price per million tokens,
    then fewer bytes per document, then fewer milliseconds per query. A row whose bytes or
    milliseconds are not known fits no limit of them. Each other row is tested for not being worse
    than the best by more than the `margin`, `MARGIN` where None is given (`behind_by`, Holm
    over them); that a row is not told apart from the best recommends nothing, as few queries tell
    nothing apart. Raises InputError for a comparison without rows, for one without spreads, and as
    `check_limits` and `check_margin` do.
    """
    check_limits(limits)
    if not comparison.rows:
        raise InputError("the comparison has no row; wanted at least one system")
    first = comparison.rows[0].name
    # rows are best first, so that the best is `a` in each of its pairs
    tests = {pair.b: pair for pair in comparison.pairs if pair.a == first}
    prices = comparison.prices
    choices = [choice_of(row, prices.get(row.name), tests.get(row.name)) for row in comparison.rows]
    best, *others = choices
    alike = [choice for choice in others if not _told_apart(choice)]
    cheapest = min([best, *alike], key=_cost)
    fitting = [choice for choice in choices if fits(choice, limits)]
    bound = MARGIN if margin is None else margin
    check_margin(bound)
    found = _not_worse(choices, tests, len(comparison.query_ids), bound)
    sure = next(choice for choice in choices if choice.name == found.cheapest)
    take = sure if limits == NONE else min(fitting, key=_worth, default=None)
    asked = plural(len(comparison.query_ids), comparison.item)
    taken = _take_in_words(take, limits, choices, asked)
    if take is sure and limits == NONE:
        taken += _shown_in_words(sure, cheapest, found, asked)
    words = [
        _best_in_words(comparison, best, len(others), len(alike)),
        _cheapest_in_words(best, cheapest, choices),
        taken,
    ]
    if margin is not None:
        words.append(_margin_in_words(found, choices))
    known = comparison.decision  # under other limits
    return Decision(
        best,
        cheapest,
        take,
        limits,
        alike=tuple(choice.name for choice in alike),
        words=tuple(words),
        not_worse=found,
        trade_off=trade_off(comparison.rows),
        slices=known.slices if known else (),
        holes=known.holes if known else (),
    )


def check_limits(limits: Limits) -> None:
    """Raise InputError for a limit that no system can meet: 0 or less, of a price less than 0."""
    for name, limit in vars(limits).items():
        if limit is None:
            continue
        free = name == "price" and limit == 0  # local models cost no money
        if not free and not 0 < limit < math.inf:
            wanted = "a number of 0 or more" if name == "price" else "a number above 0"
            raise InputError(f"the limit max_{name} is {limit:g}; wanted {wanted}")


def choice_of(row: Row, price: Price | None, test: PairTest | None = None) -> Choice:
    """A row and what it costs; `test` is that of the best row against it."""
    dollars = None if price is None else price.per_million_tokens
    # 0 bytes: not measured on this task
    costs = (row.bytes_per_document or None, row.query_milliseconds, dollars)
    if test is None:
        return Choice(row.name, row.estimate, *costs)
    sure = (test.difference, test.p_holm, test.queries_needed)
    return Choice(row.name, row.estimate, *costs, *sure)


def _not_worse(
    choices: Sequence[Choice], tests: Mapping[str, PairTest], items: int, margin: float
) -> NotWorse:
    raw = []
    for test in tests.values():
        # a comparison from a file may have been written before tests had spreads
        if test.spread is None:
            raise InputError("the comparison has no spreads, which a margin needs; make it again")
        raw.append(behind_by(test.difference.mean, test.spread, items, margin))
    p = dict(zip(tests, holm(raw).tolist(), strict=True))
    shown = []
    for name, test in tests.items():
        # never against the interval that is shown
        if p[name] < LEVEL and test.difference.high < margin:
            shown.append(name)
    good_enough = [choices[0], *(each for each in choices if each.name in shown)]
    cheapest = min(good_enough, key=_cost)
    return NotWorse(margin, p, tuple(shown), cheapest.name)


def _shown_in_words(take: Choice, cheapest: Choice, found: NotWorse, items: str) -> str:
    """How sure it is that what is recommended is good enough, and why nothing cheaper is."""
    margin = f"{found.margin:g}".removeprefix("0")
    words = "" if take.behind is None else f" It is shown to be behind by less than {margin}."
    if cheapest is take or _cost(take) <= _cost(cheapest) or cheapest.behind is None:
        return words
    lost = score(max(cheapest.behind.high, 0.0))
    words += f" {items} do not suffice to recommend {cheapest.name}: it may be behind by up to"
    return f"{words} {lost} (95 %), and {margin} is allowed."


def _margin_in_words(found: NotWorse, choices: Sequence[Choice]) -> str:
    others = len(choices) - 1
    start = f"Not worse than the best by more than {f'{found.margin:g}'.removeprefix('0')}"
    if not others:
        return f"{start}: there is no other system to test."
    tested = f"(one-sided p below {LEVEL:.1%}, corrected over {others})"
    if not found.names:
        return f"{start}: no other system is shown to be {tested}."
    line = f"{start}: {', '.join(found.names)} {tested}"
    (cheapest,) = (choice for choice in choices if choice.name == found.cheapest)
    if _costs(cheapest) == UNMEASURED:
        return f"{line}."
    name = "the best itself" if cheapest is choices[0] else cheapest.name
    return f"{line}; the cheapest is {name}, {_costs(cheapest)}."


def _told_apart(choice: Choice) -> bool:
    return choice.p_holm is not None and choice.p_holm < ALPHA


def _cost(choice: Choice) -> tuple[float, float, float]:
    """What is compared, the price first; what is not known counts as the most."""
    room = choice.bytes_per_document
    wait = choice.query_milliseconds
    return (
        choice.price or 0.0,
        math.inf if room is None else room,
        math.inf if wait is None else wait,
    )


def _worth(choice: Choice) -> tuple[float, tuple[float, float, float]]:
    return -choice.estimate.mean, _cost(choice)


def fits(choice: Choice, limits: Limits) -> bool:
    """Whether it costs no more than `limits` allow; what is not known does not fit."""
    return (
        _within(choice.query_milliseconds, limits.ms)
        and _within(choice.bytes_per_document, limits.bytes)
        # without a price nobody is paid
        and _within(choice.price or 0.0, limits.price)
    )


def _within(cost: float | None, limit: float | None) -> bool:
    return limit is None or (cost is not None and cost <= limit)


def _best_in_words(comparison: Comparison, best: Choice, others: int, alike: int) -> str:
    measured = f"Best: {best.name}, {comparison.measure} {estimated(best.estimate)}"
    if not others:
        return f"{measured}; there is no other system to compare it with."
    if not alike:
        return f"{measured}; it is told apart from {_all(others)}."
    if alike == others:
        return f"{measured}; it is not told apart from {_all(others)}."
    return f"{measured}; it is told apart from {others - alike} of the {others} others."


def _all(others: int) -> str:
    return {1: "the other one", 2: "both others"}.get(others, f"all {others} others")


def _cheapest_in_words(best: Choice, cheapest: Choice, choices: Sequence[Choice]) -> str:
    if cheapest is not best:
        return (
            f"Cheapest not told apart from it: {cheapest.name}, {_costs(cheapest)} instead of "
            f"{_costs(best)}{_faster(cheapest, choices)}."
        )
    cheaper = [choice for choice in choices if _cost(choice) < _cost(best)]
    if _costs(best) == UNMEASURED:
        return "What the systems cost is not measured on this task."
    told = f"; {plural(len(cheaper), 'cheaper system')} told apart from it" if cheaper else ""
    return f"Cheapest of those that are not told apart: the best itself, {_costs(best)}{told}."


def _faster(cheapest: Choice, choices: Sequence[Choice]) -> str:
    """The fastest of those that are not told apart, where it takes less than half of the time."""
    timed = [each for each in choices if each.query_milliseconds and not _told_apart(each)]
    fastest = min(timed, key=lambda each: each.query_milliseconds or 0.0, default=cheapest)
    if 2 * (fastest.query_milliseconds or 0.0) >= (cheapest.query_milliseconds or 0.0):
        return ""
    return f" (fastest: {fastest.name}, {speed(fastest.query_milliseconds)} ms)"


UNMEASURED = "costs not measured"


def _costs(choice: Choice) -> str:
    """What the choice costs, as far as it is measured."""
    parts = []
    if choice.price is not None:
        parts.append(f"${choice.price:g} per million tokens")
    if choice.bytes_per_document is not None:
        parts.append(f"{size(choice.bytes_per_document)} per document")
    if choice.query_milliseconds is not None:
        parts.append(f"{speed(choice.query_milliseconds)} ms per query")
    return ", ".join(parts) or UNMEASURED


def _take_in_words(
    take: Choice | None, limits: Limits, choices: Sequence[Choice], items: str
) -> str:
    asked = []
    if limits.ms is not None:
        asked.append(f"{limits.ms:g} ms per query")
    if limits.bytes is not None:
        asked.append(f"{limits.bytes:g} bytes per document")
    if limits.price is not None:
        asked.append(f"${limits.price:g} per million tokens")
    under = f" under {' and '.join(asked)}" if asked else ""
    if take is None:
        least = min(choices, key=_cost)
        return f"Take{under}: nothing fits; the cheapest, {least.name}, takes {_costs(least)}."
    chosen = f"Take{under}: {take.name}"
    if take.behind is None:
        return f"{chosen}, the best."
    behind = f"{chosen}, {score(take.behind.mean)} behind the best"
    if _told_apart(take):
        return f"{behind} {interval(take.behind)}, told apart from it."
    most = score(max(take.behind.high, 0.0))
    sure = f"{behind}; with {items} a loss of up to {most} stays possible (95 %)"
    if not asked or take.items_needed is None or take.behind.mean <= 0:
        return f"{sure}."
    return f"{sure}, and about {count(take.items_needed)} would show one of this size."
