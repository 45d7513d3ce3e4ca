from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tiny import tiny_model

Run = Callable[..., Any]
TEXTS = ("a cat on a mat", "a kitten on a rug", "tax law")
pytestmark = pytest.mark.usefixtures("minilm")


def test_every_pair_by_every_similarity_best_first(cli: Run) -> None:
    from nearfield.encoders.load import load

    shown = cli("similarity", *TEXTS, "--json")
    assert (shown.exit_code, shown.stderr) == (0, "")
    told = json.loads(shown.stdout)
    assert (told["own_metric"], told["metric"]) == ("cosine", "cosine")
    vectors = dict(
        zip(
            TEXTS,
            load("minilm").encode(TEXTS, "document").floats().astype(np.float64),
            strict=True,
        )
    )
    assert {frozenset((row["a"], row["b"])) for row in told["pairs"]} == {
        frozenset(pair) for pair in [TEXTS[:2], TEXTS[1:], TEXTS[::2]]
    }
    for row in told["pairs"]:
        a, b = vectors[row["a"]], vectors[row["b"]]
        assert row["dot"] == pytest.approx(a @ b, abs=1e-5)
        assert row["cosine"] == pytest.approx(
            a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-5
        )
        assert row["euclidean"] == pytest.approx(-np.linalg.norm(a - b), abs=1e-4)
    assert all(first["cosine"] >= second["cosine"] for first, second in pairwise(told["pairs"]))
    assert told["pairs"][0]["a"] == TEXTS[0]


def test_the_table_marks_the_models_own_similarity(cli: Run) -> None:
    shown = cli("similarity", *TEXTS)
    assert "cosine *" in shown.stdout
    assert "* what minilm is made for; higher is closer" in shown.stdout


def test_against_compares_each_text_with_each_document(cli: Run) -> None:
    told = json.loads(
        cli(
            "similarity", "cats", "law", "--against", TEXTS[0], "--against", TEXTS[2], "--json"
        ).stdout
    )
    assert len(told["pairs"]) == 4
    assert {
        (told["pairs"][0]["a"], told["pairs"][0]["b"]),
        (told["pairs"][1]["a"], told["pairs"][1]["b"]),
    } == {
        ("cats", TEXTS[0]),
        ("law", TEXTS[2]),
    }


def test_another_metric_warns_with_its_cost(cli: Run) -> None:
    shown = cli("similarity", *TEXTS, "--metric", "dot")
    assert shown.exit_code == 0
    assert shown.stderr.startswith(
        "warning: minilm is made for cosine and dot was asked for: of 9 pairs of texts, 0 (0.0%)"
    )


def test_bad_requests_are_errors_with_exit_code_2(cli: Run) -> None:
    for arguments, said in (
        (("one text",), "one text was given; similarity needs two, or --against"),
        (
            (*TEXTS, "--metric", "manhattan"),
            "there is no similarity 'manhattan'; wanted one of cosine, dot, euclidean",
        ),
        ((*TEXTS, "--model", "nowhere/model"), "nowhere/model: there is no such folder"),
        ((*TEXTS, "--model", "minilmm"), "Did you mean 'minilm'?"),
    ):
        shown = cli("similarity", *arguments)
        assert shown.exit_code == 2
        assert said in shown.stderr


def test_other_kinds_than_dense_show_their_own_similarity_alone(cli: Run, tmp_path: Path) -> None:
    source = tiny_model(tmp_path / "dense")
    for head, own in (("splade", "dot"), ("late-interaction", "MaxSim"), ("three", "fused")):
        model = tmp_path / head
        assert cli("models", "head", source, head, "--to", model).exit_code == 0
        told = cli(
            "similarity", "read a file", "write a file", "tax law", "--model", model, "--json"
        )
        assert told.exit_code == 0, told.stderr
        assert json.loads(told.stdout)["own_metric"] == own
        assert all(set(row) == {"a", "b", own} for row in json.loads(told.stdout)["pairs"])
        assert f"{own} *" in cli("similarity", "a cat", "a dog", "--model", model).stdout
        refused = cli("similarity", "a cat", "a dog", "--model", model, "--metric", "euclidean")
        assert (refused.exit_code, f"only similarity is their own ({own})" in refused.stderr) == (
            2,
            True,
        ), refused.stderr
