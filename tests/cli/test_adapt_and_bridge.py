from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nearfield.models.vector_map import VectorMap
from nearfield.similarity.dense import Dense
from tiny import tiny_model
from tiny_data import tiny_collection

Run = Callable[..., Any]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    tiny_collection().save(tmp_path / "data")
    return tmp_path / "data"


def test_adapt_with_a_model_writes_the_map_and_says_the_verdict(
    cli: Run, data: Path, tmp_path: Path
) -> None:
    model = tiny_model(tmp_path / "model")
    told = cli(
        "adapt",
        model,
        "--on",
        data,
        "--to",
        tmp_path / "adapter",
        "--epochs",
        3,
        "--kind",
        "low-rank",
        "--width",
        4,
        "--json",
    )
    assert told.exit_code == 0, told.stderr
    shown = json.loads(told.stdout)
    assert shown["verdict"]["queries"] == 30
    assert VectorMap.open(tmp_path / "adapter" / "map").config.width == 4
    held = json.loads((tmp_path / "adapter" / "adapter.json").read_text(encoding="utf-8"))
    assert (held["model"], held["collection"], held["recipe"]["epochs"]) == ("model", "tiny", 3)
    table = cli("adapt", model, "--on", data, "--to", tmp_path / "adapter", "--epochs", 1)
    assert "model adapted" in table.stdout


def test_adapt_without_a_model_takes_vectors_from_anywhere(
    cli: Run, data: Path, tmp_path: Path
) -> None:
    made, generator = tiny_collection(), np.random.default_rng(0)
    for name, ids in (("d", made.document_ids), ("q", made.query_ids)):
        Dense(generator.normal(size=(len(ids), 6)).astype(np.float32), 6).save(
            tmp_path / name, ids=list(ids)
        )
    told = cli(
        "adapt",
        "--on",
        data,
        "--documents",
        tmp_path / "d",
        "--queries",
        tmp_path / "q",
        "--to",
        tmp_path / "a",
        "--epochs",
        2,
        "--json",
    )
    assert told.exit_code == 0, told.stderr
    assert json.loads(told.stdout)["comparison"]["collection"] == "tiny"


def test_bad_requests_to_adapt_are_errors_before_anything_is_encoded(
    cli: Run, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    to = ("--on", data, "--to", tmp_path / "adapter")
    for arguments, said in (
        (to, "name a model, or give both --documents and --queries"),
        (("minilm", "--queries", tmp_path, *to), "leave out --queries"),
        (("minilm", "--kind", "lineer", *to), "Did you mean 'linear'?"),
        (("minilm", "--on", data, "--to", tmp_path / "other"), "is not an adapter's folder"),
    ):
        shown = cli("adapt", *arguments)
        assert (shown.exit_code, said in shown.stderr) == (2, True), shown.stderr


def test_bridge_writes_the_map_and_what_it_keeps(cli: Run, data: Path, tmp_path: Path) -> None:
    old, new = (tiny_model(tmp_path / name, seed=seed) for seed, name in enumerate(("old", "new")))
    told = cli(
        "bridge",
        old,
        new,
        "--on",
        data,
        "--to",
        tmp_path / "bridge",
        "--width",
        0,
        "--sample",
        60,
        "--json",
    )
    assert told.exit_code == 0, told.stderr
    shown = json.loads(told.stdout)
    names = {row["name"] for row in shown["comparison"]["rows"]}
    assert {"old model", "bridged", "embedded again", "50% embedded again"} <= names
    assert shown["fitted_on"] == 60
    assert VectorMap.open(tmp_path / "bridge" / "map").config.kind == "linear"
    table = cli("bridge", old, new, "--on", data, "--to", tmp_path / "bridge", "--width", 0)
    assert "a linear map, fitted on 60 documents" in table.stdout
    assert "recall of the ten best" in table.stdout


def test_only_dense_vectors_of_the_model_itself_are_mapped(
    cli: Run, data: Path, tmp_path: Path
) -> None:
    model, other = (
        tiny_model(tmp_path / name, seed=seed) for seed, name in enumerate(("model", "other"))
    )
    for arguments in (
        ("models", "head", model, "splade", "--to", tmp_path / "sparse"),
        ("encode", model, data, "--to", tmp_path / "v"),
    ):
        assert cli(*arguments).exit_code == 0
    assert cli("encode", tmp_path / "sparse", data, "--to", tmp_path / "terms").exit_code == 0
    to = ("--on", data, "--to", tmp_path / "made")
    for refused, said in (
        (("adapt", tmp_path / "sparse", *to), "makes sparse embeddings"),
        (("bridge", model, tmp_path / "sparse", *to), "makes sparse embeddings"),
        (
            ("adapt", model, "--documents", tmp_path / "terms", *to),
            "terms: holds sparse embeddings; wanted dense vectors",
        ),
        (("adapt", other, "--documents", tmp_path / "v", *to), "other is another model"),
        (("adapt", model, "--documents", model, *to), "vectors.npy: does not exist"),
    ):
        told = cli(*map(str, refused))
        assert (told.exit_code, said in told.stderr.replace("\n", "")) == (2, True), told.stderr
    assert cli("adapt", model, "--documents", tmp_path / "v", *to, "--epochs", 1).exit_code == 0
