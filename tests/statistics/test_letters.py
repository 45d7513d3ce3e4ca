"""Two rows share a letter iff they are not told apart."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfield.statistics.letters import letters


def matrix(rows: int, pairs: set[tuple[int, int]]) -> np.ndarray:
    different = np.zeros((rows, rows), bool)
    for a, b in pairs:
        different[a, b] = different[b, a] = True
    return different


@settings(max_examples=200)
@given(
    st.integers(1, 9).flatmap(
        lambda rows: st.tuples(
            st.just(rows),
            st.sets(st.sampled_from(list(itertools.combinations(range(rows + 1), 2)))),
        )
    )
)
def test_two_rows_share_a_letter_iff_they_do_not_differ(
    case: tuple[int, set[tuple[int, int]]],
) -> None:
    rows, pairs = case[0], {pair for pair in case[1] if pair[1] < case[0]}
    marks = letters(matrix(rows, pairs))
    for a, b in itertools.combinations(range(rows), 2):
        assert bool(set(marks[a]) & set(marks[b])) == ((a, b) not in pairs)
    assert all(marks)
    assert marks[0].startswith("a")


@settings(max_examples=100)
@given(st.sets(st.sampled_from(list(itertools.combinations(range(7), 2)))))
def test_no_letter_is_needless(pairs: set[tuple[int, int]]) -> None:
    marks = letters(matrix(7, pairs))
    for letter in set("".join(marks)):
        fewer = [mark.replace(letter, "") for mark in marks]
        alike = [(a, b) for a, b in itertools.combinations(range(7), 2) if (a, b) not in pairs]
        assert not all(fewer) or any(not set(fewer[a]) & set(fewer[b]) for a, b in alike)


@pytest.mark.parametrize(
    ("rows", "pairs", "expected"),
    [
        (1, set(), ["a"]),
        (3, set(), ["a", "a", "a"]),
        (3, {(0, 1), (0, 2), (1, 2)}, ["a", "b", "c"]),
        (3, {(0, 2)}, ["a", "ab", "b"]),
        (4, {(0, 1), (0, 2), (0, 3), (1, 3)}, ["a", "b", "bc", "c"]),
        (0, set(), []),
    ],
)
def test_displays_worked_by_hand(
    rows: int, pairs: set[tuple[int, int]], expected: list[str]
) -> None:
    assert letters(matrix(rows, pairs)) == expected


def test_more_groups_than_the_alphabet_has_letters() -> None:
    marks = letters(~np.eye(80, dtype=bool))
    assert len(set(marks)) == 80
    assert all(len(mark) == 1 for mark in marks)
