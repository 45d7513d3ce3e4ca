"""Batches, hard negatives and merges against what they promise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfield.train.data.mining import hard_negatives, training_pairs_of
from nearfield.train.data.pool import pooled_documents
from nearfield.train.data.sampling import MixedPairs, TrainingPairs
from nearfield.train.engine.schedule import measured_steps, rate_at
from nearfield.train.fits.blend import put_weights
from nearfield.train.recipe import Negatives, Recipe
from nearfield.train.runs.merge import Merged, keeps, search


@given(st.integers(2, 80), st.integers(2, 12), st.integers(0, 3))
@settings(max_examples=60)
def test_an_epoch_has_each_pair_once_in_whole_batches(pairs: int, batch: int, seed: int) -> None:
    made = TrainingPairs(np.arange(pairs) // 2, np.zeros(pairs, np.int64), np.full((pairs, 1), -1))
    batches = made.epoch(batch, seed=seed, epoch=1)
    assert sorted(np.concatenate(batches).tolist()) == list(range(pairs))
    assert all(2 <= len(chosen) <= batch + 1 for chosen in batches)
    assert [len(chosen) for chosen in batches[:-1]] == [batch] * (len(batches) - 1)
    again = made.epoch(batch, seed=seed, epoch=1)
    assert all((one == other).all() for one, other in zip(batches, again, strict=True))
    if pairs > 8:
        other = np.concatenate(made.epoch(batch, seed=seed, epoch=2))
        assert other.tolist() != np.concatenate(batches).tolist()


@given(
    st.lists(st.integers(2, 40), min_size=2, max_size=4),
    st.integers(2, 9),
    st.sampled_from([0.0, 0.5, 1.0]),
)
@settings(max_examples=60)
def test_data_sets_share_the_batches(sizes: list[int], batch: int, mix: float) -> None:
    count, ends = sum(sizes), np.cumsum(sizes)
    rows = np.arange(count)
    made = MixedPairs(rows, rows, np.empty((count, 0), np.int64), tuple(sizes), mix)
    epochs = [made.epoch(batch, seed=0, epoch=epoch) for epoch in range(4)]
    parts = [
        [set(np.searchsorted(ends, chosen, side="right").tolist()) for chosen in epoch]
        for epoch in epochs
    ]
    assert all(len(part) == 1 for epoch in parts for part in epoch)
    order = [part for (part,) in parts[0]]
    counts = np.bincount(order, minlength=len(sizes))
    if mix == 0:  # in turn
        assert order == [*range(len(sizes))] * counts[0]
    weights = np.array(sizes) ** mix / np.sum(np.array(sizes) ** mix)
    assert (abs(counts - np.maximum(1, counts.sum() * weights)) <= len(sizes)).all()
    times = np.bincount(np.concatenate([chosen for epoch in epochs for chosen in epoch]))
    for part, start in enumerate(ends - sizes):  # each pair of a data set as often
        own = times[start : start + sizes[part]]
        assert own.max() - own.min() <= 1


def test_pairs_are_the_judgements_above_zero() -> None:
    query, positive = training_pairs_of([{5: 1, 2: 2, 3: 0}, {}, {1: 1}])
    assert list(zip(query.tolist(), positive.tolist(), strict=True)) == [(0, 2), (0, 5), (2, 1)]


def mined(margin: float = 0.95, per_query: int = 2, excluded: set[int] | None = None) -> list[int]:
    candidates = {"bm25": np.array([[7, 3, 4, -1]]), "model": np.array([[1, 3, 5, 6]])}
    near = {
        "bm25": np.array([[0.2, 0.5, 0.1, 0.0]], np.float32),
        "model": np.array([[0.79, 0.5, 0.4, 0.3]], np.float32),
    }
    chosen = hard_negatives(
        candidates,
        near,
        np.array([0.8], np.float32),
        [excluded or set()],
        asked=Negatives(per_query=per_query, margin=margin),
    )
    found: list[int] = chosen[0].tolist()
    return found


def test_negatives_come_in_turn_and_never_from_too_near() -> None:
    assert mined() == [7, 3]  # the model's 1 scores above .95 x .8; its next best is 3
    assert mined(margin=1.0) == [7, 1]
    assert mined(excluded={7, 3}) == [4, 5]
    assert mined(per_query=9) == [7, 3, 5, 4, 6, -1, -1, -1, -1] or mined(per_query=9)[:5] == [
        7,
        3,
        4,
        5,
        6,
    ]


def test_a_negative_similarity_has_a_ceiling_below_it() -> None:
    near = {"model": np.array([[-0.2, -0.9]], np.float32)}
    chosen = hard_negatives(
        {"model": np.array([[1, 2]])},
        near,
        np.array([-0.2], np.float32),
        [set()],
        asked=Negatives(per_query=1, margin=0.9),
    )
    assert chosen.tolist() == [[2]]


def test_a_pool_has_the_judged_then_the_candidates_then_others() -> None:
    ids = [f"d{at}" for at in range(20)]
    found = np.array([[3, 4, -1], [5, 6, 7]])
    assert pooled_documents({1}, [found], range(10), ids, 4).tolist() == [1, 3, 4, 5]
    assert pooled_documents({1, 2, 8}, [found], range(10), ids, 2).tolist() == [1, 2, 8]
    assert pooled_documents({19}, [found], range(10), ids, 100).tolist() == [*range(10), 19]


def test_the_rate_rises_then_falls() -> None:
    recipe = Recipe.of({"schedule": {"warmup": 0.2, "rate": 0.1}})
    rates = [rate_at(step, 10, recipe) for step in range(1, 11)]
    assert rates[:2] == [0.05, 0.1]
    assert rates[1:] == sorted(rates[1:], reverse=True)
    assert 0 < rates[-1] < 0.02


@pytest.mark.parametrize(("steps", "evaluations"), [(1, 5), (3, 5), (62, 5), (100, 1)])
def test_the_last_step_is_measured(steps: int, evaluations: int) -> None:
    marks = measured_steps(steps, evaluations)
    assert steps in marks
    assert min(marks) >= 1
    assert len(marks) <= evaluations


def test_weights_between_base_and_tuned() -> None:
    base, tuned = {"w": torch.tensor([0.0, 2.0])}, {"w": torch.tensor([1.0, 4.0])}
    into = {"w": torch.zeros(2)}
    for ratio, wanted in ((0.0, [0.0, 2.0]), (0.25, [0.25, 2.5]), (1.0, [1.0, 4.0])):
        put_weights(into, base, tuned, ratio)
        assert into["w"].tolist() == wanted


@pytest.mark.parametrize(
    ("dev", "lost", "chosen", "devs", "asked"),
    [
        # it falls at once: no more is measured
        ({1.0: 0.6, 0.8: 0.5}, set(), 1.0, [1.0, 0.8], [1.0]),
        # of equals the smaller
        ({1.0: 0.6, 0.8: 0.7, 0.6: 0.7, 0.4: 0.65}, set(), 0.6, [1.0, 0.8, 0.6, 0.4], [0.6]),
        (
            {1.0: 0.9, 0.8: 0.8, 0.6: 0.7, 0.4: 0.6},
            {1.0, 0.8, 0.6},
            0.4,
            [1.0, 0.8, 0.6, 0.4],
            [1.0, 0.8, 0.6, 0.4],
        ),
        ({1.0: 0.6, 0.8: 0.7, 0.6: 0.65}, {0.8}, 0.6, [1.0, 0.8, 0.6], [0.8, 0.6]),
        # none better than the base
        ({1.0: 0.5, 0.8: 0.5, 0.6: 0.4, 0.4: 0.3}, set(), 0.0, [1.0, 0.8, 0.6, 0.4], []),
        (
            {1.0: 0.9, 0.8: 0.8, 0.6: 0.7, 0.4: 0.6},
            {1.0, 0.8, 0.6, 0.4},
            0.0,
            [1.0, 0.8, 0.6, 0.4],
            [1.0, 0.8, 0.6, 0.4],
        ),
    ],
)
def test_the_best_allowed_ratio_is_found(
    dev: dict[float, float], lost: set[float], chosen: float, devs: list[float], asked: list[float]
) -> None:
    seen: dict[str, list[float]] = {"dev": [], "guards": []}

    def dev_at(ratio: float) -> float:
        seen["dev"].append(ratio)
        return dev[ratio]

    def guards_at(ratio: float) -> dict[str, float]:
        seen["guards"].append(ratio)
        return {"a": 0.68 if ratio in lost else 0.695}

    base = Merged(0.0, 0.5, {"a": 0.7}, allowed=True)
    rows = search(base, (0.4, 0.6, 0.8, 1.0), dev=dev_at, guards=guards_at, margin=0.01)
    assert [row.ratio for row in rows if row.chosen] == [chosen]
    assert [row.ratio for row in rows] == [0.0, *sorted(devs)]
    assert seen == {"dev": devs, "guards": asked}


def test_a_guard_is_kept_within_its_margin() -> None:
    assert keeps({"a": 0.695}, {"a": 0.7}, 0.01)
    assert not keeps({"a": 0.68}, {"a": 0.7}, 0.01)
