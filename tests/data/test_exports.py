"""More tables as programs export them, and the column names that say something else than what is
in them: each opens, or the error names the option that opens it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfield.data.columns import UnknownColumnsError, columns_of
from nearfield.data.open import open_collection, open_data, open_labelled, recognise
from nearfield.data.pairs import Pairs
from nearfield.data.readers.column_names import NAMES
from nearfield.data.readers.pointers import pointers
from nearfield.data.readers.rows import described
from nearfield.errors import InputError
from nearfield.types.data_options import DataOptions

PAIRS = [(f"How do I use part {at}?", f"Part {at} is used as its page says.") for at in range(12)]
QUERIES, DOCUMENTS = ({pair[at] for pair in PAIRS} for at in (0, 1))
WORDS = [name for names in NAMES.values() for name in names]

ROWS: dict[str, tuple[list[Any], str]] = {
    "a source that is a label": (
        [
            {"source": "web", "prompt": query, "response": text, "model": "m"}
            for query, text in PAIRS
        ],
        "",
    ),
    "answers by number": (
        [
            {"question": query, "answer": at, "answer_text": text}
            for at, (query, text) in enumerate(PAIRS)
        ],
        "",
    ),
    "answers by letter": (
        [{"question": query, "answer": "A", "explanation": text} for query, text in PAIRS],
        "--document explanation",
    ),
    "ids beside texts": (
        [
            {"question_id": at, "question": query, "answer_id": at, "answer": text}
            for at, (query, text) in enumerate(PAIRS)
        ],
        "",
    ),
    "numbers": (
        [
            {"Question No": at, "Frage": query, "Antwort": text}
            for at, (query, text) in enumerate(PAIRS)
        ],
        "",
    ),
    "parts": (
        [
            {"question": {"text": query, "lang": "en"}, "answer": {"text": text}}
            for query, text in PAIRS
        ],
        "",
    ),
    "deeper": (
        [
            {"q": {"of": {"who": "x", "words": query}}, "answer": {"text": text}}
            for query, text in PAIRS
        ],
        "--query q.of.words",
    ),
    "contexts": (
        [
            {"question": query, "answers": ["x"], "positive_ctxs": [{"title": "", "text": text}]}
            for query, text in PAIRS
        ],
        "",
    ),
    "a conversation": (
        [
            {
                "messages": [
                    {"role": "user", "content": query},
                    {"role": "assistant", "content": text},
                ]
            }
            for query, text in PAIRS
        ],
        "--query messages.user --document messages.assistant",
    ),
    "Arabic with the article": (
        [{"السؤال": query, "الإجابة": text} for query, text in PAIRS],
        "",
    ),
    "no header": ([[query, text] for query, text in PAIRS], "--query 1 --document 2"),
}


def opened(given: object, wanted: str) -> Any:
    """The collection, with the options that the error proposes, which are `wanted`."""
    if not wanted:
        return open_collection(given)
    with pytest.raises(UnknownColumnsError, match=f"say:? {re.escape(wanted)}") as caught:
        open_collection(given)
    return open_collection(given, DataOptions(**caught.value.proposal))


@pytest.mark.parametrize("kind", ["lines", "parquet", "memory"])
@pytest.mark.parametrize("name", ROWS)
def test_rows_open_as_they_are_or_as_the_error_proposes(
    tmp_path: Path, name: str, kind: str
) -> None:
    rows, wanted = ROWS[name]
    given: object = rows
    if kind == "lines" or name == "no header":
        given = tmp_path / "x.jsonl"
        (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif kind == "parquet":
        given = tmp_path / "x.parquet"
        pq.write_table(pa.Table.from_pylist(rows), given)
    found = opened(given, wanted)
    assert (set(found.query_texts), set(found.document_texts)) == (QUERIES, DOCUMENTS)


def table(*rows: list[str], separator: str = "\t") -> str:
    return "".join(separator.join(row) + "\n" for row in rows)


TABLE = table(["Question", "Answer"], *map(list, PAIRS))
FILES: dict[str, tuple[str, str]] = {
    "unicode.txt": (TABLE, ""),
    "mac.csv": (TABLE.replace("\n", "\r"), ""),
    "preamble.csv": ("Report: questions\nof 2024-01-01, all\n\n" + TABLE.replace("\t", ";"), ""),
    "comment.csv": ("# exported; by hand\n" + TABLE.replace("\t", ","), ""),
    "headless.tsv": (TABLE.partition("\n")[2], "--query 1 --document 2"),
    "numbers.tsv": (
        table(*([str(at), *pair] for at, pair in enumerate(PAIRS))),
        "--query 2 --document 3",
    ),
    "titled.csv": (
        table(["Title", "Markdown"], *(["Page", text] for _, text in PAIRS)),
        "--document Markdown",
    ),
    "keys.json": (
        json.dumps(
            {
                f"k{at}": {"question": query, "answer": text}
                for at, (query, text) in enumerate(PAIRS)
            }
        ),
        "",
    ),
    "map.json": (json.dumps(dict(PAIRS)), "--query key --document value"),
    "deep.json": (
        json.dumps({"data": {"items": [{"question": q, "answer": a} for q, a in PAIRS]}}),
        "",
    ),
    "squad.json": (
        json.dumps(
            {
                "version": "2",
                "data": [
                    {
                        "title": "t",
                        "paragraphs": [
                            {
                                "context": text,
                                "qas": [{"id": "1", "question": query, "answers": [{"text": "x"}]}],
                            }
                            for query, text in PAIRS
                        ],
                    }
                ],
            }
        ),
        "",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_files_open_as_they_are_or_as_the_error_proposes(tmp_path: Path, name: str) -> None:
    content, wanted = FILES[name]
    (tmp_path / name).write_bytes(content.encode("utf-16" if name == "unicode.txt" else "utf-8"))
    found = opened(tmp_path / name, wanted)
    assert set(found.query_texts) == (set() if name == "titled.csv" else QUERIES)
    assert set(found.documents["text"].to_pylist()) == DOCUMENTS


def workbook(path: Path, **sheets: list[list[str | None]]) -> None:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)


def test_a_sheet_is_the_one_whose_header_is_known(tmp_path: Path) -> None:
    rows: list[list[str | None]] = [["Question", "Date", "Answer", "Date"]]
    rows += [[query, "2024", text, "2024"] for query, text in PAIRS]
    path = tmp_path / "x.xlsx"
    above: list[list[str | None]] = [["Customer", None, "Agent", None]]
    workbook(path, Readme=[["These are our questions"]], FAQ=above + rows)
    (found,) = map(described, recognise(path).tables_read())
    assert found.read_as == {"sheet": "FAQ", "other sheets, not read": "Readme"}
    assert found.columns == {"Question": "query", "Date": "", "Answer": "document", "Date (2)": ""}
    assert (found.rows, set(open_collection(path).query_texts)) == (len(PAIRS), QUERIES)


def test_what_is_in_a_column_says_relevance_and_split(tmp_path: Path) -> None:
    rows = [
        {
            "query": query,
            "document": text,
            "clicked": at % 2,
            "set": ("train", "validation")[at > 5],
        }
        for at, (query, text) in enumerate(PAIRS)
    ]
    found = open_collection(rows)
    assert set(found.splits) == {"train", "dev"}
    assert sum(found.judgements["relevance"].to_pylist()) == len(PAIRS) // 2
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "x.parquet")
    assert open_collection(tmp_path / "x.parquet").judgements.equals(found.judgements)
    texts = [
        {"text": row["query"], "label": str(row["clicked"]), "set": row["set"]} for row in rows
    ]
    assert len(open_labelled(texts).test) == len(open_labelled(texts[::-1]).test)


def test_a_name_that_ends_as_an_id_is_no_text() -> None:
    for name in ("article_id", "text_id", "query no", "document-id"):
        with pytest.raises(InputError):
            columns_of([name, "title"], "x")


def test_no_column_of_a_meaning_is_stated_by_nothing() -> None:
    rows = [{"question": query, "answer": text, "score": 17} for query, text in PAIRS]
    assert isinstance(open_data(rows), Pairs)
    assert set(open_collection(rows, DataOptions(score="")).query_texts) == QUERIES


def test_scores_may_have_decimal_commas(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("sentence1;sentence2;score\na;b;0,5\nc;d;4,25\ne;f;3\n")
    found = open_data(tmp_path / "x.csv")
    assert isinstance(found, Pairs)
    assert found.table["score"].to_pylist() == [0.5, 4.25, 3.0]


def posts() -> list[dict[str, str]]:
    rows = []
    for at, (query, text) in enumerate(PAIRS):
        question = {"Id": f"{2 * at}", "Kind": "1", "Accepted": f"{2 * at + 1}.0", "Parent": ""}
        answer = {"Id": f"{2 * at + 1}", "Kind": "2", "Accepted": "", "Parent": f"{2 * at}"}
        rows += [
            question | {"Title": query, "Body": "", "Score": "3"},
            answer | {"Title": "", "Body": text, "Score": "7"},
        ]
    return rows


def test_rows_that_point_at_rows_of_their_table() -> None:
    (rows,) = recognise(posts()).tables_read()
    assert {each.column: each.key for each in pointers([rows])} == {
        "Accepted": "Id",
        "Parent": "Id",
    }
    found = open_collection(posts(), DataOptions(query="Title", document="Accepted"))
    assert (set(found.query_texts), set(found.document_texts)) == (QUERIES, DOCUMENTS)
    answers = dict(zip(found.document_ids, found.document_texts, strict=True))
    asked = dict(zip(found.query_ids, found.query_texts, strict=True))
    judged = found.judgements.to_pylist()
    assert {(asked[row["query"]], answers[row["document"]]) for row in judged} == set(PAIRS)


def clicks(folder: Path) -> None:
    lines = [["session", "query", "clicked_doc_id", "rank"]]
    lines += [[f"s{at}", query, f"d{at}", "1"] for at, (query, _) in enumerate(PAIRS)]
    (folder / "clicks.tsv").write_text(table(*lines))


def three(folder: Path) -> None:
    lines = [["query_id", "doc_id", "relevance"]]
    (folder / "judged.tsv").write_text(
        table(*lines, *([str(at), str(at), "1"] for at in range(len(PAIRS))))
    )
    asked = [[str(at), query] for at, (query, _) in enumerate(PAIRS)]
    (folder / "queries.tsv").write_text(table(["id", "text"], *asked))


@pytest.mark.parametrize("others", [clicks, three])
def test_tables_that_point_at_each_other(tmp_path: Path, others: Callable[[Path], None]) -> None:
    others(tmp_path)
    prefix = "d" if others is clicks else ""
    lines = [[f"{prefix}{at}", text] for at, (_, text) in enumerate(PAIRS)]
    (tmp_path / "docs.tsv").write_text(
        table(["doc_id" if prefix else "id", "body"], *lines, [f"{prefix}99", "nobody asks"])
    )
    found = open_collection(tmp_path)
    assert (set(found.query_texts), len(found.documents)) == (QUERIES, len(PAIRS) + 1)
    answers = dict(zip(found.document_ids, found.document_texts, strict=True))
    asked = dict(zip(found.query_ids, found.query_texts, strict=True))
    judged = found.judgements.to_pylist()
    assert {(asked[row["query"]], answers[row["document"]]) for row in judged} == set(PAIRS)


def test_tables_that_have_nothing_to_do_with_each_other(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,text\n1,x y\n2,z w\n")
    (tmp_path / "b.csv").write_text("id,text\n7,x y\n8,z w\n")
    with pytest.raises(InputError, match=r"is a folder of a\.csv, b\.csv"):
        open_collection(tmp_path)


CELLS: dict[str, Callable[[int], str]] = {
    "texts": lambda at: f"part {at} is used as its page says",
    "questions": lambda at: f"how is part {at} used?",
    "numbers": lambda at: str(1000 + at),
    "ids": lambda at: f"doc-{at}",
    "addresses": lambda at: f"https://example.org/{at}",
    "labels": lambda at: ("web", "mail")[at % 2],
    "days": lambda at: f"2024-01-{at + 1:02}",
}


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from([*WORDS, "memo", "Nr"]), st.sampled_from([*CELLS])),
        min_size=2,
        max_size=6,
        unique_by=lambda column: column[0],
    )
)
def test_no_column_without_texts_is_taken_where_another_has_some(
    columns: list[tuple[str, str]],
) -> None:
    kinds = dict(columns)
    rows = [{name: CELLS[kind](at) for name, kind in columns} for at in range(12)]
    (table,) = recognise(rows).tables_read()
    try:
        found = table.layout
    except InputError:
        return
    speaking = {"texts", "questions"}
    if speaking & set(kinds.values()):
        assert {kinds[name] for name in (found.query, found.positive) if name} <= speaking
