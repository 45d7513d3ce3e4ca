"""What data is opened as, and what is said where that is not what was asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from nearfield.errors import InputError
from nearfield.evaluate.compare import compare
from nearfield.evaluate.open_task import open_task
from nearfield.evaluate.task import Options


def test_a_split_of_a_folder_of_scored_files_is_asked_for_by_its_file(tmp_path: Path) -> None:
    for name in ("train", "dev", "test"):
        rows = [f"a {at},b {at},{at}\n" for at in range(4)]
        (tmp_path / f"{name}.csv").write_text("sentence1,sentence2,score\n" + "".join(rows))
    with pytest.raises(InputError, match=r"has no split; name the file of that split instead of"):
        open_task(tmp_path, options=Options(split="dev"))
    assert open_task(tmp_path / "dev.csv").name == "similarity"


ROWS = [
    {"query": f"question {at}", "document": f"text {at} {other}", "relevance": int(at == other)}
    for at in range(4)
    for other in range(3 * (at % 2), 4)
]
SCORED = [{"sentence1": f"a {at}", "sentence2": f"b {at}", "score": at} for at in range(4)]


@pytest.mark.parametrize("table", [lambda rows: rows, pa.Table.from_pylist], ids=["dicts", "arrow"])
@pytest.mark.parametrize(
    ("rows", "task", "name"),
    [
        (SCORED, None, "similarity"),
        ([row | {"score": row["score"] % 2} for row in SCORED], None, "pair-classification"),
        (ROWS, None, "retrieval"),
        (ROWS, "reranking", "reranking"),
        ([row | {"label": row.pop("relevance")} for row in map(dict, ROWS)], "reranking", ""),
        ([{"text": f"t {at}", "label": "ab"[at % 2]} for at in range(40)], None, "classification"),
        ([row | {"instruction": ""} for row in ROWS], "instruction-following", None),
    ],
)
def test_tables_in_memory_are_opened(table: Any, rows: Any, task: str | None, name: str) -> None:
    if name is None:
        with pytest.raises(InputError, match="no query has an instruction under which"):
            open_task(table(rows), task)
        return
    assert open_task(table(rows), task).name == (name or task)


def test_rows_that_are_judged_are_candidates_to_put_in_order() -> None:
    """A document that is not relevant is a negative and not a positive, by each name for it."""
    found = [
        compare(
            ["bm25"],
            [{key: row[own] for own, key in names.items()} for row in ROWS],
            task="reranking",
            measure="P@1",
        )
        for names in (
            {"query": "query", "document": "document", "relevance": "relevance"},
            {"query": "question", "document": "answer", "relevance": "label"},
            {"query": "query", "document": "passage", "relevance": "clicked"},
        )
    ]
    assert [each.rows[0].per_query for each in found[1:]] == [found[0].rows[0].per_query] * 2
    assert found[0].rows[0].per_query == (1, 1, 1)  # the second query has no relevant document


def test_a_task_of_files_says_so() -> None:
    for task in ("spans", "word-analogies"):
        with pytest.raises(InputError, match="the data is of type list; wanted the path of"):
            open_task(ROWS, task)
    with pytest.raises(InputError, match="the data is of type int; wanted a path of"):
        open_task(3)
