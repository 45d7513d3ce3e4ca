"""`nearfield encode` and `nearfield search` with models of other kinds than dense, and what their
scores are made of.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from counting import Counting, CountingTokens
from late_models import tiny_late
from nearfield.encoders.lexical import Lexical
from nearfield.evaluate.encoders import pooled
from nearfield.evaluate.systems import model_systems
from nearfield.retrieval.bm25 import bm25
from sparse_models import tiny_splade
from tiny import tiny_model
from tiny_data import text_files, tiny_collection

TEXTS = [
    "A cat sleeps on the mat.",
    "Tax law for small firms.",
    "Ships sail over the sea: cats and mats.",
    "How bread is baked.",
]
Cli = Callable[..., Result]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    return text_files(tmp_path / "texts", TEXTS)


def results(ran: Result) -> list[dict[str, object]]:
    assert ran.exit_code == 0, ran.output
    found: list[dict[str, object]] = json.loads(ran.stdout)["results"]
    return found


def assert_adds_up(hit: dict[str, object], model: str) -> None:
    matches = hit["matches"][model]  # type: ignore[index]
    assert sum(match["score"] for match in matches) == pytest.approx(hit["score"], rel=1e-4)


def test_a_sparse_model_is_stored_searched_and_explained(
    texts: Path, tmp_path: Path, cli: Cli
) -> None:
    model, vectors = tiny_splade(tmp_path / "model"), tmp_path / "vectors"
    told = json.loads(cli("encode", model, texts, "--to", vectors, "--json").stdout)
    assert (told["kind"], told["usage"]["items"], told["vectors_per_item"]) == ("sparse", 4, None)
    assert told["terms_per_item"] > 0
    now = results(cli("search", texts, "cat", "--model", model, "--explain", "--json"))
    before = results(cli("search", texts, "cat", "--vectors", vectors, "--explain", "--json"))
    assert before == now
    for hit in now:
        assert_adds_up(hit, str(model))
    refused = cli("search", texts, "cat", "--vectors", vectors, "--index", "binary")
    assert refused.exit_code == 2
    assert (
        "the index binary is not for sparse embeddings, which are searched exactly"
        in refused.stderr
    )
    assert (
        "terms per text of float32"
        in cli("encode", model, texts, "--to", tmp_path / "again").stdout
    )


def test_a_bag_of_words_is_a_model_like_any_other(texts: Path, tmp_path: Path, cli: Cli) -> None:
    fitted = json.loads(
        cli(
            "models", "lexical", texts, "--to", tmp_path / "words", "--weighting", "tfidf", "--json"
        ).stdout
    )
    assert (fitted["documents"], fitted["terms"]) == (4, len(Lexical.fit(TEXTS).terms))
    assert (
        "bm25, "
        in cli("models", "lexical", texts, "--to", tmp_path / "other", "--language", "none").stdout
    )
    assert (
        "no weighting 'tf'"
        in cli("models", "lexical", texts, "--to", tmp_path / "wrong", "--weighting", "tf").stderr
    )
    told = cli(
        "encode",
        tmp_path / "words",
        texts,
        "--to",
        tmp_path / "vectors",
        "--dtype",
        "float16",
        "--json",
    )
    assert json.loads(told.stdout)["runtime"] == "words"
    for source in (("--model", tmp_path / "words"), ("--vectors", tmp_path / "vectors")):
        hits = results(cli("search", texts, "a cat on the mats", *source, "--explain", "--json"))
        assert [hit["id"] for hit in hits] == ["0.txt", "2.txt"]
        assert 0 < hits[1]["score"] < hits[0]["score"] < 1  # type: ignore[operator]
        assert [match["query"] for match in hits[0]["matches"][str(tmp_path / "words")]] == [
            "cat",
            "mat",
        ]  # type: ignore[index]
    other = tmp_path / "other"
    refused = cli("search", texts, "cat", "--model", other, "--vectors", tmp_path / "vectors")
    assert "and " + str(other) + " is another model" in refused.stderr


def test_vectors_of_other_texts_are_refused(texts: Path, tmp_path: Path, cli: Cli) -> None:
    model, vectors = tiny_model(tmp_path / "model"), tmp_path / "vectors"
    assert cli("encode", model, texts, "--to", vectors).exit_code == 0
    assert cli("search", texts, "cat", "--vectors", vectors).exit_code == 0
    changed = next(iter(sorted(texts.iterdir())))
    changed.write_text("another text")
    told = cli("search", texts, "cat", "--vectors", vectors)
    assert told.exit_code == 2
    assert (
        f"1 of {len(TEXTS)} texts of texts, {changed.name} the first, are others than those "
        "that were encoded"
    ) in told.stderr
    assert cli("search", texts, "cat", "--model", "bm25", "--fuse").exit_code == 2
    one = results(cli("search", texts, "cat mats", "--model", "bm25", "-k", "1", "--json"))
    assert len(one) == 1


def test_bm25_and_a_fusion_are_explained(texts: Path, tmp_path: Path, cli: Cli) -> None:
    hits = results(
        cli("search", texts, "cat mats, a cat", "--model", "bm25", "--explain", "--json")
    )
    scores = bm25(TEXTS).find(["cat mats, a cat"], 2).scores
    np.testing.assert_allclose([hit["score"] for hit in hits], scores[0], rtol=1e-6)
    for hit in hits:
        assert_adds_up(hit, "bm25")
        assert hit["unmet"] == {"bm25": []}
    asked = ("search", texts, "cat quasars on the sea", "--model", "bm25", "--explain")
    assert [hit["unmet"] for hit in results(cli(*asked, "--json"))] == [
        {"bm25": ["quasar"]},
        {"bm25": ["quasar", "sea"]},
    ]
    assert "; nothing found for quasar, sea\n" in cli(*asked).stdout
    model = tiny_model(tmp_path / "model", pooling="cls")  # whose vector is no sum over tokens
    fused = results(cli("search", texts, "cat", "--model", model, "--fuse", "--explain", "--json"))
    assert set(fused[0]["matches"]) == {str(model), "bm25"}  # type: ignore[call-overload]
    assert all(hit["matches"][str(model)] == [] for hit in fused)  # type: ignore[index]
    shown = cli("search", texts, "cat", "--model", model, "--fuse", "--explain").stdout
    assert "bm25: cat " in shown
    assert "one product of two vectors" in shown


def test_models_of_several_kinds_are_compared_each_as_it_can_be(tmp_path: Path, cli: Cli) -> None:
    tiny_collection().save(tmp_path / "data")
    dense, sparse = tiny_model(tmp_path / "dense"), tiny_splade(tmp_path / "sparse")
    asked = (
        "evaluate",
        dense,
        sparse,
        "tfidf",
        "--on",
        tmp_path / "data",
        "--dims",
        "32,8",
        "--dtype",
        "float32,int8",
        "--json",
    )
    ran = cli(*asked)
    assert ran.exit_code == 0, ran.stderr
    rows = {row["name"] for row in json.loads(ran.stdout)["rows"]}
    assert rows == {
        "bm25",
        "dense 32 float32",
        "dense 8 float32",
        "dense 32 int8",
        "dense 8 int8",
        "sparse",
        "tfidf",
    }
    alone = cli("evaluate", sparse, "--on", tmp_path / "data", "--dims", "8")
    assert alone.exit_code == 0, alone.stderr
    assert "sparse: 8 dimensions were left out, as it has no vector to cut" in alone.stdout
    pooled = cli("evaluate", dense, "--on", tmp_path / "data", "--pool-tokens", "2")
    assert "is for multi-vector models, and none is named" in pooled.stderr


@pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
def test_pooled_tokens_are_a_row_each() -> None:
    encoders = {"late": CountingTokens(), "dense": Counting()}
    rows = pooled(encoders, (1, 3))
    assert list(rows) == ["late", "late pooled 3", "dense"]
    test = tiny_collection().split("test")
    systems = {name: model_systems(encoder, test, name=name)[0] for name, encoder in rows.items()}
    assert systems["late pooled 3"].bytes_per_document < 0.5 * systems["late"].bytes_per_document
    assert any("vectors per document, of 12 dimensions" in note for note in systems["late"].notes)


def test_a_multi_vector_model_is_stored_explained_pooled_and_reranks(
    texts: Path, tmp_path: Path, cli: Cli
) -> None:
    model, vectors = tiny_late(tmp_path / "late"), tmp_path / "vectors"
    told = json.loads(
        cli("encode", model, texts, "--to", vectors, "--dtype", "int8", "--json").stdout
    )
    assert (told["kind"], told["dim"], told["dtype"]) == ("multi-vector", 8, "int8")
    pooled = json.loads(
        cli(
            "encode", model, texts, "--to", tmp_path / "pooled", "--pool-tokens", "2", "--json"
        ).stdout
    )
    assert pooled["vectors_per_item"] < 0.7 * told["vectors_per_item"]
    assert pooled["cached"] == 4
    asked = ("search", texts, "cat law", "--explain", "--json")
    hits = results(cli(*asked, "--vectors", vectors))
    for hit in hits:
        assert_adds_up(hit, str(model))
        matches = hit["matches"][str(model)]  # type: ignore[index]
        assert {"cat", "law", "[SEP]"} <= {match["query"] for match in matches}
        assert all(
            not match["document"].startswith("vector ") and match["document"] != "."
            for match in matches
        )
    for hit in results(cli(*asked, "--vectors", tmp_path / "pooled")):
        assert_adds_up(hit, str(model))
        assert all(match["document"].startswith("vector ") for match in hit["matches"][str(model)])  # type: ignore[index]
    now = results(cli("search", texts, "cats mats sea sleeps", "--model", model, "--json"))
    second = results(
        cli("search", texts, "cats mats sea sleeps", "--model", "bm25", "--rerank", model, "--json")
    )
    scores = {hit["id"]: hit["score"] for hit in now}
    assert len(second) == 2
    explained = results(
        cli(
            "search",
            texts,
            "cats mats sea sleeps",
            "--model",
            "bm25",
            "--rerank",
            model,
            "--explain",
            "--json",
        )
    )
    for hit in explained:
        assert list(hit["matches"]) == ["bm25", "late, reranking"]  # type: ignore[call-overload]
        assert_adds_up(hit, "late, reranking")
    assert [hit["score"] for hit in second] == pytest.approx(
        sorted((scores[hit["id"]] for hit in second), reverse=True), rel=1e-5
    )
