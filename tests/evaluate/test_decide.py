"""The decision against a plain search of the whole table, on score matrices drawn by Hypothesis."""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfield.errors import InputError
from nearfield.evaluate.decide import decide
from nearfield.statistics.pairwise import tell_apart
from nearfield.statistics.randomisation import paired_test
from nearfield.statistics.statistic import Mean
from nearfield.types.comparison import Comparison, Row
from nearfield.types.evaluation.decision import Limits
from nearfield.types.price import Price
from paired import noninferiority

Cost = tuple[float, float | None, float | None]  # bytes, ms, price


def compared(scores: np.ndarray, costs: list[Cost]) -> Comparison:
    order = np.argsort(-scores.mean(1), kind="stable")
    scores, costs = scores[order], [costs[at] for at in order]
    names = [f"s{at}" for at in order]
    estimates, pairs, letters = tell_apart(names, scores, Mean(), scores.shape[1])
    rows = tuple(
        Row(name, name, 8, "int8", estimate, {"nDCG@10": estimate.mean}, mark, *rest)
        for name, estimate, mark, rest in zip(
            names,
            estimates,
            letters,
            [(cost[0], None, cost[1], tuple(row)) for cost, row in zip(costs, scores, strict=True)],
            strict=True,
        )
    )
    ids = tuple(map(str, range(scores.shape[1])))
    prices = {
        name: Price(cost[2], 0.0)
        for name, cost in zip(names, costs, strict=True)
        if cost[2] is not None
    }
    return Comparison("c", "test", 9, "nDCG@10", ids, rows, tuple(pairs), prices=prices)


def alike_by_hand(table: Comparison) -> set[str]:
    """Holm's step-down over all pairs, as Holm wrote it down."""
    first = table.rows[0]
    pairs = list(itertools.combinations(table.rows, 2))
    p = [paired_test(a.per_query, b.per_query) for a, b in pairs]
    left = sorted(range(len(p)), key=lambda at: p[at])
    while left and p[left[0]] * len(left) < 0.05:
        left.pop(0)
    return {pairs[at][1].name for at in left if pairs[at][0] is first}


def shown_by_hand(table: Comparison, margin: float) -> set[str]:
    """Holm's step-down over the one-sided tests against the best."""
    first, *others = table.rows
    losses = {row.name: np.subtract(first.per_query, row.per_query) for row in others}
    p = {name: noninferiority(loss, margin) for name, loss in losses.items()}
    left = sorted(p, key=lambda name: p[name])
    while left and p[left[0]] * len(left) < 0.025:
        left.pop(0)
    high = {pair.b: pair.difference.high for pair in table.pairs if pair.a == first.name}
    return {name for name in p if name not in left and high[name] < margin}


COSTS = st.tuples(
    st.sampled_from([0.0, 16.0, 48.0, 384.0, 1536.0]),
    st.sampled_from([None, 0.5, 3.0, 40.0]),
    st.sampled_from([None, None, 0.02, 0.13]),
)


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_the_decision_is_that_of_a_search_of_the_whole_table(data: st.DataObject) -> None:
    r, n = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 40))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    level = random.choice([0.3, 0.5, 0.52, 0.8], (r, 1))
    scores = np.clip(level + random.normal(0, 0.1, (r, n)) * random.integers(0, 2), 0, 1)
    costs = data.draw(st.lists(COSTS, min_size=r, max_size=r))
    table = compared(scores, costs)
    limits = Limits(
        data.draw(st.sampled_from([None, 1.0, 10.0])),
        data.draw(st.sampled_from([None, 100.0, 500.0])),
        data.draw(st.sampled_from([None, 0.0, 0.1])),
    )
    found = decide(table, limits)
    assert found.best.name == table.rows[0].name
    assert set(found.alike) == alike_by_hand(table)
    names = {found.best.name, *found.alike}

    def cost(name: str) -> tuple[float, float, float]:
        size, wait, price = costs[int(name[1:])]
        return price or 0.0, size or np.inf, np.inf if wait is None else wait

    assert found.cheapest.name in names
    assert not any(cost(name) < cost(found.cheapest.name) for name in names)
    fitting = [
        row
        for row in table.rows
        if (limits.ms is None or cost(row.name)[2] <= limits.ms)
        and (limits.bytes is None or cost(row.name)[1] <= limits.bytes)
        and (limits.price is None or cost(row.name)[0] <= limits.price)
    ]
    if limits == Limits():
        sure = {found.best.name, *shown_by_hand(table, 0.02)}
        assert found.take is not None
        assert found.take.name in sure
        assert not any(cost(name) < cost(found.take.name) for name in sure)
    elif not fitting:
        assert found.take is None
        assert "nothing fits" in found.words[2]
    else:
        best = max(row.estimate.mean for row in fitting)
        taken = next(row for row in fitting if found.take and row.name == found.take.name)
        assert taken.estimate.mean == best
    assert len(found.words) == 3
    assert not any("\n" in line for line in found.words)
    json.dumps(asdict(found))


def rows(means: dict[str, float], *, n: int = 400, seed: int = 0) -> Comparison:
    """Systems of these means, whose scores share most of their noise; the later the cheaper."""
    random = np.random.default_rng(seed)
    shared = random.normal(0, 0.2, n)
    scores = [np.clip(mean + shared + random.normal(0, 0.02, n), 0, 1) for mean in means.values()]
    costs: list[Cost] = [(2.0 ** (12 - at), 8.0 / (at + 1), None) for at in range(len(means))]
    return compared(np.array(scores), costs)


def test_three_lines_say_the_best_the_cheapest_and_how_sure() -> None:
    best, cheapest, take = decide(rows({"a": 0.6, "b": 0.599, "c": 0.5})).words
    assert best.startswith("Best: s0, nDCG@10 ")
    assert best.endswith("it is told apart from 1 of the 2 others.")
    assert cheapest.startswith("Cheapest not told apart from it: s1, 2.05 kB per document, 4 ms")
    assert "instead of 4.1 kB per document, 8 ms per query" in cheapest
    assert take.startswith("Take: s1, .00")
    assert "with 400 queries a loss of up to .00" in take
    assert take.endswith("It is shown to be behind by less than .02.")


def test_a_cheaper_row_that_is_only_not_told_apart_is_not_recommended() -> None:
    random = np.random.default_rng(0)
    scores = random.uniform(0, 1, (2, 20))
    scores[1] += scores[0].mean() - scores[1].mean() - 0.09  # the scores share no noise
    found = decide(compared(scores, [(1536.0, 1.0, None), (16.0, 1.0, None)]))
    assert found.alike == ("s1",)
    assert found.take == found.best
    assert found.words[2].startswith(
        "Take: s0, the best. 20 queries do not suffice to recommend s1: it may be behind by up to ."
    )
    assert found.words[2].endswith(" (95 %), and .02 is allowed.")


def test_under_a_limit_the_best_that_fits_is_taken_and_its_loss_is_said() -> None:
    table = rows({"a": 0.6, "b": 0.599, "c": 0.5})
    assert (
        decide(table, Limits(bytes=1500))
        .words[2]
        .startswith("Take under 1500 bytes per document: s2, .09")
    )
    assert "told apart from it" in decide(table, Limits(bytes=1500)).words[2]
    both = decide(table, Limits(ms=1.0, bytes=3000)).words[2]
    assert both == (
        "Take under 1 ms per query and 3000 bytes per document: nothing fits; the cheapest, s2, "
        "takes 1.02 kB per document, 2.67 ms per query."
    )


def test_one_system_and_many_rows_of_few_queries_have_a_decision() -> None:
    alone = decide(rows({"a": 0.6}))
    assert alone.take == alone.best
    assert "no other system" in alone.words[0]
    table = rows({str(at): 0.8 - 0.01 * at for at in range(35)}, n=100)
    # over all 595 pairs no p of 10,000 flips would pass Holm's correction: more are made
    assert 0.03 < min(pair.p_holm for pair in table.pairs) < 0.05
    assert len(decide(table).alike) < 5


def test_a_price_counts_before_bytes() -> None:
    table = compared(np.full((2, 30), 0.5), [(16.0, 1.0, 0.13), (1536.0, 9.0, None)])
    assert decide(table).cheapest.name == "s1"
    assert (
        decide(table, Limits(price=0.0)).words[2].startswith("Take under $0 per million tokens: s1")
    )


@pytest.mark.parametrize("limits", [Limits(ms=0), Limits(bytes=-1), Limits(price=float("nan"))])
def test_a_limit_that_nothing_can_meet_is_an_error(limits: Limits) -> None:
    with pytest.raises(InputError, match="the limit max_"):
        decide(rows({"a": 0.5}), limits)


def test_a_comparison_shows_its_decision_as_text_and_in_a_notebook() -> None:
    table = rows({"<b>": 0.6, "b": 0.4})
    table = replace(table, decision=decide(table))
    assert str(table).splitlines()[-3:] == list(decide(table).words)
    page = table._repr_html_()
    assert page.count("<tr>") == 3
    assert all(f"<p>{line}</p>" in page for line in decide(table).words)
    assert str(decide(table)).startswith("Best: ")


def test_a_margin_adds_a_line_of_what_is_not_worse_by_more() -> None:
    table = rows({"a": 0.6, "b": 0.599, "c": 0.598, "d": 0.5})
    found = decide(table, margin=0.01)
    assert found.not_worse is not None
    assert set(found.not_worse.names) == {"s1", "s2"}
    assert found.not_worse.cheapest == "s2"  # by its bytes
    losses = [np.subtract(table.rows[0].per_query, row.per_query) for row in table.rows[1:]]
    by_hand = sorted(noninferiority(loss, 0.01) for loss in losses)
    assert sorted(found.not_worse.p.values()) == pytest.approx(
        [min(1, by_hand[0] * 3), min(1, by_hand[1] * 2), by_hand[2]]
    )
    assert found.words[:2] == decide(table).words[:2]
    assert found.words[3] == (
        f"Not worse than the best by more than .01: {', '.join(found.not_worse.names)} (one-sided p "
        "below 2.5%, corrected over 3); the cheapest is s2, 1.02 kB per document, 2.67 ms per query."
    )
    json.dumps(asdict(found))
    none = decide(rows({"a": 0.6, "d": 0.5}), margin=0.01).words[3]
    assert none.startswith("Not worse than the best by more than .01: no other system is shown")
    assert decide(rows({"a": 0.6}), margin=0.5).words[3].endswith("no other system to test.")
    with pytest.raises(InputError, match="the margin is 0"):
        decide(table, margin=0.0)
    written_before = replace(table, pairs=tuple(replace(p, spread=None) for p in table.pairs))
    with pytest.raises(InputError, match="no spreads, which a margin needs"):
        decide(written_before, margin=0.01)
    assert all(pair.detectable and 0 < pair.detectable < 0.01 for pair in table.pairs)
