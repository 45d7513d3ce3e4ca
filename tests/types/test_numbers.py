from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as some

from nearfield.types import numbers
from nearfield.types.verdict import Estimate


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.641, ".641"),
        (1.0, "1.000"),
        (0.0, ".000"),
        (-0.0141, "−.014"),
        (-0.0001, ".000"),
        (12.3456, "12.346"),
        (math.nan, "–"),
        (None, "–"),
    ],
)
def test_scores_are_written_as_the_field_writes_them(value: float | None, written: str) -> None:
    assert numbers.score(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.1014, "+.101"), (-0.1014, "−.101"), (0.0001, ".000"), (-0.0001, ".000"), (math.inf, "–")],
)
def test_differences_have_their_sign(value: float, written: str) -> None:
    assert numbers.signed(value) == written


@given(some.floats(-10, 10))
def test_a_written_score_reads_back_within_its_rounding(value: float) -> None:
    assert float(numbers.score(value).replace("−", "-")) == pytest.approx(value, abs=5.0001e-4)
    assert float(numbers.signed(value).replace("−", "-")) == pytest.approx(value, abs=5.0001e-4)


def test_intervals() -> None:
    assert numbers.estimated(Estimate(0.101, 0.087, 0.115)) == ".101 [.087, .115]"
    assert numbers.interval(Estimate(0.0, -0.0031, 0.01)) == "[−.003, .010]"


@pytest.mark.parametrize(
    ("p", "written"),
    [
        (0.00005, "p < .0001"),
        (0.0001, "p = .0001"),
        (0.0312, "p = .031"),
        (0.31, "p = .310"),
        (1.0, "p = 1.000"),
        (math.nan, "p –"),
    ],
)
def test_p(p: float, written: str) -> None:
    assert numbers.p_value(p) == written


@pytest.mark.parametrize(
    ("n_bytes", "written"),
    [
        (0, "0 B"),
        (48, "48 B"),
        (999, "999 B"),
        (999.7, "1 kB"),
        (999_999, "1 MB"),
        (999_499, "999 kB"),
        (1536, "1.54 kB"),
        (5_866_000, "5.87 MB"),
        (3e9, "3 GB"),
        (math.nan, "–"),
    ],
)
def test_sizes(n_bytes: float, written: str) -> None:
    assert numbers.size(n_bytes) == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (4.21, "4.2 s"),
        (425, "7 min 05 s"),
        (7380, "2 h 03 min"),
        (3599.9, "1 h 00 min"),
        (math.nan, "–"),
    ],
)
def test_durations(seconds: float, written: str) -> None:
    assert numbers.duration(seconds) == written


def test_counts_and_speeds() -> None:
    assert numbers.count(1629) == "1,629"
    assert numbers.plural(1, "query") == "1 query"
    assert numbers.plural(1629, "unseen query") == "1,629 unseen queries"
    assert numbers.plural(3, "evaluation") == "3 evaluations"
    assert [numbers.speed(value) for value in (7.421, 812.4, 1204.2, None, math.nan)] == [
        "7.42",
        "812",
        "1,204",
        "–",
        "–",
    ]


def test_differences_and_queries() -> None:
    assert numbers.changed(Estimate(-0.019, -0.039, 0.001)) == "−.019 [−.039, +.001]"
    assert [numbers.queries(needed) for needed in (1629, None)] == ["1,629", "none would"]
