"""Instruction following and spans on files of one's own, against naive computations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nearfield.data.evaluated.instructed import open_instructed
from nearfield.data.evaluated.spans import open_spans
from nearfield.errors import InputError
from nearfield.evaluate.compare import compare
from nearfield.evaluate.tasks.instruction_following import InstructionFollowing

TEXTS = (
    "the cat sleeps on the mat all day and dreams of fish",
    "a dog barks at the gate when the post arrives in the morning",
    "income tax is due in may and late payment costs interest",
    "the ship leaves the harbour at noon with grain and timber",
)


def judged() -> list[dict[str, Any]]:
    rows = []
    for query in range(6):
        for instruction in ("", "no cats", "no dogs"):
            for document in range(8):
                relevant = document < 3 and not (instruction and document == query % 3)
                rows.append(
                    {
                        "query": f"question {query}",
                        "instruction": instruction,
                        "document": f"text {query} {document}",
                        "relevance": int(relevant),
                    }
                )
    return rows


def test_p_mrr_is_that_of_mteb() -> None:
    metrics = pytest.importorskip("mteb._evaluators.retrieval_metrics")
    task = InstructionFollowing(open_instructed(judged()))
    random = np.random.default_rng(5)
    scores = [random.permutation(len(rows)).astype(np.float32) for rows, _ in task.candidates]
    runs = [{str(at): float(score) for at, score in enumerate(each)} for each in scores]
    before, after, changed = {}, {}, {}
    for at, (first, second, lost) in enumerate(task.changes):
        before[f"{at}-og"], after[f"{at}-changed"] = runs[first], runs[second]
        changed[str(at)] = [str(place) for place in lost]
    values = task.measured(scores, ["p-MRR"])["p-MRR"]
    assert len(values) == 12
    assert values.mean() == pytest.approx(metrics.calculate_pmrr(before, after, changed))


def test_instructions_are_read_behind_the_query_and_what_never_changes_is_an_error(
    tmp_path: Path,
) -> None:
    file = tmp_path / "own.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in judged()))
    table = compare(["bm25"], str(file), task="instruction-following")
    assert (table.item, table.measure, len(table.query_ids)) == ("changed query", "p-MRR", 12)
    assert table.rows[0].estimate.mean == 0  # no word of an instruction is in a document
    same = [row | {"instruction": ""} for row in judged()]
    with pytest.raises(InputError, match="no query has an instruction under which"):
        InstructionFollowing(open_instructed(same))
    with pytest.raises(InputError, match=r"has columns query, document; wanted query, instruc"):
        open_instructed([{"query": "a b", "document": "c d"}])


def legal(folder: Path, tests: Any) -> Path:
    for at, text in enumerate(TEXTS):
        file = folder / "corpus" / "nda" / f"{at}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}.\n\n{text[::-1]}.")
    (folder / "benchmarks").mkdir(exist_ok=True)
    (folder / "benchmarks" / "nda.json").write_text(json.dumps({"tests": tests}))
    return folder


def asked(at: int, span: Any, **more: Any) -> dict[str, Any]:
    return {
        "query": " ".join(TEXTS[at].split()[:6]),
        "snippets": [{"file_path": f"nda/{at}.txt", "span": span, **more}],
    }


@pytest.mark.parametrize("more", [{}, {"answer": "as printed"}])
def test_spans_are_counted_in_characters(tmp_path: Path, more: dict[str, str]) -> None:
    folder = legal(tmp_path, [asked(at, [4, 30 + at], **more) for at in range(4)])
    table = compare(["bm25"], str(folder), task="spans", measures=["P@1", "R@1", "P@3"])
    # the first chunk of each query is the first paragraph of its own text, which is a chunk whole
    rows = {row.name: row for row in table.rows}
    found = rows["bm25"].means
    assert found["R@1"] == 1
    shares = [(26 + at) / (2 * len(text) + 4) for at, text in enumerate(TEXTS)]
    assert found["P@1"] == pytest.approx(np.mean(shares))
    file = folder / "benchmarks" / "nda.json"
    assert compare(["bm25"], str(file), task="spans").rows[0].means["R@10"] == 1


def test_a_file_of_queries_is_opened_from_its_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = legal(tmp_path, [asked(0, [4, 30])])
    monkeypatch.chdir(folder)
    assert len(open_spans("benchmarks/nda.json").queries) == 1
    monkeypatch.chdir(folder / "benchmarks")
    assert len(open_spans("nda.json").queries) == 1


@pytest.mark.parametrize(
    ("test", "said"),
    [
        (asked(0, [4, 9999]), r"row 1|span \[4, 9999\] is not in 'nda/0.txt'"),
        (asked(0, "4-30"), "span is '4-30'; wanted"),
        ({"query": "x", "snippets": [{"file_path": "../x", "span": [0, 1]}]}, "is no text of"),
        ({"query": "x", "snippets": []}, "has no snippets"),
    ],
)
def test_a_span_that_is_not_there_is_an_error(tmp_path: Path, test: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        open_spans(legal(tmp_path, [test]))
