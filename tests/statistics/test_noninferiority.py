"""The test of a margin against scipy's, and how often it is wrong and right by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nearfield.errors import InputError
from nearfield.statistics.noninferiority import LEVEL
from paired import noninferiority

NDCG = np.array([0.0, 0.0, 0.0, 0.289, 0.387, 0.5, 0.631, 1.0])
REPEATS = 4_000


def of_ndcg(random: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    """Losses of a cut in nDCG@10: most are 0, and there are more losses than gains."""
    loss = random.choice(NDCG, size) - random.choice(NDCG, size) * (random.random(size) < 0.7)
    return np.where(random.random(size) < 0.6, 0.0, loss)


def test_p_is_that_of_scipys_one_sided_t_test_at_the_margin() -> None:
    random = np.random.default_rng(1)
    for n, margin in ((20, 0.01), (50, 0.05), (300, 0.2)):
        losses = of_ndcg(random, (n,))
        expected = stats.ttest_1samp(losses, margin, alternative="less").pvalue
        assert noninferiority(losses, margin) == pytest.approx(max(expected, 2.0**-n))


@pytest.mark.parametrize("n", [50, 300])
def test_at_the_margin_it_is_claimed_as_rarely_as_the_level_says(n: int) -> None:
    random = np.random.default_rng(n)
    margin = float(of_ndcg(random, (2_000_000,)).mean())  # the true loss is the margin itself
    assert margin > 0.03
    claimed = np.mean(
        [noninferiority(row, margin) < LEVEL for row in of_ndcg(random, (REPEATS, n))]
    )
    # losses are skewed to the right, so that it is claimed a little more often: .033 and .031
    assert claimed == pytest.approx(LEVEL, abs=0.02 if n == 50 else 0.012)


def test_no_loss_at_all_is_claimed_with_the_power_of_the_noncentral_t() -> None:
    random, n, margin, sd = np.random.default_rng(2), 100, 0.03, 0.1
    rows = random.normal(0, sd, (REPEATS, n))
    claimed = np.mean([noninferiority(row, margin) < LEVEL for row in rows])
    end = stats.t.ppf(LEVEL, n - 1)
    expected = stats.nct.cdf(end, n - 1, -margin / (sd / n**0.5))
    assert claimed == pytest.approx(expected, abs=0.025)


def test_few_queries_show_nothing_and_bad_input_is_named() -> None:
    assert noninferiority([0.0] * 5, 0.01) == 2.0**-5 > LEVEL
    assert noninferiority([0.0] * 6, 0.01) < LEVEL
    assert noninferiority([0.01] * 9, 0.01) == 1
    assert noninferiority([-0.5], 0.01) == 0.5
    for margin in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match=r"the margin is .*; wanted a number above 0"):
            noninferiority([0.1, 0.2], margin)
