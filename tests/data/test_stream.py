"""Texts of every kind of source, each row accounted for, as often as they are asked for."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nearfield.data.open import open_collection, open_queries, open_stream
from nearfield.data.stream import Row, Stream, stream_standard_input
from nearfield.errors import InputError
from tiny_data import tiny_collection

RECORDS = [
    {"id": f"d{number}", "title": "T" if number % 2 else "", "text": f"text {number}"}
    for number in range(5)
]


def of(stream: Stream) -> list[tuple[str, str]]:
    rows = list(stream.rows())
    assert [row.number for row in rows] == sorted({row.number for row in rows}), (
        "rows are numbered upwards, each once"
    )
    return [(row.key, row.text) for row in rows]


@pytest.fixture(params=["jsonl", "csv", "tsv", "parquet"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"documents.{request.param}"
    if request.param == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in RECORDS))
    elif request.param == "parquet":
        pq.write_table(pa.Table.from_pylist(RECORDS), path, row_group_size=2)
    else:
        between = "," if request.param == "csv" else "\t"
        path.write_text(
            "\n".join(
                between.join(map(str, row))
                for row in [RECORDS[0].keys(), *(row.values() for row in RECORDS)]
            )
            + "\n"
        )
    return path


def test_a_file_of_documents_or_of_one_field(file: Path) -> None:
    stream = open_stream(file, "document")
    assert (
        of(stream)
        == of(stream)
        == [(row["id"], f"{row['title']} {row['text']}".strip()) for row in RECORDS]
    )
    assert of(open_stream(file, "document", field="title")) == [
        (row["id"], row["title"]) for row in RECORDS
    ]
    assert stream.total() in (5, 6), "a count before reading may include a header"
    assert stream.sample(2) == ["text 0", "T text 1"]
    with pytest.raises(InputError, match="Did you mean 'text'"):
        open_stream(file, "document", field="texts")


def test_the_stream_is_what_the_collection_holds(file: Path) -> None:
    collection = open_collection(file)
    assert of(open_stream(file, "document")) == list(
        zip(collection.document_ids, collection.document_texts, strict=True)
    )


def test_bad_rows_keep_their_place(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(
        b'{"id": "a", "text": "one"}\nno json\n{"id": "b", "text": 7}\n{"id": '
        b'"c"}\n{"id": "d", "text": "\xff"}\n'
    )
    rows = list(open_stream(path, "document", field="text").rows())
    assert [(row.number, row.key, row.text) for row in rows] == [
        (1, "a", "one"),
        (2, "2", ""),
        (3, "b", "7"),
        (4, "4", ""),
        (5, "5", ""),
    ]
    assert [bool(row.fault) for row in rows] == [False, True, False, True, True]
    assert "rows.jsonl:4: has no field 'text'" in rows[3].fault


def test_a_bad_first_row_keeps_its_place(tmp_path: Path) -> None:
    path = tmp_path / "documents.jsonl"
    path.write_text('not json\n{"_id": "a", "text": "one"}\n{"_id": "b", "text": "two"}\n')
    first, *others = open_stream(path, "document").rows()
    assert first.number == 1
    assert "is not JSON" in first.fault
    assert others == [Row(2, "a", "one"), Row(3, "b", "two")]


def test_lines_of_a_file_and_of_standard_input(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_bytes(b"one\n\ntwo \xff\nthree")
    rows = list(open_stream(path, "document").rows())
    assert [row[:3] for row in rows] == [
        (1, "1", "one"),
        (2, "2", ""),
        (3, "3", ""),
        (4, "4", "three"),
    ]
    assert [bool(row.fault) for row in rows] == [False, False, True, False]
    stream = stream_standard_input(io.BytesIO(b'{"t": "one", "id": 7}\n{"t": "two"}\n'), field="t")
    assert (stream.sample(), stream.total()) == ([], None), (
        "what can be read only once is not looked at before"
    )
    assert of(stream) == [("7", "one"), ("2", "two")]
    assert of(stream_standard_input(io.BytesIO(b"one\ntwo"))) == [("1", "one"), ("2", "two")]
    with pytest.raises(InputError, match="has no fields"):
        open_stream(path, "document", field="text")


def test_folders_give_documents_or_queries(tmp_path: Path) -> None:
    collection = tiny_collection(queries=20)
    collection.save(tmp_path / "stored")
    documents = list(zip(collection.document_ids, collection.document_texts, strict=True))
    queries = list(zip(collection.query_ids, collection.query_texts, strict=True))
    assert of(open_stream(tmp_path / "stored", "document")) == documents
    stream = open_stream(tmp_path / "stored", "query")
    assert of(stream) == queries
    assert stream.total() == 20
    beir = tmp_path / "beir"
    (beir / "qrels").mkdir(parents=True)
    (beir / "corpus.jsonl").write_text(
        "".join(
            json.dumps({"_id": key, "title": "", "text": text}) + "\n" for key, text in documents
        )
    )
    (beir / "queries.jsonl").write_text(
        "".join(json.dumps({"_id": key, "text": text}) + "\n" for key, text in queries)
    )
    (beir / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")
    assert of(open_stream(beir, "document")) == documents
    assert of(open_stream(beir, "query")) == queries


def test_pairs_and_sequences(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"query": "q", "positive": "p"}\n{"query": "r", "positive": "p"}\n')
    assert [text for _, text in of(open_stream(path, "document"))] == ["p"], (
        "rows that are no documents go through a collection"
    )
    assert [text for _, text in of(open_stream(path, "query"))] == ["q", "r"]
    assert list(Stream.of(["a", "b"], ids=["x", "y"]).rows()) == [
        Row(1, "x", "a"),
        Row(2, "y", "b"),
    ]


MEASURED = """
import re, sys
from nearfield.data.open import open_stream
assert sum(len(row.text) > 0 for row in open_stream(sys.argv[1], "document", field="text").rows()) == int(sys.argv[2])
print(int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) // 1024)  # ru_maxrss would begin with the parent's
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, ending: str) -> None:
    peaks = []
    for rows in (2_000, 10_000):
        path = tmp_path / f"{rows}.{ending}"
        texts = (f"{number} " + "lorem ipsum " * 800 for number in range(rows))
        if ending == "jsonl":
            with open(path, "w", encoding="utf-8") as file:
                file.writelines(json.dumps({"text": text}) + "\n" for text in texts)
        else:
            pq.write_table(
                pa.table({"text": list(texts)}),
                path,
                row_group_size=500,
                compression="none",
                use_dictionary=False,
            )
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, str(path), str(rows)],
            check=True,
            capture_output=True,
            text=True,
        )
        peaks.append(int(done.stdout))
    assert peaks[1] - peaks[0] < 30, f"memory grew from {peaks[0]} to {peaks[1]} MiB"


def test_documents_have_no_queries_to_encode(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "one.txt").write_text("a document")
    with pytest.raises(
        InputError, match="texts: has no queries, only 1 documents; --role document encodes those"
    ):
        open_stream(tmp_path / "texts", "query")


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("lines.txt", "one\ntwo\n"),
        ("alone.csv", "Frage\none\ntwo\n"),
        ("other.csv", "whatever\none\ntwo\n"),
        ("pairs.tsv", "answer\tquestion\nfirst\tone\nsecond\ttwo\n"),
        ("texts.jsonl", '{"id": "a", "text": "one"}\n{"id": "b", "text": "two"}\n'),
    ],
)
def test_queries_are_found_with_documents_and_without(
    tmp_path: Path, name: str, written: str
) -> None:
    file = tmp_path / name
    file.write_text(written)
    assert [row.text for row in open_queries(file).rows()] == ["one", "two"]


def test_a_table_without_queries_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("weight,price\n1,2\n")
    with pytest.raises(InputError, match=r"has columns weight, price; wanted one of queries"):
        open_queries(file)
