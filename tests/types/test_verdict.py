"""A verdict and a comparison as they are printed."""

from __future__ import annotations

from dataclasses import replace

from nearfield.types.comparison import Comparison, Row
from nearfield.types.verdict import BETTER, Estimate, Forgotten, Side, Verdict

VERDICT = Verdict(
    outcome=BETTER,
    measure="nDCG@10",
    collection="a <b>",
    split="test",
    queries=1628,
    baseline=Side(0.515, 0.5, 0.53, "minilm", "base model"),
    tuned=Side(0.618, 0.6, 0.63, "minilm tuned", "tuned model"),
    difference=Estimate(0.103, 0.091, 0.115),
    p=0.00001,
    queries_needed=30,
)


def test_a_verdict_prints_as_its_sentence() -> None:
    assert str(VERDICT) == (
        "Better: minilm tuned against minilm, nDCG@10 +.103 [+.091, +.115] on 1,628 test queries of a <b>, from "
        ".515 [.500, .530] to .618 [.600, .630], p < .0001."
    )


def test_a_guard_that_lost_too_much_is_named() -> None:
    lost = Forgotten("stsb", "Spearman", 100, before=0.8, after=0.7, margin=0.01)
    kept = Forgotten("faq", "nDCG@10", 100, before=0.5, after=0.5, margin=0.01)
    said = str(replace(VERDICT, forgotten=(lost, kept)))
    assert said.endswith("allowed on stsb: Spearman fell by 0.100, and 0.010 was allowed.")
    assert "faq" not in said


def test_a_notebook_shows_it_with_names_escaped() -> None:
    shown = VERDICT._repr_html_()
    assert shown.startswith("<p><strong>Better</strong>: minilm tuned against")
    assert "a &lt;b&gt;" in shown


def test_a_comparison_prints_its_rows() -> None:
    estimate = Estimate(0.5, 0.4, 0.6)
    row = Row("bm25", "bm25", None, "", estimate, {}, "a", 1.0, None, None, (0.5, 0.5))
    table = Comparison("faq", "test", 3, "nDCG@10", ("1", "2"), (row,), (), ())
    assert str(table) == "nDCG@10 on 2 items of faq\nbm25  .500 [.400, .600]  a"
