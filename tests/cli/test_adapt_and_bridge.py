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
        tmp_path / "run",
        "--epochs",
        3,
        "--kind",
        "low-rank",
        "--width",
        4,
    )
    assert told.exit_code == 0, told.stderr
    assert "model adapted" in told.stdout
    assert "Guard pydoc-topics" in told.stdout
    adapter = tmp_path / "run" / "adapter"
    assert VectorMap.open(adapter / "map").config.width == 4
    held = json.loads((adapter / "adapter.json").read_text(encoding="utf-8"))
    assert (held["model"], held["collection"], held["recipe"]["epochs"]) == ("model", "tiny", 3)
    verdict = json.loads((tmp_path / "run" / "verdict.json").read_text(encoding="utf-8"))
    assert (verdict["queries"], verdict["forgotten"][0]["queries"]) == (30, 308)


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
        (("minilm", "--on", data, "--to", tmp_path / "other"), "holds other files and no run"),
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
        "--guard",
        "none",
    )
    assert told.exit_code == 0, told.stderr
    assert "fitted on 60 documents" in told.stdout
    assert "recall of the ten best" in told.stdout
    again = ("bridge", old, new, "--on", data, "--to", tmp_path / "bridge", "--width", 0)
    again = cli(*again, "--sample", 60, "--guard", "none", "--json")
    shown = json.loads(again.stdout)
    names = {row["name"] for row in shown["comparison"]["rows"]}
    assert {"old model", "bridged", "embedded again", "50% embedded again"} <= names
    assert shown["fitted_on"] == 60
    assert VectorMap.open(tmp_path / "bridge" / "map").config.kind == "linear"


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
    kept = ("adapt", model, "--documents", tmp_path / "v", *to, "--epochs", 1, "--guard", "none")
    assert cli(*kept).exit_code == 0
