"""Measures of labellings in resamples, against scikit-learn and their bounds."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import v_measure_score

from nearfield.statistics.labelling import Labelling, MacroF1, VMeasure


@pytest.mark.parametrize("kind", [MacroF1, VMeasure])
@pytest.mark.parametrize("right", [0.0, 0.95])
def test_intervals_hold_the_value_and_stay_between_0_and_1(
    kind: type[Labelling], right: float
) -> None:
    random = np.random.default_rng(0)
    for _ in range(15):
        items = int(random.integers(5, 40))
        labels = int(random.integers(2, 6))
        gold = random.integers(0, labels, items)
        drawn = np.tile(np.arange(items), (3, 1))
        guessed = random.integers(0, labels, drawn.shape)
        found = np.where(random.random(drawn.shape) < right, gold, guessed)
        measure = kind(gold, drawn)
        ((one,), _) = measure.side_by_side(found.reshape(1, -1).astype(np.float64), [])
        assert 0 <= one.low <= one.mean <= one.high <= 1


def test_a_draw_that_holds_nothing_of_a_resample_does_not_count() -> None:
    gold = [0, 0, 1, 1]
    drawn = [[0, 0, 0, 0], [0, 1, 2, 3]]
    found = np.array([0, 0, 0, 0, 0, 1, 0, 1], np.float64)
    # item 0 is in no resample, and the first draw holds nothing else
    (value,) = VMeasure(gold, drawn).weighted(found, np.array([[0.0, 1.0, 2.0, 1.0]]))
    assert value == pytest.approx(v_measure_score([0, 1, 1, 1], [1, 0, 0, 1]))
