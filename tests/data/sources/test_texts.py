from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from nearfield.data.open import open_collection
from nearfield.data.sources.texts import html_text
from nearfield.errors import InputError

PAGE = """<!DOCTYPE html><html><head><title>The &amp; title</title><style>p {color: red}</style></head>
<body><h1>Head</h1><p>One <b>bo</b>ld
word&nbsp;&lt;x&gt;.<br>Next<script>var a = "<p>no</p>";</script></p><ul><li>a<li>b</ul></body></html>"""


def test_html_is_stripped_to_lines() -> None:
    assert html_text(PAGE) == ("Head\nOne bold word <x>.\nNext\na\nb", "The & title")
    assert html_text("no tags at all") == ("no tags at all", "")
    assert html_text("<p>never closed <b>x") == ("never closed x", "")


def fill(folder: Path) -> Path:
    (folder / "deep").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / "a.txt").write_text("  plain\ntext ")
    (folder / "deep" / "b.MD").write_text("# head\n\nbody", encoding="utf-8-sig")
    (folder / "deep" / "c.html").write_text(PAGE)
    (folder / "left.out").write_text("x")
    (folder / ".git" / "d.txt").write_text("x")
    return folder


def test_each_file_is_a_document(tmp_path: Path) -> None:
    collection = open_collection(fill(tmp_path / "notes"))
    assert collection.documents_only
    assert list(collection.document_ids) == ["a.txt", "deep/b.MD", "deep/c.html"]
    assert collection.document_texts[0] == "plain\ntext"
    assert collection.documents["text"][1].as_py() == "# head\n\nbody"
    assert collection.documents["title"][2].as_py() == "The & title"


def test_queries_name_the_files_that_answer_them(tmp_path: Path) -> None:
    folder = fill(tmp_path / "notes")
    rows = [
        {"text": "first?", "document": "a.txt"},
        {"_id": "x", "text": "second?", "document": ["deep/b.MD", "a.txt"], "split": "test"},
    ]
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, rows)))
    collection = open_collection(folder)
    assert collection.split("all").relevance == {"1": {"a.txt": 1}}
    assert collection.split("test").relevance == {"x": {"deep/b.MD": 1, "a.txt": 1}}
    (folder / "queries.jsonl").write_text(json.dumps({"text": "q", "document": "no.txt"}))
    with pytest.raises(InputError, match=r"queries\.jsonl:1: document 'no\.txt' is not a file of"):
        open_collection(folder)


def test_wrong_files(tmp_path: Path) -> None:
    folder = fill(tmp_path / "notes")
    (folder / "bad.txt").write_bytes(b"line\nca\xff")
    with pytest.raises(InputError, match=r"bad\.txt:2: is not UTF-8: .* at byte 3 of the line"):
        open_collection(folder)
    (folder / "bad.txt").write_bytes(b"x" * (9 << 20))
    with pytest.raises(InputError, match=r"bad\.txt: the file is 9\.0 MiB long; at most 8 MiB"):
        open_collection(folder)


def test_what_is_not_a_regular_file_is_named(tmp_path: Path) -> None:
    folder = fill(tmp_path / "notes")
    os.mkfifo(folder / "deep" / "pipe.txt")
    with pytest.raises(InputError, match=r"deep/pipe\.txt: is not a regular file"):
        open_collection(folder)


def test_splits_of_a_folder_are_called_as_those_of_every_source(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(f"Text {name}.", encoding="utf-8")
    rows = [{"text": "which a", "document": "a.txt", "split": "Valid"}]
    rows += [{"text": "which b", "document": ["b.txt", "b.txt"], "split": "TEST"}]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "queries.jsonl").write_text(lines, encoding="utf-8")
    found = open_collection(tmp_path)
    assert found.splits == ("dev", "test")
    assert len(found.judgements) == 2
