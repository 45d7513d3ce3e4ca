"""Every way in which a file can be wrong is one clear error, and leaves nothing in the cache."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nearfield.data.open import open_collection, open_data, open_pairs
from nearfield.data.readers.word_tests import read_analogies
from nearfield.errors import CollectionError, InputError

GOOD = '{"query": "q", "positive": "p"}\n'
MEBIBYTES_10 = 10 << 20

FILES = [
    ("empty.jsonl", b"", r"empty\.jsonl: the file is empty"),
    ("blank.jsonl", b"\n \n", r"blank\.jsonl: has no rows"),
    (
        "broken.jsonl",
        GOOD.encode() + b'{"query": "q"\n',
        r"broken\.jsonl:2: is not JSON: .* at "
        r"column 14",
    ),
    ("list.jsonl", b"[1, 2]\n", r"list\.jsonl:1: holds a JSON list"),
    ("deep.jsonl", b'{"query":' + b"[" * 100_000 + b"\n", r"deep\.jsonl:1: "),
    (
        "latin.jsonl",
        GOOD.encode() + b'{"query": "caf\xe9", "positive": "p"}\n',
        r"latin\.jsonl:2: is not UTF-8: .* at byte 15 of the line",
    ),
    (
        "long.jsonl",
        GOOD.encode() + b'{"query": "' + b"x" * MEBIBYTES_10 + b'"}\n',
        r"long\.jsonl:2: the line is 10\.0 MiB long; at most 8 MiB",
    ),
    (
        "field.jsonl",
        GOOD.encode() + b'{"query": "q", "pos": "p"}\n',
        r"field\.jsonl:2: has no "
        r"field 'positive'; it has query, pos",
    ),
    (
        "null.jsonl",
        GOOD.encode() + b'{"query": null, "positive": "p"}\n',
        r"null\.jsonl:2: 'query' is null; wanted text",
    ),
    (
        "object.jsonl",
        b'{"query": {"a": 1}, "positive": "p"}\n',
        r"object\.jsonl:1: 'query' is a "
        r"dict; wanted text",
    ),
    (
        "half.jsonl",
        b'{"query": "\\ud800", "positive": "p"}\n',
        r"half\.jsonl:1: 'query' holds "
        r"half of a surrogate pair",
    ),
    (
        "names.jsonl",
        b'{"a": "q", "b": "p"}\n',
        r"names\.jsonl: has columns a, b; wanted a query "
        r"\(query, question.* and a document",
    ),
    (
        "only.jsonl",
        b'{"query": "q", "b": "p"}\n',
        r"only\.jsonl: has columns query, b; wanted a "
        r"query",
    ),
    (
        "nan.jsonl",
        b'{"query": "q", "positive": "p", "score": NaN}\n',
        r"nan\.jsonl:1: 'score' is "
        r"nan; wanted a finite number",
    ),
    (
        "word.jsonl",
        b'{"query": "q", "positive": "p", "score": "high"}\n',
        r"word\.jsonl:1: 'score' is 'high'",
    ),
    (
        "grade.jsonl",
        b'{"query": "q", "positive": "p", "relevance": 1.5}\n',
        r"grade\.jsonl:1: relevance is 1\.5; wanted an integer",
    ),
    (
        "count.csv",
        b"query,positive\na,b\na,b,c\n",
        r"count\.csv:3: has 3 fields; wanted 2, as in "
        r"the header: query, positive",
    ),
    (
        "quote.csv",
        b'query,positive\na,"b\nc,d\n',
        r"quote\.csv:2: a quote is opened here and "
        r"never closed",
    ),
    ("inner.csv", b'query,positive\na,"b"c"d"\n', r"inner\.csv:2: is not a row of a table"),
    ("header.csv", b"query,positive\n", r"header\.csv: has no rows"),
    ("count.tsv", b"query\tpositive\na\n", r"count\.tsv:2: has 1 fields"),
    ("damaged.parquet", b"PAR1 is not enough", r"damaged\.parquet: is not a Parquet file"),
    ("image.png", b"\x89PNG", r"image\.png: is a file of an unknown kind \(\.png\); wanted"),
    ("words.json", b'"text"', r"words\.json: holds no table; wanted a list of objects"),
    ("cut.json", b'[{"query": "a"', r"cut\.json:1: is not JSON: .* at column 15"),
    ("rows.jsonl.gz", b"\x1f\x8b", r"rows\.jsonl\.gz: is cut or damaged"),
    ("damaged.arrow", b"ARROW1 is not enough", r"damaged\.arrow: is not an Arrow file"),
    ("damaged.xlsx", b"PK\x03\x04", r"damaged\.xlsx: is not an Excel workbook"),
]


@pytest.mark.parametrize(("name", "content", "message"), FILES, ids=[name for name, _, _ in FILES])
def test_a_wrong_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, message: str
) -> None:
    monkeypatch.setenv("NEARFIELD_HOME", str(tmp_path / "home"))
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        open_data(tmp_path / name)
    assert not list((tmp_path / "home").rglob("*.arrow"))


def test_what_is_not_there() -> None:
    for opened in (open_data, open_collection, open_pairs):
        with pytest.raises(InputError, match=r"nowhere/x\.jsonl: does not exist"):
            opened("nowhere/x.jsonl")
    with pytest.raises(InputError, match="Did you mean 'stdlib'"):
        open_collection("stdlb")


def write_set(
    folder: Path,
    *,
    corpus: str | None = None,
    queries: str | None = None,
    qrels: str = "q\td\t1\n",
    name: str = "test.tsv",
) -> Path:
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text(
        json.dumps({"_id": "d", "text": "document"}) + "\n" if corpus is None else corpus
    )
    (folder / "queries.jsonl").write_text(
        json.dumps({"_id": "q", "text": "query"}) + "\n" if queries is None else queries
    )
    (folder / "qrels" / name).write_text(qrels)
    return folder


QRELS = [
    ("q\td\n", r"test\.tsv:1: has 2 fields; wanted 3 fields apart by tabs"),
    ("query-id\tcorpus-id\tscore\nq 0 d 1\n", r"test\.tsv:2: has 1 fields"),
    ("q\t0\td\t1\n", r"test\.tsv:1: has 4 fields; .*TREC's 4 fields"),
    (
        "corpus-id\tquery-id\tscore\nq\td\t1\n",
        r"test\.tsv:1: the header is corpus-id, query-id, "
        r"score; wanted query-id, corpus-id, score",
    ),
    ("q\td\thigh\nq\td\t1\n", r"test\.tsv:1: the header is q, d, high"),
    ("q\td\t1\nq\td\t0.5\n", r"test\.tsv:2: relevance is '0\.5'; wanted an integer"),
    ("q\td\t1\nq\td\t99999999999\n", r"test\.tsv:2: relevance is '99999999999'"),
    (
        "q\td\t1\nq\td\t0\n",
        r"test\.tsv:2: query 'q' and document 'd' are judged 0 here and 1 "
        r"before",
    ),
    ("", r"test\.tsv: the file is empty"),
]


@pytest.mark.parametrize(("qrels", "message"), QRELS)
def test_wrong_qrels_of_a_beir_folder(tmp_path: Path, qrels: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_collection(write_set(tmp_path / "set", qrels=qrels))


def test_trec_qrels_with_three_fields(tmp_path: Path) -> None:
    with pytest.raises(
        InputError,
        match=r"test\.qrels:1: has 3 fields; wanted 4 fields apart by "
        r"blanks: query, 0, document, relevance",
    ):
        open_collection(write_set(tmp_path / "set", qrels="q d 1\n", name="test.qrels"))


@pytest.mark.parametrize(
    ("corpus", "queries", "kind", "message"),
    [
        (
            '{"key": "d", "text": "x"}\n',
            None,
            InputError,
            r"corpus\.jsonl:1: has no field '_id'; "
            r"it has key, text",
        ),
        ('{"_id": "d"}\n', None, InputError, r"corpus\.jsonl:1: has no field 'text'"),
        (
            '{"_id": "d", "text": "x"}\n' * 2,
            None,
            CollectionError,
            "document id 'd' is used more than once",
        ),
        ("\n", None, CollectionError, "has no documents"),
        (None, "\n", CollectionError, "1 documents and no queries"),
        (None, '{"_id": "q", "text": ["x"]}\n', InputError, r"queries\.jsonl:1: 'text' is a list"),
    ],
)
def test_a_wrong_beir_folder(
    tmp_path: Path, corpus: str | None, queries: str | None, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        open_collection(write_set(tmp_path / "set", corpus=corpus, queries=queries))


def test_a_folder_without_queries_or_of_something_else(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set")
    (folder / "queries.jsonl").unlink()
    with pytest.raises(InputError, match=re.escape("queries.jsonl: does not exist")):
        open_collection(folder)
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match="is a folder of nothing; wanted"):
        open_collection(tmp_path / "other")
    for number in range(9):
        (tmp_path / "other" / f"{number}.bin").touch()
    with pytest.raises(InputError, match=r"is a folder of 0\.bin.* and 3 more; wanted"):
        open_collection(tmp_path / "other")


TABLES = [
    (
        "row.csv",
        f"How is it done? {'x ' * 90},So\nc,d\n",
        r"row\.csv:1: no known column is in .{,120}…', or the header is missing",
    ),
    (
        "long.csv",
        f"query,{'x' * 200}\na,b,c\n",
        r"long\.csv:2: has 3 fields; wanted 2, as in the "
        r"header: .{,81}…",
    ),
    (
        "people.csv",
        "query,positive,score\na,b,1\n",
        r"nearfield evaluate MODEL --on "
        r".*people\.csv\), guard a tune .*--guard .*people\.csv",
    ),
    (
        "twice.jsonl",
        '{"id":"a","text":"x"}\n{"id":"b","text":"y"}\n{"id":"a","text":"z"}\n',
        r"twice\.jsonl:3: .*before in line 1;",
    ),
]


@pytest.mark.parametrize(
    ("name", "content", "message"), TABLES, ids=[name for name, _, _ in TABLES]
)
def test_what_a_table_lacks_is_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        open_collection(tmp_path / name)


def test_an_id_used_twice_is_found_in_its_own_file(tmp_path: Path) -> None:
    twice = '{"_id": "d", "text": "x"}\n' * 2
    with pytest.raises(
        CollectionError,
        match=r"corpus\.jsonl:2: document id 'd' is used more "
        r"than once, before in line 1",
    ):
        open_collection(write_set(tmp_path / "one", corpus=twice))
    with pytest.raises(
        CollectionError,
        match=r"queries\.jsonl:2: query id 'd' is used more than "
        r"once",
    ):
        open_collection(write_set(tmp_path / "two", queries=twice, qrels="d\td\t1\n"))


BINARY = [
    (b"\x1f\x8b\x08\x00", "is cut or damaged and could not be unpacked"),
    (b"PK\x03\x04\x14\x00", "is a zip archive or an Excel workbook"),
    (b"PAR1\x15\x04", "is a Parquet file; give its name the ending .parquet"),
]


@pytest.mark.parametrize(("content", "message"), BINARY)
@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl"])
def test_a_file_of_another_kind_than_its_name_says(
    tmp_path: Path, ending: str, content: bytes, message: str
) -> None:
    (tmp_path / f"x{ending}").write_bytes(content)
    with pytest.raises(InputError, match=message):
        open_data(tmp_path / f"x{ending}")


def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.jsonl")
    for path in ("/dev/zero", tmp_path / "x.jsonl"):
        with pytest.raises(InputError, match="is not a regular file or a folder"):
            open_data(path)
    for name in ("queries.jsonl", "qrels/test.tsv"):
        folder = write_set(tmp_path / name.replace("/", "-"))
        (folder / name).unlink()
        os.mkfifo(folder / name)
        with pytest.raises(InputError, match=f"{re.escape(name)}: is not a regular file"):
            open_collection(folder)
    with pytest.raises(InputError, match="File name too long"):
        open_data("x" * 5000)


def test_a_pipe_of_the_shell_is_read(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b": capitals\na b c d\n")
    os.close(writing)
    assert read_analogies(f"/dev/fd/{reading}").sections == (("capitals", 1),)
    os.close(reading)


def test_nothing_outside_a_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("secret")
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text("text")
    (folder / "queries.jsonl").write_text('{"text": "q", "document": "../outside.txt"}\n')
    with pytest.raises(InputError, match="leads out of"):
        open_collection(folder)
    whole = write_set(tmp_path / "whole")
    linked = write_set(tmp_path / "linked")
    shutil.rmtree(linked / "qrels")
    (linked / "qrels").symlink_to(whole / "qrels")
    with pytest.raises(InputError, match="leads out of"):
        open_collection(linked)


@pytest.mark.parametrize("name", ["../x", "", "a/b", "a\0b", 3, "x" * 300])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: object) -> None:
    open_collection(write_set(tmp_path / "set")).save(tmp_path / "saved")
    about = json.loads((tmp_path / "saved" / "collection.json").read_text())
    (tmp_path / "saved" / "collection.json").write_text(json.dumps(about | {"name": name}))
    with pytest.raises(InputError, match=r"collection\.json: name is "):
        open_data(tmp_path / "saved")


def test_offsets_that_leave_an_arrow_file_are_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "rows.arrow"
    table = pa.table({"query": ["first", "other"], "positive": ["a text", "another text"]})
    with pa.ipc.new_file(path, table.schema) as file:
        file.write_table(table)
    offsets = [np.array([0, 5, end], "<i4").tobytes() for end in (10, 2**30)]
    content = path.read_bytes()
    assert content.count(offsets[0]) == 1
    path.write_bytes(content.replace(*offsets))
    with pytest.raises(InputError, match=r"rows\.arrow: column 'query' is damaged: "):
        open_collection(path)


def test_arrow_files_that_lie_are_refused(tmp_path: Path) -> None:
    open_collection(write_set(tmp_path / "set")).save(tmp_path / "saved")
    documents = tmp_path / "saved" / "documents.arrow"
    whole = documents.read_bytes()
    at = whole.index(b"document", whole.index(b"ARROW1") + 600)
    documents.write_bytes(whole[:at] + b"\xff" + whole[at + 1 :])
    with pytest.raises(InputError, match=r"documents\.arrow"):
        open_data(tmp_path / "saved")


def test_parquet_that_is_no_utf_8(tmp_path: Path) -> None:
    wrong = pa.array([b"fine", b"\xff\xfe"]).view(pa.string())
    pq.write_table(pa.table({"query": ["a", "b"], "positive": wrong}), tmp_path / "x.parquet")
    with pytest.raises(InputError, match=r"x\.parquet: row 2 could not be read: .*utf-8"):
        open_data(tmp_path / "x.parquet")


def test_a_file_of_empty_space_is_not_read_through(tmp_path: Path) -> None:
    with open(tmp_path / "x.csv", "wb") as file:
        file.write(b"query,positive\na,b\n")
        file.truncate(1 << 42)
    with pytest.raises(InputError, match="such a file is empty space"):
        open_data(tmp_path / "x.csv")
