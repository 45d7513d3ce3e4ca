"""What every source of data and every format of rows promises."""

from __future__ import annotations

import ast
import csv
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nearfield.data.collection import Collection
from nearfield.data.export import write_beir
from nearfield.data.open import open_collection, open_data, open_pairs, open_stream
from nearfield.data.pairs import Pairs
from nearfield.data.readers import FORMATS
from nearfield.data.sources import EMBEDDED, SOURCES
from nearfield.errors import InputError
from tree import modules

Rows = list[dict[str, Any]]
ROWS: Rows = [
    {"query": 'one, "two"', "positive": "a text", "group": "g1", "relevance": 2},
    {"query": "three ünï", "positive": "another text", "group": "g2", "relevance": 1},
    {"query": "four", "positive": "a text", "group": "g1", "relevance": 1},
]


class Frame:
    """A table of a library that is not installed here: it gives Arrow's stream and nothing else."""

    def __init__(self, rows: Rows) -> None:
        self._table = pa.Table.from_pylist(rows)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


class Convertible:
    """The same with `to_arrow`, as older versions have it."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def to_arrow(self) -> pa.Table:
        return pa.Table.from_pylist(self._rows)


def json_lines(path: Path, rows: Rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def commas(path: Path, rows: Rows) -> Path:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def tabs(path: Path, rows: Rows) -> Path:
    lines = ["\t".join(map(str, line)) for line in (rows[0], *(row.values() for row in rows))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def parquet(path: Path, rows: Rows) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def json_list(path: Path, rows: Rows) -> Path:
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def arrow(path: Path, rows: Rows) -> Path:
    table = pa.Table.from_pylist(rows)
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)
    return path


def workbook(path: Path, rows: Rows) -> Path:
    book = openpyxl.Workbook()
    for line in (list(rows[0]), *(list(row.values()) for row in rows)):
        book.active.append(line)
    book.save(path)
    return path


# a format that joins the registry joins these tables
WRITERS: Mapping[str, Callable[[Path, Rows], Path]] = {
    ".jsonl": json_lines,
    ".ndjson": json_lines,
    ".csv": commas,
    ".tsv": tabs,
    ".parquet": parquet,
    ".json": json_list,
    ".arrow": arrow,
    ".feather": arrow,
    ".xlsx": workbook,
}
DAMAGED: Mapping[str, tuple[bytes, str]] = {
    ".jsonl": (b'{"query": "q", "positive": "p"}\nno json\n', r"x\.jsonl:2: is not JSON"),
    ".ndjson": (b'{"query": "q", "positive": "p"}\n{"query"\n', r"x\.ndjson:2: is not JSON"),
    ".csv": (b"query,positive\na,b\nc\n", r"x\.csv:3: has 1 fields; wanted 2"),
    ".tsv": (b"query\tpositive\na\tb\nc\td\te\n", r"x\.tsv:3: has 3 fields; wanted 2"),
    ".parquet": (b"PAR1 and no more", r"x\.parquet: is not a Parquet file"),
    ".json": (b'[{"query": "q", "positive": "p"}, {"query"', r"x\.json:1: is not JSON"),
    ".arrow": (b"ARROW1 and no more", r"x\.arrow: is not an Arrow file"),
    ".feather": (b"ARROW1 and no more", r"x\.feather: is not an Arrow file"),
    ".xlsx": (b"PK and no more", r"x\.xlsx: is not an Excel workbook"),
}
TYPED = (
    ".jsonl",
    ".ndjson",
    ".json",
    ".parquet",
    ".arrow",
    ".feather",
)  # the cells of the others are all text


def of_file(folder: Path, rows: Rows) -> object:
    return json_lines(folder / "rows.jsonl", rows)


def of_splits(folder: Path, rows: Rows) -> object:
    folder = folder / "splits"
    folder.mkdir(exist_ok=True)
    commas(folder / "test.csv", rows[:2])
    parquet(folder / "train.parquet", rows[2:])
    return folder


def of_beir(folder: Path, rows: Rows) -> object:
    write_beir(open_collection(rows), folder / "beir")
    return folder / "beir"


def of_stored(folder: Path, rows: Rows) -> object:
    open_collection(rows).save(folder / "stored")
    return folder / "stored"


def of_texts(folder: Path, rows: Rows) -> object:
    """The same judgements, of files whose names are the documents' ids."""
    data = open_collection(rows)
    folder = folder / "texts"
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    for key, text in zip(data.document_ids, data.document_texts, strict=True):
        (folder / f"{key}.txt").write_text(text)
    queries = zip(data.query_ids, data.query_texts, strict=True)
    json_lines(folder / "queries.jsonl", [{"_id": key, "text": text} for key, text in queries])
    lines = (
        f"{row['query']} 0 {row['document']}.txt {row['relevance']}\n"
        for row in data.judgements.to_pylist()
    )
    (folder / "qrels" / "all.qrels").write_text("".join(lines))
    return folder


def of_pandas(folder: Path, rows: Rows) -> object:
    return pytest.importorskip("pandas").DataFrame(rows)


# a kind of source that joins the registry joins this table, but for lines, which make no
# collection, and images, which are no texts
def of_linked(folder: Path, rows: Rows) -> object:
    """The same judgements, in a table that points at one of documents and one of queries."""
    data = open_collection(rows)
    folder = folder / "linked"
    folder.mkdir(exist_ok=True)
    documents = zip(data.document_ids, data.document_texts, strict=True)
    queries = zip(data.query_ids, data.query_texts, strict=True)
    judgements = [
        {"query_id": row["query"], "document_id": row["document"], "relevance": row["relevance"]}
        for row in data.judgements.to_pylist()
    ]
    json_lines(folder / "documents.jsonl", [{"id": key, "text": text} for key, text in documents])
    json_lines(folder / "queries.jsonl", [{"id": key, "text": text} for key, text in queries])
    json_lines(folder / "clicks.jsonl", judgements)
    return folder


GIVEN: Mapping[str, tuple[Callable[[Path, Rows], object], ...]] = {
    "whole": (of_stored, lambda _, rows: open_collection(rows)),
    "beir": (of_beir,),
    "row files": (of_file, of_splits),
    "texts": (of_texts,),
    "linked": (of_linked,),
    "memory": (
        lambda _, rows: rows,
        lambda _, rows: tuple(rows),
        lambda _, rows: pa.Table.from_pylist(rows),
        lambda _, rows: Frame(rows),
        lambda _, rows: Convertible(rows),
        of_pandas,
        lambda _, rows: {"train": rows[2:], "test": Frame(rows[:2])},
    ),
}
CASES = [
    pytest.param(make, id=f"{kind}-{at}") for kind in GIVEN for at, make in enumerate(GIVEN[kind])
]
every_source = pytest.mark.parametrize("make", CASES)


def test_every_kind_and_format_is_here() -> None:
    assert {*GIVEN, "images", "lines"} == set(SOURCES), "give GIVEN an example of each source"
    assert set(WRITERS) == set(DAMAGED) == set(FORMATS)


def said(data: Collection) -> set[tuple[str, str, int, str, str]]:
    """Each judgement by its texts, relevance and groups: what does not depend on ids and splits."""
    texts = dict(zip(data.document_ids, data.document_texts, strict=True))
    queries = {row["id"]: row for row in data.queries.to_pylist()}
    return {
        (
            queries[row["query"]]["text"],
            texts[row["document"]],
            row["relevance"],
            queries[row["query"]]["group"] or "-",
            "",
        )
        for row in data.judgements.to_pylist()
    }


@every_source
def test_the_same_rows_are_the_same_data(
    make: Callable[[Path, Rows], object], tmp_path: Path
) -> None:
    wanted = said(open_collection(ROWS))
    found = said(open_collection(make(tmp_path, ROWS)))
    grouped = [any(row[3] != "-" for row in rows) for rows in (wanted, found)]
    if not grouped[1]:  # files of texts have no groups
        wanted = {(*row[:3], "-", "") for row in wanted}
    assert grouped[0]
    assert found == wanted
    assert len(open_data(make(tmp_path, ROWS)).documents) == 2  # type: ignore[union-attr]


@pytest.mark.parametrize("ending", list(FORMATS))
def test_the_same_rows_in_any_format_are_equal(ending: str, tmp_path: Path) -> None:
    data = open_collection(ROWS)
    path = WRITERS[ending](tmp_path / f"rows{ending}", ROWS)
    assert open_collection(path).fingerprint == data.fingerprint
    pairs = [
        {"query": "q", "positive": "p", "score": 0.5},
        {"query": "r", "positive": "s", "score": 1},
    ]
    path = WRITERS[ending](tmp_path / f"scored{ending}", pairs)
    found = open_data(path)
    assert isinstance(found, Pairs)
    assert found.fingerprint == open_pairs(pairs).fingerprint
    documents = [{"id": f"d{at}", "title": "T", "text": f"text {at}"} for at in range(3)]
    path = WRITERS[ending](tmp_path / f"documents{ending}", documents)
    for role, field in (("document", None), ("query", "title")):
        rows = [list(open_stream(of, role, field=field).rows()) for of in (path, documents)]
        assert [(row.key, row.text) for row in rows[0]] == [(row.key, row.text) for row in rows[1]]


@every_source
def test_the_fingerprint_is_of_the_content_and_not_of_the_time(
    make: Callable[[Path, Rows], object], tmp_path: Path
) -> None:
    before = open_collection(make(tmp_path, ROWS)).fingerprint
    given = make(tmp_path, ROWS)
    if isinstance(given, Path):
        files = [given] if given.is_file() else list(given.rglob("*"))
        for file in files:
            os.utime(file, (1, 1))
    assert open_collection(given).fingerprint == before
    changed = [ROWS[0] | {"query": "other words"}, *ROWS[1:]]
    (tmp_path / "changed").mkdir()
    assert open_collection(make(tmp_path / "changed", changed)).fingerprint != before


@pytest.mark.parametrize("ending", list(FORMATS))
def test_damage_is_named_by_file_and_line(ending: str, tmp_path: Path) -> None:
    content, message = DAMAGED[ending]
    (tmp_path / f"x{ending}").write_bytes(content)
    for opened in (open_data, open_pairs):
        with pytest.raises(InputError, match=message):
            opened(tmp_path / f"x{ending}")


@pytest.mark.parametrize("ending", list(FORMATS))
def test_an_empty_file_is_named(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"x{ending}"
    path.touch()
    with pytest.raises(InputError, match=rf"x\{ending}: "):
        open_data(path)
    if ending == ".parquet":
        pq.write_table(pa.table({"query": pa.array([], pa.string())}), path)
        with pytest.raises(InputError, match=r"x\.parquet: has"):
            open_data(path)


def test_a_value_that_is_not_a_text_is_named_by_its_row(tmp_path: Path) -> None:
    rows: Rows = [
        {"query": "q", "positive": {"a": 1}},
        {"query": "r", "positive": {"a": 2}},
    ]
    given = [WRITERS[ending](tmp_path / f"x{ending}", rows) for ending in TYPED]
    for source in (*given, rows, Frame(rows)):
        with pytest.raises(
            InputError, match=r"(x\.\w+|<\w+>):1: 'positive' is a dict; wanted text"
        ):
            open_pairs(source)
    with pytest.raises(InputError, match=r"<list>:2: has no field 'positive'; it has query"):
        open_collection([{"query": "q", "positive": "p"}, {"query": "q"}])
    with pytest.raises(InputError, match=r"<list>:2: is of type str; wanted a dict with named"):
        open_collection([ROWS[0], "text"])
    with pytest.raises(
        InputError, match=r"<list>:3: is of type int; wanted a string, as the first"
    ):
        open_collection(["one", "two", 3])


def test_strings_are_documents_and_texts_of_any_role() -> None:
    texts = ["first", "second"]
    data = open_collection(texts)
    assert data.documents_only
    assert list(data.document_texts) == texts
    for role in ("document", "query"):
        rows = list(open_stream(texts, role).rows())
        assert [(row.number, row.key, row.text) for row in rows] == [
            (1, "1", "first"),
            (2, "2", "second"),
        ]
    faulty = list(open_stream(["one", 2], "document").rows())  # type: ignore[list-item]
    assert [bool(row.fault) for row in faulty] == [False, True]


def test_lines_of_a_file_are_texts_of_any_role(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("first\nsecond\n")
    for role in ("document", "query"):
        rows = open_stream(tmp_path / "x.txt", role).rows()
        assert [(row.key, row.text) for row in rows] == [("1", "first"), ("2", "second")]
    data = open_collection(tmp_path / "x.txt")
    assert (data.name, list(data.document_texts)) == ("x", ["first", "second"])
    assert data.documents_only


def numbers() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    "given",
    [3, None, b"bytes", object(), [], [1, 2], {}, {"train": 1}, {"other": ROWS}, {1, 2}, numbers()],
    ids=lambda given: type(given).__name__,
)
@pytest.mark.parametrize("opened", [open_collection, open_pairs, open_data])
def test_what_is_not_data_is_refused_in_one_line(
    opened: Callable[[object], object], given: object
) -> None:
    with pytest.raises(InputError) as refused:
        opened(given)
    message = str(refused.value)
    assert "wanted" in message
    assert "a list of dicts" in message
    assert "\n" not in message


@pytest.mark.parametrize("given", [pa.array([1, 2]), pa.table({"x": [1]})], ids=["array", "table"])
def test_arrow_without_texts_is_refused(given: object) -> None:
    with pytest.raises(InputError, match=r"<\w+>|wanted"):
        open_collection(given)


def test_no_library_is_imported_to_recognise_its_tables() -> None:
    for module, tree in modules().items():
        for node in ast.walk(tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            libraries = {name.partition(".")[0] for name in names}
            assert not libraries & {"pandas", "polars", "datasets"}, module


@pytest.mark.parametrize("name", list(EMBEDDED))
def test_embedded_collections_open_by_name(name: str) -> None:
    data = open_data(name)
    assert isinstance(data, Collection)
    assert data.name == name
    assert data.fingerprint == open_collection(name).fingerprint
