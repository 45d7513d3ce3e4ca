"""Reranked systems beside the ones that they came from, in Python and by the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from nearfield.data.collection import Collection
from nearfield.encoders.reranker import Reranker
from nearfield.evaluate.compare import compare
from nearfield.evaluate.reranked import reranked_system
from nearfield.evaluate.systems import bm25_system
from nearfield.retrieval.rerank import rerank
from tiny import tiny_model
from tiny_cross import tiny_cross
from tiny_data import tiny_collection


@pytest.fixture(scope="module")
def cross(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_cross(tmp_path_factory.mktemp("models") / "judge")


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "tiny"
    tiny_collection(queries=24).save(folder)
    return folder


def test_a_reranked_system_has_the_ranking_of_rerank_and_the_time_of_both(
    collection: Path, cross: Path
) -> None:
    split, scorer = Collection.open(collection).split("test"), Reranker.open(cross)
    base = bm25_system(split)
    ours = reranked_system(base, scorer, split, depth=5)
    texts = split.collection.document_texts
    whole = rerank(
        base.ranking, scorer, query_texts=split.query_texts, document_texts=texts, depth=5
    )
    np.testing.assert_array_equal(ours.ranking.documents, whole.documents)
    np.testing.assert_allclose(ours.ranking.scores, whole.scores, atol=1e-5)
    assert base.query_milliseconds is not None
    assert ours.query_milliseconds is not None
    assert ours.query_milliseconds > base.query_milliseconds
    assert (ours.name, ours.bytes_per_document) == (
        "bm25 reranked by judge",
        base.bytes_per_document,
    )
    table = compare([base, ours], split)
    assert {row.name for row in table.rows} == {base.name, ours.name}
    assert len(table.pairs) == 1


def test_what_was_cut_is_a_note(collection: Path, tmp_path: Path) -> None:
    split = Collection.open(collection).split("test")
    scorer = Reranker.open(tiny_cross(tmp_path / "short", max_tokens=12))
    (note,) = reranked_system(bm25_system(split), scorer, split, depth=3).notes
    assert note.startswith("short: documents of 6 of 6 queries were longer")


def test_evaluate_and_search_rerank(
    collection: Path, cross: Path, tmp_path: Path, cli: Callable[..., Result]
) -> None:
    model = tiny_model(tmp_path / "model")
    for extra, reranked in (
        ([], "model reranked by judge"),
        (["--fuse"], "model + bm25 (fused) reranked by judge"),
    ):
        result = cli(
            "evaluate", model, "--on", collection, "--rerank", cross, "--depth", 4, "--json", *extra
        )
        assert result.exit_code == 0, result.output
        assert reranked in {row["name"] for row in json.loads(result.stdout)["rows"]}
    alone = cli("evaluate", "bm25", "--on", collection, "--rerank", cross, "--json")
    assert {row["name"] for row in json.loads(alone.stdout)["rows"]} == {
        "bm25",
        "bm25 reranked by judge",
    }
    found = json.loads(
        cli(
            "search",
            collection,
            "cat law",
            "--model",
            model,
            "-k",
            3,
            "--rerank",
            cross,
            "--depth",
            9,
            "--json",
        ).stdout
    )
    before = json.loads(
        cli("search", collection, "cat law", "--model", model, "-k", 9, "--json").stdout
    )["results"]
    assert found["reranked"] == str(cross)
    scorer = Reranker.open(cross)
    texts = [f"{row['title']} {row['text']}".strip() for row in before]
    order = np.argsort(-scorer.score("cat law", texts), kind="stable")[:3]
    assert [row["id"] for row in found["results"]] == [before[int(at)]["id"] for at in order]
    assert [row["ranks"][str(model)] for row in found["results"]] == [int(at) + 1 for at in order]


def test_what_is_no_cross_encoder_is_told_before_anything_is_encoded(
    collection: Path, tmp_path: Path, cli: Callable[..., Result]
) -> None:
    model = tiny_model(tmp_path / "model")
    result = cli("evaluate", model, "--on", collection, "--rerank", model)
    assert result.exit_code == 2
    assert "is not a cross-encoder" in result.stderr
    result = cli(
        "search",
        collection,
        "cat",
        "--model",
        model,
        "--rerank",
        f"{tiny_cross(tmp_path / 'judge')}@onnx",
    )
    assert result.exit_code == 2
    assert "onnx: does not run cross-encoders" in result.stderr
