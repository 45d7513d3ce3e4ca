from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfield.statistics.holm import holm


@settings(max_examples=60)
@given(st.lists(st.floats(0, 1) | st.sampled_from([0.01, 0.05, 1.0]), min_size=1, max_size=8))
def test_it_is_the_closed_test_of_bonferronis(p_values: list[float]) -> None:
    # a hypothesis is rejected where Bonferroni rejects every set of hypotheses that holds it
    # (Marcus, Peritz & Gabriel 1976): all sets are looked at
    wanted = np.zeros(len(p_values))
    for size in range(1, len(p_values) + 1):
        for held in combinations(range(len(p_values)), size):
            together = min(1.0, size * min(p_values[at] for at in held))
            wanted[list(held)] = np.maximum(wanted[list(held)], together)
    np.testing.assert_allclose(holm(p_values), wanted, rtol=1e-12)


def test_a_case_worked_by_hand() -> None:
    # .01 * 3, .03 * 2, then .04 * 1 raised to .06
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])


def test_no_test_at_all() -> None:
    assert holm([]).tolist() == []
