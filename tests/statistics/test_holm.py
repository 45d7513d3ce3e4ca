from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from nearfield.statistics.holm import holm


@settings(max_examples=12)
@given(st.lists(st.floats(0, 1) | st.sampled_from([0.01, 0.05, 1.0]), min_size=1, max_size=30))
def test_statsmodels_gives_the_same(p_values: list[float]) -> None:
    np.testing.assert_allclose(
        holm(p_values), multipletests(p_values, method="holm")[1], rtol=1e-12
    )


def test_a_case_worked_by_hand() -> None:
    # .01 * 3, .03 * 2, then .04 * 1 raised to .06
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])


def test_no_test_at_all() -> None:
    assert holm([]).tolist() == []
