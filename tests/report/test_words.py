from __future__ import annotations

from dataclasses import replace

import pytest

from nearfield.errors import InputError
from nearfield.report import words
from nearfield.types.comparison import Comparison, Row
from nearfield.types.verdict import BETTER, NO_DIFFERENCE, WORSE, Estimate, Forgotten, Verdict


def test_the_line_of_numbers_says_what_was_gained_or_lost(verdict: Verdict) -> None:
    gained = words.in_one_line(verdict)
    assert gained == (
        "minilm tuned gains .101 nDCG@10 [.087, .115] over minilm on 1,629 unseen "
        "queries of stdlib (p < .0001)"
    )
    worse = replace(verdict, outcome=WORSE, difference=Estimate(-0.02, -0.03, -0.01))
    assert words.in_one_line(worse).startswith(
        "minilm tuned loses .020 nDCG@10 [.010, .030] against minilm"
    )
    same = replace(
        verdict, outcome=NO_DIFFERENCE, difference=Estimate(0.002, -0.003, 0.007), p=0.31
    )
    assert words.in_one_line(same).startswith(
        "minilm tuned moves +.002 nDCG@10 [−.003, .007] against minilm"
    )


@pytest.mark.parametrize("outcome", [BETTER, NO_DIFFERENCE, WORSE])
def test_each_outcome_has_its_headline_summary_and_advice(verdict: Verdict, outcome: str) -> None:
    verdict = replace(verdict, outcome=outcome)
    assert outcome.split()[0] in words.headline(verdict).lower()
    assert "1,629 unseen queries of stdlib" in words.summary(verdict)
    assert words.advice(verdict).startswith(
        "Use the tuned" if outcome == BETTER else "Keep the base"
    )


def test_a_tune_of_which_nothing_was_kept_is_told_to_keep_the_base(verdict: Verdict) -> None:
    nothing = replace(verdict, outcome=NO_DIFFERENCE, difference=Estimate(0.0, 0.0, 0.0))
    assert "Every query has the same value with both: keep the base" in words.advice(nothing)
    one = replace(nothing, difference=Estimate(0.1, 0.1, 0.1))
    assert "or test on more queries" in words.advice(one)


def test_what_ranks_higher_than_both_models_is_named_with_the_advice(verdict: Verdict) -> None:
    rows = {
        "BM25": (0.79, "a"),
        "minilm tuned": (verdict.tuned.mean, "a"),
        "minilm": (verdict.baseline.mean, "b"),
    }
    given = tuple(
        replace(row(name, letters), estimate=Estimate(mean, 0, 1))
        for name, (mean, letters) in rows.items()
    )
    comparison = Comparison("c", "test", 1, "nDCG@10", (), given, ())
    ahead = (
        "BM25 ranks higher than either on these queries (.790, though they cannot be told "
        "apart): look at it first."
    )
    assert words.advice(verdict, comparison) == f"Use the tuned model. But {ahead}"
    apart = replace(comparison, rows=(replace(given[0], letters="c"), *given[1:]))
    assert words.advice(verdict, apart).endswith(
        "But BM25 ranks higher than either on these queries (.790): look at it first."
    )
    assert words.advice(verdict, replace(comparison, rows=given[1:])) == "Use the tuned model."
    assert words.advice(verdict) == "Use the tuned model."


def test_a_verdict_says_which_split_was_too_small_to_decide_and_what_is_enough(
    verdict: Verdict,
) -> None:
    small = replace(verdict, outcome=NO_DIFFERENCE, queries=13, dev_queries=3)
    assert words.headline(small) == "No difference was shown: the test is too small to decide."
    dev = (
        "The weights and the merge were chosen by 3 queries, which is too few: give dev at "
        "least 30."
    )
    test = (
        "The test split has 13 queries, too few to show any but a large difference: give it at "
        "least 30."
    )
    assert words.advice(small).endswith(f" {dev} {test}")
    assert words.headline(replace(small, outcome=BETTER)) == "The tuned model is better."
    assert words.advice(replace(small, queries=30)).endswith(dev)
    assert "give it" not in words.advice(replace(verdict, dev_queries=30, queries=30))


def test_a_guard_that_lost_too_much_is_in_the_headline(verdict: Verdict) -> None:
    lost = replace(verdict.forgotten[0], after=0.79)
    verdict = replace(verdict, forgotten=(lost,))
    assert words.headline(verdict) == (
        "The tuned model is better, but it lost more than allowed on pydoc-topics."
    )
    assert "only where the guard does not matter" in words.advice(verdict)
    assert (
        words.guard_line(lost)
        == "pydoc-topics: loses .020 nDCG@10 (.810 to .790 on 600 queries that the merge was not "
        "chosen by), more than the .010 allowed"
    )


def test_a_guard_may_gain_or_stay() -> None:
    assert "gains .010 nDCG@10" in words.guard_line(Forgotten("g", "nDCG@10", 1, 0.80, 0.81, 0.01))
    assert "loses no nDCG@10" in words.guard_line(Forgotten("g", "nDCG@10", 1, 0.80, 0.80, 0.01))


def test_an_unknown_outcome_is_refused(verdict: Verdict) -> None:
    with pytest.raises(
        InputError, match="'superb'; wanted one of better, no difference shown, worse"
    ):
        words.headline(replace(verdict, outcome="superb"))


def test_measures_in_words() -> None:
    assert "the first 10 results" in words.measure_meaning("nDCG@10")
    assert words.measure_meaning("AP") == (
        "precision averaged over the ranks of the relevant documents"
    )
    assert words.measure_meaning("Spearman") == ""
    assert "{k}" not in "".join(
        map(words.measure_meaning, ("R@100", "RR", "P", "nDCG", "Success@1"))
    )


def row(name: str, letters: str) -> Row:
    return Row(
        name, name, 384, "float32", Estimate(0.5, 0.4, 0.6), {}, letters, 1536.0, None, None, ()
    )


def test_who_cannot_be_told_apart() -> None:
    comparison = Comparison(
        "c", "test", 3, "nDCG@10", (), (row("x", "ab"), row("y", "b"), row("z", "c")), ()
    )
    assert words.told_apart(comparison) == (
        "x has the highest mean, but these queries do not tell it apart from y."
    )
    apart = replace(comparison, rows=(row("x", "a"), row("y", "b")))
    assert words.told_apart(apart) == (
        "x is the best of the 2, and the queries tell it apart from every other."
    )
    assert words.told_apart(replace(comparison, rows=comparison.rows[:1])) == ""


def test_a_guard_of_scored_pairs_counts_pairs() -> None:
    line = words.guard_line(Forgotten("people", "Spearman", 75, 0.80, 0.80, 0.01))
    assert "on 75 pairs that the merge was not chosen by" in line


def test_no_number_of_queries(verdict: Verdict) -> None:
    same = replace(verdict, outcome=NO_DIFFERENCE, queries_needed=None)
    assert words.summary(same).endswith("No number of queries would show it.")
