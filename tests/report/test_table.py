from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from nearfield.report import table
from nearfield.report.facts import read_run
from nearfield.types.finding import Finding
from nearfield.types.verdict import Verdict


def shown(renderable: RenderableType, width: int = 120) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_comparison_is_best_first_with_every_column(run_folder: Path) -> None:
    comparison = read_run(run_folder).comparison
    assert comparison
    lines = shown(table.comparison_table(comparison), 160).splitlines()
    heads = [
        "system",
        "dim",
        "storage",
        "nDCG@10",
        "95 %",
        "R@100",
        "RR@10",
        "bytes",
        "ms",
        "docs/s",
    ]
    assert [head for head in heads if head not in lines[1]] == []
    assert [line.split("  ")[0] for line in lines[2:6]] == [row.name for row in comparison.rows]
    assert lines[6].startswith("Note: ")
    lettered = shown(table.comparison_table(comparison, letters=True), 160).splitlines()
    assert "group" in lettered[1]
    assert "Two systems that share a letter" in lettered[6]
    assert any(line.startswith("Note: 12 documents") for line in lines)


@pytest.mark.parametrize("width", [100, 72, 50, 34])
def test_a_narrow_terminal_leaves_columns_out_and_says_so(run_folder: Path, width: int) -> None:
    comparison = read_run(run_folder).comparison
    assert comparison
    text = shown(table.comparison_table(comparison), width)
    assert max(map(len, text.splitlines())) <= width
    assert "nDCG@10" in text
    assert all(f"{row.estimate.mean:.3f}".removeprefix("0") in text for row in comparison.rows)
    if width < 90:
        assert "Left out to fit" in text


def test_pairs(run_folder: Path) -> None:
    comparison = read_run(run_folder).comparison
    assert comparison
    text = shown(table.pairs_table(comparison))
    assert "minilm tuned − minilm" in text
    assert text.count(" − ") == 6


def test_findings_come_by_severity_and_markup_stays_text() -> None:
    findings = [
        Finding("note-check", "note", 1, 2, "[bold]x[/bold]\n  y", "nothing"),
        Finding("bad-check", "error", 1, 2, "e", "fix it"),
    ]
    text = shown(table.findings_table(findings))
    assert text.index("bad-check") < text.index("note-check")
    assert "[bold]x[/bold] y" in text
    assert "found nothing" in shown(table.findings_table([]))


def test_findings_leave_room_for_the_name_of_a_model_on_a_narrow_terminal() -> None:
    name = "paraphrase-multilingual-MiniLM-L12-v2"
    findings = [
        Finding(
            "unread-language", "warning", 1234, 5000, f"unknown to {name}", f"take {name}, say"
        ),
        Finding("similar-queries-across-splits", "note", 1, 2, "e", "look at some"),
    ]
    assert shown(table.findings_table(findings), 80).count(name) == 2


def test_the_verdict_is_words_first(verdict: Verdict) -> None:
    text = " ".join(shown(table.verdict_panel(verdict), 200).replace("│", "").split())
    assert (
        "BETTER: minilm tuned gains .101 nDCG@10 [.087, .115] over minilm on 1,629 unseen "
        "queries of stdlib (p < .0001)"
    ) in text
    assert (
        "Guard pydoc-topics: loses .004 nDCG@10 (.810 to .806 on 600 queries that the merge was "
        "not chosen by), within the .010 allowed" in text
    )


def test_measures_that_were_asked_for_go_last(run_folder: Path) -> None:
    comparison = read_run(run_folder).comparison
    assert comparison
    rows = tuple(
        replace(row, name=f"a model of a rather long name, {row.name}") for row in comparison.rows
    )
    text = shown(table.comparison_table(replace(comparison, rows=rows), named=("RR@10",)), 80)
    head = text.splitlines()[1]
    asked = ("system", "dim", "storage", "nDCG@10", "bytes", "ms", "RR@10")
    assert [title for title in asked if title not in head] == []
    assert "R@100" not in head.replace("RR@10", "")
    assert max(map(len, text.splitlines())) <= 80


def test_what_no_number_of_queries_would_show(run_folder: Path, verdict: Verdict) -> None:
    comparison = read_run(run_folder).comparison
    assert comparison
    pairs = tuple(replace(pair, queries_needed=None) for pair in comparison.pairs)
    assert shown(table.pairs_table(replace(comparison, pairs=pairs))).count("none would") == len(
        pairs
    )
    same = replace(verdict, outcome="no difference shown", queries_needed=None)
    assert "No number of queries would show it." in shown(table.verdict_panel(same))


def test_a_checks_name_is_never_folded() -> None:
    finding = Finding(
        "near-duplicate-documents-of-all",
        "warning",
        1,
        2,
        "an example " * 9,
        "what to do about it " * 5,
    )
    assert "near-duplicate-documents-of-all" in shown(table.findings_table([finding]), 80)
