"""Models made of models on the command line: a folder, its size, and what it loses beside what it
is made of.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from static_models import model2vec_folder
from tiny import tiny_model
from tiny_data import tiny_collection

Run = Callable[..., Any]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    tiny_collection().save(tmp_path / "data")
    return tmp_path / "data"


def test_each_operation_is_measured_beside_the_original(
    cli: Run, data: Path, tmp_path: Path
) -> None:
    model, other = (
        tiny_model(tmp_path / name, seed=seed) for seed, name in enumerate(("one", "two"))
    )
    for arguments in (
        ("merge", model, other, "--how", "slerp", "--weights", "0.25"),
        ("drop-layers", model, "--keep", "0"),
        ("trim", model, "--texts", data),
        ("quantise", model, "--dtype", "float16"),
    ):
        made = tmp_path / f"made-{arguments[0]}"
        told = cli("models", *arguments, "--to", made, "--on", data, "--json")
        assert told.exit_code == 0, told.stderr
        shown = json.loads(told.stdout)
        rows = {row["name"]: row for row in shown["comparison"]["rows"]}
        assert set(rows) == {made.name, "one"} | ({"two"} if arguments[0] == "merge" else set())
        if arguments[0] == "trim":
            assert rows[made.name]["per_query"] == rows["one"]["per_query"]
            assert shown["bytes"]["after"] < shown["bytes"]["before"]


def test_the_difference_is_the_new_model_less_the_old_one(
    cli: Run, data: Path, tmp_path: Path
) -> None:
    model, made = tiny_model(tmp_path / "one"), tmp_path / "made"
    told = cli("models", "quantise", model, "--to", made, "--on", data)
    assert told.exit_code == 0, told.stderr
    assert "made against one: " in told.stdout
    assert "weights and tokeniser: " in told.stdout
    assert f"model {made}" in told.stdout.replace("\n", "")


def test_a_static_model_is_weighted_by_its_texts(cli: Run, data: Path, tmp_path: Path) -> None:
    model = model2vec_folder(tmp_path / "static")
    told = cli(
        "models",
        "sif",
        model,
        "--texts",
        data,
        "--components",
        "1",
        "--to",
        tmp_path / "made",
        "--on",
        data,
        "--json",
    )
    assert told.exit_code == 0, told.stderr
    assert {row["name"] for row in json.loads(told.stdout)["comparison"]["rows"]} == {
        "static",
        "made",
    }


def test_bad_numbers_are_errors(cli: Run, tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "one")
    for arguments, said in (
        (("drop-layers", model, "--keep", "0,x"), "--keep has '0,x'; wanted whole numbers"),
        (("drop-layers", model, "--keep", "0.5"), "wanted whole numbers"),
        (("merge", model, model, "--weights", "half"), "--weights has 'half'"),
    ):
        told = cli("models", *arguments, "--to", tmp_path / "made")
        assert (told.exit_code, said in told.stderr) == (2, True), told.stderr


def test_a_dense_model_is_turned_to_documents(cli: Run, data: Path, tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "one")
    told = cli("models", "rotate", model, "--texts", data, "--to", tmp_path / "made", "--json")
    assert told.exit_code == 0, told.stderr
    documents = len(tiny_collection().documents)
    assert json.loads(told.stdout) == {
        "folder": str(tmp_path / "made"),
        "name": "one",
        "vectors": documents,
    }
    assert (tmp_path / "made" / "3_Dense" / "model.safetensors").is_file()
