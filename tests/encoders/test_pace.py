"""Parts grow until they take half a minute, and those of a slow model stay small."""

from __future__ import annotations

from nearfield.encoders.pace import FIRST, SECONDS, Pace


def parts(rate: float, rows: int) -> list[int]:
    """The parts of so many rows by a model that makes `rate` of them a second."""
    pace, taken = Pace(), list[int]()
    while rows:
        taken.append(min(pace.rows, rows))
        rows -= taken[-1]
        pace.took(taken[-1], taken[-1], taken[-1] / rate)
    return taken


def test_a_slow_models_rows_are_written_every_half_a_minute_and_a_fast_ones_seldom() -> None:
    assert max(part / 2.3 for part in parts(2.3, 8192)) <= 1.001 * SECONDS
    assert parts(1e4, 8192) == [16, 64, 256, 1024, 4096, 2736]
    assert parts(1 / 90, 18) == [FIRST, 1, 1]


def test_rows_that_cost_nothing_say_nothing_of_the_speed() -> None:
    pace = Pace()
    pace.took(64, 0, 0.01)
    assert pace.rows == 256
    pace.took(256, 1, 2.0)
    assert pace.rows == SECONDS / 2
