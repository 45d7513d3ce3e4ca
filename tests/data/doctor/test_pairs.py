"""Each check of pairs on a small case with the fault planted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nearfield.data.pairs import Pairs
from nearfield.types.finding import ERROR, NOTE, WARNING, Finding

Run = Callable[..., dict[str, Finding]]
Make = Callable[..., Pairs]
ROWS = [
    (f"how is thing{i} mended?", f"the thing{i} is mended by hand{i} with tool{i} in place{i}.")
    for i in range(20)
]
LONG = (
    "the committee agreed on a plan for the northern harbour and its two old piers before "
    "winter came to the coast again"
)


def test_sound_pairs_have_a_note_about_negatives_at_most(make_pairs: Make, findings: Run) -> None:
    assert {name: finding.severity for name, finding in findings(make_pairs(ROWS)).items()} == {
        "no-negatives": NOTE
    }
    assert findings(make_pairs(ROWS, scores=[0.5, 0.6] * 10)) == {}
    assert findings(make_pairs(ROWS, negatives=[["something else"], ["and more"]] * 10)) == {}


@pytest.mark.parametrize(("copies", "severity"), [(1, WARNING), (3, ERROR)])
def test_duplicate_pairs(make_pairs: Make, findings: Run, copies: int, severity: str) -> None:
    found = findings(
        make_pairs([*ROWS, *((query.upper(), positive) for query, positive in ROWS[:copies])])
    )["duplicate-pairs"]
    assert (found.severity, found.count, found.total) == (severity, copies, 20 + copies)
    assert "row 21" in found.example


def test_near_duplicate_pairs_are_near_in_both_columns(make_pairs: Make, findings: Run) -> None:
    near = LONG.replace("again", "soon")
    both = findings(
        make_pairs(
            [
                *ROWS,
                ("what did the committee agree on for the harbour last week?", LONG),
                ("What did the committee agree on, for the harbour last week", near),
            ]
        )
    )
    assert (both["near-duplicate-pairs"].severity, both["near-duplicate-pairs"].count) == (
        WARNING,
        1,
    )
    one = findings(
        make_pairs(
            [*ROWS, ("what did the committee agree on?", LONG), ("when does winter come?", near)]
        )
    )
    assert "near-duplicate-pairs" not in one, "two questions on one passage"


def test_repeated_positives(make_pairs: Make, findings: Run) -> None:
    found = findings(make_pairs([*ROWS, ("another question", ROWS[3][1])]))["repeated-positives"]
    assert (found.severity, found.count) == (NOTE, 1)
    assert "row 4" in found.example


def test_a_positive_among_the_negatives_of_any_row_of_its_query(
    make_pairs: Make, findings: Run
) -> None:
    rows = [*ROWS, (ROWS[0][0], "another positive of the first query")]
    negatives = [["nothing"], *[["something else"]] * 19, [ROWS[0][1].upper()]]
    found = findings(make_pairs(rows, negatives=negatives))["positive-among-negatives"]
    assert (found.severity, found.count, found.total) == (WARNING, 1, 21)
    assert "row 21" in found.example


def test_rows_without_negatives_beside_rows_with_some(make_pairs: Make, findings: Run) -> None:
    found = findings(make_pairs(ROWS, negatives=[[]] * 5 + [["something"]] * 15))["no-negatives"]
    assert (found.severity, found.count, found.total) == (WARNING, 5, 20)


def test_contradictory_scores(make_pairs: Make, findings: Run) -> None:
    found = findings(make_pairs([*ROWS, ROWS[2], ROWS[3]], scores=[1.0] * 20 + [0.2, 1.0]))[
        "contradictory-scores"
    ]
    assert (found.severity, found.count) == (WARNING, 1)
    assert "score 0.2, row 3 says 1" in found.example


def test_empty_texts_are_errors_as_each_row_is_judged(make_pairs: Make, findings: Run) -> None:
    found = findings(make_pairs([*ROWS, ("", "a positive of nothing"), ("a question", " ")]))
    assert found["empty-queries"].severity == found["empty-documents"].severity == ERROR
    assert "row 21" in found["empty-queries"].example


def test_equal_sentences_are_normal_in_scored_pairs_only(make_pairs: Make, findings: Run) -> None:
    rows = [*ROWS, ("the same words", "The same words.")]
    assert findings(make_pairs(rows))["query-is-document"].count == 1
    assert "query-is-document" not in findings(make_pairs(rows, scores=[5.0] * 21))
