from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from nearfield.data.collection import Collection
from nearfield.data.export import write_beir, write_pairs
from nearfield.data.open import open_collection, open_pairs
from nearfield.data.pairs import Pairs
from nearfield.errors import InputError, StorageError


def made(document: str = "d 1") -> Collection:
    return Collection(
        "made",
        pa.table(
            {
                "id": [document, "d2"],
                "title": ["T", ""],
                "text": ["line\nbreak", 'tab\t "x"'],
                "group": ["g", ""],
            }
        ),
        pa.table({"id": ["q"], "text": ["ünï"], "group": [""]}),
        pa.table(
            {
                "query": ["q", "q"],
                "document": [document, "d2"],
                "relevance": [2, 0],
                "split": ["dev", "test"],
            }
        ),
    )


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    write_beir(made(), tmp_path / "beir")
    assert open_collection(tmp_path / "beir").fingerprint == made().fingerprint


def test_an_id_that_beir_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"id 'd\\t1' holds a tab"):
        write_beir(made("d\t1"), tmp_path / "beir")
    assert not (tmp_path / "beir").exists()


def test_pairs_with_and_without_scores(tmp_path: Path) -> None:
    rows = {"query": ["a", "b"], "positive": ["c", "d\n"], "negatives": [["e"], []]}
    for table in (pa.table(rows), pa.table({**rows, "score": [1.5, 2]})):
        pairs = Pairs.from_table(table)
        write_pairs(pairs, tmp_path / "pairs.jsonl")
        assert open_pairs(tmp_path / "pairs.jsonl").table.to_pylist() == pairs.table.to_pylist()
        assert (
            "score" in json.loads((tmp_path / "pairs.jsonl").read_text().splitlines()[0])
        ) == pairs.scored


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="could not be written"):
        write_beir(made(), tmp_path / "file" / "beir")
