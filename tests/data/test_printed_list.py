"""Lists that were printed into a cell are read as lists where that is what the column holds, and
are never one text without a word.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfield.data.doctor.examine import examine
from nearfield.data.open import open_collection, open_pairs
from nearfield.data.printed_list import printed_list
from nearfield.errors import InputError

TEXTS = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
    max_size=4,
)


@given(TEXTS)
def test_what_python_json_and_numpy_print_comes_back(texts: list[str]) -> None:
    assert printed_list(repr(texts)) == texts
    assert printed_list(json.dumps(texts)) == texts
    assert printed_list(json.dumps(texts, ensure_ascii=False)) == texts
    with np.printoptions(threshold=100, linewidth=20):
        assert printed_list(str(np.array(texts, object))) == texts
    assert printed_list(str([np.str_(text) for text in texts])) == texts


@pytest.mark.parametrize(
    "cell",
    [
        "[a, b]",
        "['a' ... 'b']",
        "['a', 'b'",
        "[1, 2]",
        "[['a']]",
        "['a'b]",
        '{"a": 1}',
        "text",
        "[" * 100_000 + "]" * 100_000,
    ],
)
def test_what_cannot_be_told_apart_is_no_list(cell: str) -> None:
    assert printed_list(cell) is None


def write(path: Path, cells: list[str], *, column: str) -> Path:
    rows = [
        f'q{at},p{at},"{cell.replace(chr(34), chr(34) * 2)}"\n' for at, cell in enumerate(cells)
    ]
    path.write_text("".join([f"query,positive,{column}\n", *rows]))
    return path


@pytest.mark.parametrize(
    "cell",
    [
        "['a', 'b']",
        '["a", "b"]',
        "['a' 'b']",
        "['a'\n 'b']",
        "('a', 'b')",
        "array(['a', 'b'], dtype=object)",
    ],
)
@pytest.mark.parametrize("column", ["negatives", "hard_negative"])
def test_negatives_printed_into_a_table(tmp_path: Path, column: str, cell: str) -> None:
    if column == "hard_negative" and cell[0] == "(":
        cell = "['a', 'b']"
    path = write(tmp_path / "x.csv", ["", cell, cell], column=column)
    assert open_pairs(path).table["negatives"].to_pylist() == [[], ["a", "b"], ["a", "b"]]
    assert {"a", "b"} <= set(open_collection(path).document_texts)


def test_a_column_of_single_texts_keeps_what_only_looks_like_a_list(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", ["['a', 'b']", "plain"], column="negative")
    pairs = open_pairs(path)
    assert pairs.table["negatives"].to_pylist() == [["['a', 'b']"], ["plain"]]
    assert "printed-lists" in [finding.check for finding in examine(pairs)]


@pytest.mark.parametrize("column", ["negatives", "negative"])
def test_a_printed_list_that_lost_its_quotes_is_an_error(tmp_path: Path, column: str) -> None:
    path = write(tmp_path / "x.csv", ["[first one, second]"], column=column)
    with pytest.raises(
        InputError,
        match=rf"x\.csv:2: '{column}' is '\[first one, second\]', a "
        rf"printed list whose items",
    ):
        open_pairs(path)


def test_positives_printed_into_a_table_are_as_many_pairs(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_text("query\tanswer\nq\t['a', 'b']\nr\t['c']\n")
    assert list(open_pairs(path).positives) == ["a", "b", "c"]
