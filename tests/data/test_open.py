from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nearfield.data.cache import files_key, through_cache
from nearfield.data.collection import Collection
from nearfield.data.open import open_collection, open_data, open_pairs
from nearfield.data.pairs import Pairs
from nearfield.errors import CollectionError, InputError, NearfieldWarning
from tiny_data import tiny_collection

ROWS = [
    {
        "query": "one, two",
        "positive": ['a "quoted" text', "second"],
        "negatives": ["never"],
        "group": "g1",
    },
    {"query": "three\nlines", "positive": ["second"], "negatives": [], "group": "g2"},
]
FLAT = [
    {"question": 'with, "comma"', "answer": "line one\nline two"},
    {"question": "ünï", "answer": "x"},
]


def lines(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def beir(folder: Path, *, qrels: dict[str, str]) -> Path:
    (folder / "qrels").mkdir(parents=True)
    lines(
        folder / "corpus.jsonl",
        [{"_id": "d1", "title": "T", "text": "one"}, {"_id": 2, "text": "two", "group": "g"}],
    )
    lines(
        folder / "queries.jsonl",
        [{"_id": "q1", "text": "first"}, {"_id": "q2", "text": "second", "group": "g"}],
    )
    for name, text in qrels.items():
        (folder / "qrels" / name).write_text(text)
    return folder


def test_a_beir_folder(tmp_path: Path) -> None:
    header = "query-id\tcorpus-id\tscore\n"
    folder = beir(
        tmp_path / "set",
        qrels={
            "train.tsv": "q1\td1\t1\n",
            "test.tsv": f"{header}q1\td1\t2\nq2\t2\t1\nq2\t2\t1\n",
            "dev.qrels": "q2 0 d1 1\n",
        },
    )
    collection = open_collection(folder)
    assert (collection.name, collection.splits) == ("set", ("train", "dev", "test"))
    assert collection.split("test").relevance == {"q1": {"d1": 2}, "q2": {"2": 1}}
    assert collection.split("dev").relevance == {"q2": {"d1": 1}}
    assert list(collection.document_texts) == ["T one", "two"]
    assert collection.documents["group"].to_pylist() == ["", "g"]
    assert collection.queries["group"].to_pylist() == ["", "g"]


def test_rows_become_a_collection_of_unique_texts(tmp_path: Path) -> None:
    collection = open_collection(lines(tmp_path / "faq.jsonl", ROWS))
    assert (collection.name, collection.splits) == ("faq", ("all",))
    assert sorted(collection.document_texts) == ['a "quoted" text', "never", "second"]
    split = collection.split("all")
    text = dict(zip(collection.document_ids, collection.document_texts, strict=True))
    judged = {
        query: {text[key]: grade for key, grade in split.relevance[name].items()}
        for name, query in zip(*(split.query_ids, split.query_texts), strict=True)
    }
    assert judged == {
        "one, two": {'a "quoted" text': 1, "second": 1, "never": 0},
        "three\nlines": {"second": 1},
    }
    assert collection.queries["group"].to_pylist() == ["g1", "g2"]
    swapped = open_collection(lines(tmp_path / "other.jsonl", ROWS[::-1]))
    assert set(swapped.document_ids) == set(collection.document_ids)


def test_every_format_gives_the_same(tmp_path: Path) -> None:
    lines(tmp_path / "f.jsonl", FLAT)
    pq.write_table(pa.Table.from_pylist(FLAT), tmp_path / "f.parquet")
    (tmp_path / "f.csv").write_bytes(
        'question,answer\r\n"with, ""comma""","line one\nline two"\r\n\r\nünï,x\r\n'.encode(
            "utf-8-sig"
        )
    )
    found = [
        open_collection(tmp_path / f"f{suffix}").fingerprint
        for suffix in (".jsonl", ".parquet", ".csv")
    ]
    assert len(set(found)) == 1
    (tmp_path / "f.tsv").write_text(
        'Question\tAnswer\n"with, ""comma"""\tsays "hello" to you\n', encoding="utf-8"
    )
    pairs = open_pairs(tmp_path / "f.tsv")
    assert (pairs.queries[0], pairs.positives[0]) == ('with, "comma"', 'says "hello" to you')


def test_a_field_longer_than_the_csv_modules_limit(tmp_path: Path) -> None:
    long = "word " * 50_000
    (tmp_path / "long.csv").write_text(f"query,positive\nq,{long}\n")
    assert open_pairs(tmp_path / "long.csv").positives[0] == long


@pytest.mark.parametrize(
    "names",
    [
        ("sentence1", "sentence2", "score"),
        ("anchor", "positive", "Score"),
        ("text1", "text2", "label"),
    ],
)
def test_scored_rows_are_pairs(tmp_path: Path, names: tuple[str, str, str]) -> None:
    path = lines(
        tmp_path / "scored.jsonl",
        [
            dict(zip(names, ("a", "b", 1), strict=True)),
            dict(zip(names, ("c", "d", "2.5"), strict=True)),
        ],
    )
    pairs = open_data(path)
    assert isinstance(pairs, Pairs)
    assert pairs.table["score"].to_pylist() == [1.0, 2.5]
    with pytest.raises(InputError, match=rf"has scores \(column '{names[2]}'\)"):
        open_collection(path)


def test_numbered_negatives_and_graded_rows(tmp_path: Path) -> None:
    pairs = open_pairs(
        lines(
            tmp_path / "n.jsonl",
            [{"anchor": "q", "positive": "p", "negative_1": "x", "negative_2": "y"}],
        )
    )
    assert pairs.table["negatives"].to_pylist() == [["x", "y"]]
    graded = open_collection(
        lines(
            tmp_path / "g.jsonl",
            [{"query": "q", "document": str(n), "relevance": n, "split": "dev"} for n in (0, 2)],
        )
    )
    assert next(iter(graded.split("dev").relevance.values())).keys() == set(graded.document_ids)
    assert sorted(graded.judgements["relevance"].to_pylist()) == [0, 2]


def test_files_named_as_splits_are_one_collection(tmp_path: Path) -> None:
    for name in ("train", "validation", "test"):
        lines(
            tmp_path / f"{name}.jsonl",
            [{"query": f"{name} {n}", "positive": str(n)} for n in range(3)],
        )
    collection = open_collection(tmp_path)
    assert collection.splits == ("train", "dev", "test")
    assert len(collection.documents) == 3
    with pytest.raises(InputError, match="opened by file"):
        open_pairs(tmp_path)


def test_text_rows_are_documents_only(tmp_path: Path) -> None:
    collection = open_data(
        lines(
            tmp_path / "texts.jsonl",
            [{"id": "x", "title": "T", "text": "one"}, {"id": "y", "title": None, "text": "two"}],
        )
    )
    assert isinstance(collection, Collection)
    assert collection.documents_only
    assert dict(zip(collection.document_ids, collection.document_texts, strict=True)) == {
        "x": "T one",
        "y": "two",
    }
    with pytest.raises(CollectionError, match="no judgements at all"):
        collection.split("test")
    with pytest.raises(InputError, match="holds documents; pairs need"):
        open_pairs(tmp_path / "texts.jsonl")


def test_it_is_converted_once_and_again_when_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEARFIELD_HOME", str(tmp_path / "home"))
    path = lines(tmp_path / "faq.jsonl", ROWS)
    first = open_collection(path)
    (kept,) = (tmp_path / "home" / "collections").iterdir()
    made = kept.stat().st_mtime_ns
    assert open_collection(path).fingerprint == first.fingerprint
    assert kept.stat().st_mtime_ns == made
    lines(path, [*ROWS, {"query": "new", "positive": "x"}])
    assert len(open_collection(path).queries) == 3


def test_a_file_of_the_same_size_and_time_with_other_content_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEARFIELD_HOME", str(tmp_path / "home"))
    path = lines(tmp_path / "faq.jsonl", ROWS)
    about = path.stat()
    first = open_collection(path).fingerprint
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"never", b"NEVER").replace(b"second", b"SECOND"))
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert path.stat().st_size == about.st_size
    assert open_collection(path).fingerprint != first
    path.write_bytes(whole)
    assert open_collection(path).fingerprint == first


def test_a_file_that_changes_while_it_is_read_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEARFIELD_HOME", str(tmp_path / "home"))
    path = lines(tmp_path / "faq.jsonl", ROWS)

    def changing(folder: Path | None) -> None:
        lines(path, ROWS[:1])

    with pytest.raises(InputError, match="changed while it was read"):
        through_cache(lambda: files_key("rows", [path]), changing, open_folder=lambda folder: None)
    assert not any((tmp_path / "home" / "collections").iterdir())


@pytest.mark.parametrize("damage", ["removed", "cut", "flipped", "emptied"])
def test_a_damaged_cache_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setenv("NEARFIELD_HOME", str(tmp_path / "home"))
    path = lines(tmp_path / "faq.jsonl", ROWS)
    first = open_collection(path).fingerprint
    (kept,) = (tmp_path / "home" / "collections").iterdir()
    table = kept / "documents.arrow"
    whole = table.read_bytes()
    place = whole.index(b"quoted")
    flipped = bytearray(whole)
    flipped[place] ^= 1
    damaged = {"cut": whole[:-200], "flipped": bytes(flipped), "emptied": b""}
    if damage == "removed":
        table.unlink()
    else:
        table.write_bytes(damaged[damage])
    with pytest.warns(NearfieldWarning, match=r"documents\.arrow: .*; it is made again"):
        assert open_collection(path).fingerprint == first
    assert table.read_bytes() == whole


def test_without_a_cache_it_is_read_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_collection(lines(tmp_path / "faq.jsonl", ROWS)).fingerprint
    (tmp_path / "file").touch()
    monkeypatch.setenv("NEARFIELD_HOME", str(tmp_path / "file"))
    assert open_collection(tmp_path / "faq.jsonl").fingerprint == first
    assert len(open_pairs(tmp_path / "faq.jsonl")) == 3


def test_a_folder_that_was_saved_is_opened(tmp_path: Path) -> None:
    collection, pairs = (
        open_collection(lines(tmp_path / "faq.jsonl", ROWS)),
        open_pairs(tmp_path / "faq.jsonl"),
    )
    collection.save(tmp_path / "collection")
    pairs.save(tmp_path / "pairs")
    assert open_data(tmp_path / "collection").fingerprint == collection.fingerprint
    assert open_data(str(tmp_path / "pairs")).fingerprint == pairs.fingerprint
    with pytest.raises(InputError, match="holds pairs; wanted a collection"):
        open_collection(tmp_path / "pairs")


def test_a_folder_of_scored_files_is_its_test_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number, name in enumerate(("train", "dev", "test")):
        lines(tmp_path / f"{name}.jsonl", [{"sentence1": "a", "sentence2": "b", "score": number}])
    with caplog.at_level("INFO"):
        found = open_data(tmp_path)
    assert isinstance(found, Pairs)
    assert (found.table["score"].to_pylist(), found.called) == ([2.0], str(tmp_path / "test.jsonl"))
    assert "test.jsonl is used, not dev.jsonl, train.jsonl" in caplog.text
    (tmp_path / "test.jsonl").unlink()
    with pytest.raises(
        InputError,
        match=r"dev\.jsonl, train\.jsonl\) and none called test; name "
        r"one",
    ):
        open_pairs(tmp_path)


def test_opening_converted_data_imports_nothing_slow(tmp_path: Path) -> None:
    tiny_collection().save(tmp_path / "data")
    code = (
        "import sys; from nearfield.data.open import open_collection\n"
        f"open_collection({str(tmp_path / 'data')!r})\n"
        "print({'pandas', 'scipy.sparse', 'torch'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"
