"""Tables as people export them: each opens as it is, or with what the error proposes."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nearfield.data.columns import UnknownColumnsError, columns_of
from nearfield.data.open import open_collection, open_data, open_pairs, recognise
from nearfield.data.readers.column_names import NAMES, known, plain
from nearfield.data.readers.rows import described
from nearfield.errors import InputError
from nearfield.types.data_options import DataOptions

# the reference of Python: a question for each topic, and its text
PAIRS = [
    (
        f"What does Python's reference say about {name.lower()}?",
        " ".join(topics[name].split())[:400],
    )
    for name in sorted(topics)[:24]
]
QUERIES = {query for query, _ in PAIRS}
DOCUMENTS = {document for _, document in PAIRS}


def delimited(header: list[str], rows: list[list[str]], separator: str = ",") -> str:
    file = io.StringIO()
    csv.writer(file, delimiter=separator).writerows([header, *rows])
    return file.getvalue()


def german(path: Path) -> None:
    rows = [["Straße", query, document] for query, document in PAIRS]
    text = delimited(["Größe", "Frage", "Antwort"], rows, ";")
    path.write_bytes(("sep=;\r\n" + text).encode("cp1252", "replace").replace(b"\x3f\x3f", b"?"))


def excel_utf8(path: Path) -> None:
    rows = [[query, document, ""] for query, document in PAIRS]
    path.write_text(delimited(["Question (EN)", "Answer", ""], rows, ";"), "utf-8-sig")


def clicks(path: Path) -> None:
    rows = [
        {"query": query, "clicked": [document], "not_clicked": [PAIRS[(at + 1) % len(PAIRS)][1]]}
        for at, (query, document) in enumerate(PAIRS)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def click_cells(path: Path) -> None:
    rows = [
        [query, repr([document]), json.dumps([PAIRS[(at + 1) % len(PAIRS)][1]])]
        for at, (query, document) in enumerate(PAIRS)
    ]
    path.write_text(delimited(["Query", "Clicked", "Not clicked"], rows))


def sections(path: Path) -> None:
    rows = [["Reference", f"Section {at}", text] for at, (_, text) in enumerate(PAIRS)]
    path.write_text(delimited(["title", "section", "text"], rows))


def markdown(path: Path) -> None:
    path.mkdir()
    for at, (query, document) in enumerate(PAIRS):
        (path / f"{at}.md").write_text(f"# {query}\n\n{document}\n")


def parquet(path: Path) -> None:
    table = pa.table(
        {
            "question": [query for query, _ in PAIRS],
            "answers": [[document] for _, document in PAIRS],
            "views": list(range(len(PAIRS))),
        }
    )
    pq.write_table(table, path)


def prompts(path: Path) -> None:
    rows = [{"prompt": query, "completion": document} for query, document in PAIRS]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def wrapped(path: Path) -> None:
    rows = [{"pregunta": query, "respuesta": document} for query, document in PAIRS]
    path.write_bytes(gzip.compress(json.dumps({"version": "1", "data": rows}).encode()))


def workbook(path: Path) -> None:
    book = openpyxl.Workbook()
    for row in [["Nr", "質問", "回答"], *([at, *pair] for at, pair in enumerate(PAIRS))]:
        book.active.append(row)
    book.save(path)


def utf16(path: Path) -> None:
    rows = [[query, f'{document}\n"end"'] for query, document in PAIRS]
    path.write_bytes(delimited(["вопрос", "ответ"], rows, "\t").encode("utf-16"))


def unnamed(path: Path) -> None:
    rows = [[str(at), query, document, "done"] for at, (query, document) in enumerate(PAIRS)]
    path.write_text(delimited(["Ticket", "Betreff", "Loesung", "Status"], rows, "|"))


SHAPES: dict[str, Callable[[Path], None]] = {
    "german.csv": german,
    "excel.csv": excel_utf8,
    "clicks.jsonl": clicks,
    "sections.csv": sections,
    "markdown": markdown,
    "lists.parquet": parquet,
    "prompts.jsonl": prompts,
    "wrapped.json.gz": wrapped,
    "unnamed.csv": unnamed,
    "book.xlsx": workbook,
    "unicode.tsv": utf16,
    "cells.csv": click_cells,
}


@pytest.mark.parametrize("name", SHAPES)
def test_an_export_opens_as_it_is_or_as_the_error_proposes(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    SHAPES[name](path)
    options = DataOptions()
    try:
        found = open_collection(path)
    except UnknownColumnsError as error:
        words = shlex.split(str(error).partition("By their contents, say: ")[2])
        assert name == "unnamed.csv"
        options = DataOptions(**{words[at][2:]: words[at + 1] for at in range(0, len(words), 2)})
        found = open_collection(path, options)
    texts = {text.removesuffix('\n"end"') for text in found.documents["text"].to_pylist()}
    if name == "markdown":
        assert len(texts) == len(DOCUMENTS)
        return
    assert texts == DOCUMENTS
    if name == "sections.csv":
        assert found.documents_only
        (table,) = map(described, recognise(path).tables_read())
        assert table.columns == {"title": "title", "section": "", "text": "document"}
        return
    assert set(found.query_texts) == QUERIES
    negatives = [row for row in found.judgements["relevance"].to_pylist() if row == 0]
    assert len(negatives) == (len(PAIRS) if name in ("clicks.jsonl", "cells.csv") else 0)


def test_what_was_detected_is_said(tmp_path: Path) -> None:
    german(tmp_path / "x.csv")
    (table,) = map(described, recognise(tmp_path / "x.csv").tables_read())
    assert table.read_as == {"encoding": "cp1252", "separator": "semicolon"}
    assert table.columns == {"Größe": "", "Frage": "query", "Antwort": "document"}
    assert (table.rows, table.repeated) == (len(PAIRS), 0)


HOSTILE = [
    (b'query,positive\n5" disk,a\nb,c\n', 2),
    (b"query;positive;\na;b;\n;;\n;;\nc;d\n", None),
    (b"query;positive\na;b;;\nc;d\n\n;\n", 2),
    (b'query,positive\n"a ""b"", c","line 1\nline 2"\n', 1),
    (b'query\tpositive\n"a\tb\nc\td\n', 2),
    (b"text\nhello, world\nand, another, one\n", 2),
    (b"query,positive," + b",".join(b"c%d" % at for at in range(3000)) + b"\na,b" + b"," * 3000, 1),
    ("Question – FAQ;query;document\nx;é;ü\n".encode("cp1252"), 1),
    ("query,positive\nä,b\n".encode("utf-16-le"), 1),
    ("query,positive\nä,b\n".encode("utf-16-be"), 1),
    ("query,positive\rä,b\r\n".replace("\r", "\r\n", 1).encode(), 1),
]


@pytest.mark.parametrize(("content", "rows"), HOSTILE)
def test_what_real_exports_contain(tmp_path: Path, content: bytes, rows: int | None) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    if rows is None:
        with pytest.raises(InputError, match=r"x\.csv:5: has 2 fields; wanted 3"):
            open_collection(tmp_path / "x.csv")
    else:
        assert len(open_collection(tmp_path / "x.csv").documents) == rows


def test_an_encoding_that_cannot_be_told_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes("вопрос;ответ\nкак это сделать;вот так и сделать\n".encode("cp1251"))
    with pytest.raises(InputError, match=r"x\.csv: is neither UTF-8 nor cp1252; say its encoding"):
        open_collection(path)
    options = DataOptions(encoding="cp1251")
    assert list(open_collection(path, options).query_texts) == ["как это сделать"]
    with pytest.raises(InputError, match="--encoding cp9999 is unknown"):
        open_collection(path, DataOptions(encoding="cp9999"))


def test_options_name_columns(tmp_path: Path) -> None:
    rows = [["en", "de", "x", "y", "fold-1"]]
    header = ["question_en", "question_de", "good", "bad", "part"]
    (tmp_path / "x.csv").write_text(delimited(header, rows))
    with pytest.raises(InputError, match="'question_en' and 'question_de' are one name"):
        open_data(tmp_path / "x.csv")
    options = DataOptions(query="question_de", document="good", negative="bad", split="part")
    found = open_collection(tmp_path / "x.csv", options)
    assert (list(found.query_texts), found.splits) == (["de"], ("fold-1",))
    assert sorted(found.judgements["relevance"].to_pylist()) == [0, 1]
    scored = open_pairs([{"a": "x", "b": "y", "c": "1"}], DataOptions("a", "b", score="c"))
    assert scored.scored
    for wrong in (DataOptions(query="questions_en"), DataOptions(query="good", document="good")):
        with pytest.raises(InputError, match=r"Did you mean 'question_en'|name one column, 'good'"):
            open_data(tmp_path / "x.csv", wrong)
    with pytest.raises(InputError, match="is not a table, and --query say"):
        open_data("stdlib", DataOptions(query="x"))


def test_repeated_rows_count_once(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("query,positive\na,b\na,b\nc,d\n")
    assert len(open_collection(tmp_path / "x.csv").judgements) == 2
    (table,) = map(described, recognise(tmp_path / "x.csv").tables_read())
    assert (table.rows, table.repeated) == (3, 1)


def test_a_data_set_that_was_saved_to_disk(tmp_path: Path) -> None:
    columns = {"question": [query for query, _ in PAIRS], "answer": [text for _, text in PAIRS]}
    for split in ("train", "test"):
        folder = tmp_path / "saved" / split
        folder.mkdir(parents=True)
        with pa.ipc.new_stream(folder / "data-0.arrow", pa.table(columns).schema) as file:
            file.write_table(pa.table(columns))
        (folder / "state.json").write_text('{"_data_files": [{"filename": "data-0.arrow"}]}')
    found = open_collection(tmp_path / "saved")
    assert (set(found.splits), set(found.query_texts)) == ({"train", "test"}, QUERIES)
    assert open_collection(tmp_path / "saved" / "test").document_texts[0] in DOCUMENTS
    (folder / "state.json").write_text('{"_data_files": [{"filename": "../../x"}]}')
    with pytest.raises(InputError, match="leads out of"):
        open_collection(tmp_path / "saved")


def test_names_of_many_languages() -> None:
    for meaning, names in NAMES.items():
        for name in names:
            for written in (name, name.upper(), name.replace("_", " ").title(), f"{name} (EN)"):
                assert known(written), (meaning, written)
    assert plain("Clicked Documents") == plain("clicked_documents")


WORDS = [name for names in NAMES.values() for name in names]
OTHERS = ["Status", "Nr", "Betreff", "memo", "created_at", "c1", "Loesung", "x y", "1", "É"]


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from([*WORDS, *OTHERS]), min_size=1, max_size=7, unique=True), st.data())
def test_order_changes_nothing_and_nothing_unknown_is_used(names: list[str], data: Any) -> None:
    def read(order: list[str]) -> dict[str, str] | None:
        try:
            return columns_of(order, "x").meanings()
        except InputError:
            return None

    found = read(names)
    assert read(data.draw(st.permutations(names))) == found
    for name, meaning in (found or {}).items():
        assert known(name), (name, meaning)
    unused = [name for name in OTHERS if not known(name)]
    rows = [dict(zip(unused, (f"{at} a b c" for _ in unused), strict=True)) for at in range(3)]
    with pytest.raises(UnknownColumnsError):
        random.Random(len(names)).shuffle(unused)
        open_data([{name: row[name] for name in unused} for row in rows])


def test_the_error_proposes_by_contents() -> None:
    rows = [{"a": document, "b": str(at), "c": query} for at, (query, document) in enumerate(PAIRS)]
    with pytest.raises(
        UnknownColumnsError, match=re.escape("By their contents, say: --query c --document a")
    ):
        open_data(rows)
    renamed = [{"query": row["c"], "solution text": row["a"], "n": row["b"]} for row in rows]
    with pytest.raises(UnknownColumnsError, match="say: --document 'solution text'"):
        open_data(renamed)
