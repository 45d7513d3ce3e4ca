"""Cells and columns that a table's writer meant otherwise than they read: an error that says so, or
a finding of the doctor's.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nearfield.data.doctor.examine import examine, refuse
from nearfield.data.open import open_collection, open_data, open_pairs
from nearfield.errors import CollectionError, DoctorRefusal, InputError

REFUSED = [
    (
        "twice.csv",
        "query,positive,negative,negative\na,b,c,d\n",
        "two columns have one name: 'negative' is there twice",
    ),
    ("case.csv", "query,positive, Query\na,b,c\n", "'query' and 'Query' are one name"),
    (
        "hyphen.tsv",
        "query\tpositive\thard-negatives\thard_negatives\na\tb\tc\td\n",
        "'hard-negatives' and 'hard_negatives' are one name",
    ),
    (
        "keys.jsonl",
        '{"query": "a", "positive": "b", "query": "c"}\n',
        r"keys\.jsonl:1: is not "
        r"usable JSON: the key 'query' is there twice",
    ),
    (
        "inner.jsonl",
        '{"query": "a", "positive": "b", "x": {"y": 1, "y": 2}}\n',
        "the key 'y' is there twice",
    ),
    (
        "case.jsonl",
        '{"query": "a", "Positive": "b", "positive": "c"}\n',
        "'Positive' and 'positive' are one name",
    ),
    (
        "joined.csv",
        "query,positive\na,b\nquery,positive\nc,d\n",
        r"joined\.csv:3: repeats the "
        r"header",
    ),
    (
        "group.csv",
        "query,positive,group\na,b,nan\n",
        r"group\.csv:2: 'group' is 'nan', as a "
        r"missing value is printed",
    ),
    (
        "split.csv",
        "query,positive,split\na,b,None\n",
        "'split' is 'None', as a missing value is printed",
    ),
    (
        "comma.csv",
        'query,positive,score\na,b,"1,500"\n',
        "'score' is '1,500'; wanted a finite number as score, with a point and not a comma",
    ),
    ("under.csv", "query,positive,score\na,b,1_5\n", "'score' is '1_5'"),
    (
        "large.jsonl",
        '{"query": "a", "positive": "b", "score": 1' + "0" * 400 + "}\n",
        r"large\.jsonl:1: 'score' is 10+…; wanted a finite",
    ),
    (
        "digits.jsonl",
        '{"query": "a", "positive": "b", "score": ' + "9" * 5000 + "}\n",
        r"\.jsonl:1: is not usable JSON: Exceeds the limit",
    ),
    ("flag.jsonl", '{"query": true, "positive": "b"}\n', "'query' is a bool; wanted text"),
    ("float.jsonl", '{"id": 1.5, "text": "b"}\n', "'id' is a float; wanted text"),
    ("blank.csv", "id,text\n ,b\n", r"blank\.csv:2: 'id' is empty"),
    (
        "same.jsonl",
        '{"id": 1, "text": "a"}\n{"id": "1", "text": "b"}\n',
        r"same\.jsonl:2: document id '1' is used more than once",
    ),
    ("pad.csv", "id,text\na,x\n a ,y\n", r"pad\.csv:3: document id 'a' is used more than once"),
]


@pytest.mark.parametrize(
    ("name", "content", "message"), REFUSED, ids=[name for name, _, _ in REFUSED]
)
def test_what_would_be_misread_is_refused(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        open_data(tmp_path / name)


def test_what_a_sheet_leaves_around_a_table_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("\ufeff\ufeffquery ,Positive,,\r\na,b,,\r\n".encode())
    (tmp_path / "b.csv").write_text(",query,positive\n0,a,b\n")
    for name in ("a.csv", "b.csv"):
        assert open_pairs(tmp_path / name).table.select(["query", "positive"]).to_pylist() == [
            {"query": "a", "positive": "b"}
        ]
    (tmp_path / "c.csv").write_text("sentence1,sentence2,label\na,b,True\nc,d,false\n")
    assert open_pairs(tmp_path / "c.csv").table["score"].to_pylist() == [1.0, 0.0]
    (tmp_path / "d.csv").write_text("query,positive,relevance\na,b,2.0\n")
    assert open_collection(tmp_path / "d.csv").judgements["relevance"].to_pylist() == [2]


def parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_types_of_parquet_that_hold_texts(tmp_path: Path) -> None:
    texts, negatives = ["a", "b"], [["c", "d"], []]
    columns = {
        "query": pa.array(texts).dictionary_encode(),
        "positive": pa.array(texts, pa.large_string()),
        "negatives": pa.array(negatives, pa.large_list(pa.large_string())),
    }
    pairs = open_pairs(parquet(tmp_path / "x.parquet", **columns))
    assert (list(pairs.queries), list(pairs.positives), pairs.table["negatives"].to_pylist()) == (
        texts,
        texts,
        negatives,
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([date(2020, 1, 1)], "'positive' is a date; wanted text"),
        ([1.5], "'positive' is a float"),
        ([b"\xff"], "'positive' is a bytes"),
        ([{"n": 1}], "'positive' is a dict"),
        ([[{"n": 1}]], "'positive' is a dict"),
        ([[["a"]]], "'positive' is a list"),
        (pa.array([2**50], pa.timestamp("ms")), "row 1 could not be read: .*range"),
    ],
)
def test_types_of_parquet_that_hold_none(tmp_path: Path, values: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_pairs(parquet(tmp_path / "x.parquet", query=["q"], positive=values))


def test_parquet_with_a_column_twice(tmp_path: Path) -> None:
    table = pa.Table.from_arrays(
        [pa.array(["a"]), pa.array(["b"]), pa.array(["c"])], names=["query", "positive", "query"]
    )
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(InputError, match="two columns have one name: 'query' is there twice"):
        open_pairs(tmp_path / "x.parquet")


def test_missing_values_that_were_printed_are_found(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("query,positive,negative\nnan,b,c\nNULL,e,None\nok,f,g\n")
    for data in (open_pairs(tmp_path / "x.csv"), open_collection(tmp_path / "x.csv")):
        (found,) = [finding for finding in examine(data) if finding.check == "missing-value-texts"]
        assert (found.severity, found.count) == ("error", 3)
        with pytest.raises(DoctorRefusal, match="missing-value-texts"):
            refuse([found])


def test_labels_of_documents_are_said_to_be_unused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("text,label\na,1\nb,0\n")
    (unused,) = open_collection(tmp_path / "x.csv").unused
    assert str(unused) == "'text' is the document; not used: label"


def test_relevance_must_be_known() -> None:
    from nearfield.data.collection import Collection

    blank = ["", ""]
    documents = pa.table({"id": ["a", "b"], "title": blank, "text": ["x", "y"], "group": blank})
    queries = pa.table({"id": ["q"], "text": ["x"], "group": [""]})
    judgements = pa.table(
        {
            "query": ["q"],
            "document": ["a"],
            "relevance": pa.array([None], pa.int32()),
            "split": ["test"],
        }
    )
    with pytest.raises(CollectionError, match="a judgement has no relevance"):
        Collection("x", documents, queries, judgements)
