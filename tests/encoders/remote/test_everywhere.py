"""A model behind an API goes wherever a local model goes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nearfield as nf
from nearfield.encoders.encoded import encoded, seconds_alone
from nearfield.encoders.load import load, load_reranker
from nearfield.encoders.remote.budget import Budget
from nearfield.encoders.remote.ledger import entries
from nearfield.errors import BudgetError, ModelError
from nearfield.train.data.teacher import open_teacher
from nearfield.types.role import DOCUMENT
from tiny import tiny_model
from tiny_data import tiny_collection
from vendors import KEY, Loopback, relevance, vector

Run = Callable[..., Any]
OPENAI, COHERE = "openai:text-embedding-3-small@dim=32", "cohere:embed-english-v3.0"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    tiny_collection(queries=40).save(tmp_path / "data")
    return tmp_path / "data"


def dollars() -> float:
    return sum(entry.price or 0.0 for entry in entries())


def test_evaluate_compares_local_and_api_models_in_one_table_with_prices(
    vendor: Loopback, word_tokenisers: None, data: Path, tmp_path: Path, cli: Run
) -> None:
    pytest.importorskip("openai", reason="the SDK of openai is not installed")
    pytest.importorskip("cohere", reason="the SDK of cohere is not installed")
    asked = ("evaluate", tiny_model(tmp_path / "model"), OPENAI, COHERE, "--on", data, "--no-bm25")
    told = cli(*asked, "--json", "--max-spend", "0.01")
    assert told.exit_code == 0, told.stderr
    found = json.loads(told.stdout)
    rows = {row["name"]: row for row in found["rows"]}
    assert rows[OPENAI]["dim"] == 32, "the API was asked for so many"
    assert all(body["dimensions"] == 32 for path, body in vendor.bodies if "openai" in path)
    assert rows[COHERE]["dim"] == 1_024
    assert rows[OPENAI]["bytes_per_document"] == 128
    assert set(found["prices"]) == {OPENAI, COHERE}
    tokens = sum(len(text.split()) for text in tiny_collection(queries=40).document_texts)
    price = found["prices"][COHERE]
    assert price["per_million_tokens"] == 0.1
    assert price["per_thousand_documents"] == pytest.approx(1000 * tokens / 40 * 0.1e-6)
    assert f"{COHERE}: 40 items, {tokens} tokens (counted by the tokeniser Cohere" in told.stderr
    assert max(Counter(vendor.texts).values()) == 2, "each vendor is asked for a text once"
    paid, asked_before = dollars(), len(vendor.bodies)
    again = cli(*asked)
    assert again.exit_code == 0, again.stderr
    assert (dollars(), len(vendor.bodies)) == (paid, asked_before), "nothing is paid twice"
    assert "$/1,000 docs" in again.stdout
    kept = cli("ledger", "--json")
    accounts = {each["model"]: each for each in json.loads(kept.stdout)["models"]}
    assert sum(each["price"] for each in accounts.values()) == pytest.approx(paid)
    assert accounts["cohere:embed-english-v3.0"]["lost"] == 0
    assert "in all; each request: " in cli("ledger").stdout
    assert "nothing was asked since 2100-01-01" in cli("ledger", "--since", "2100-01-01").stdout
    refused = cli("ledger", "--since", "yesterday")
    assert refused.exit_code == 2
    assert KEY not in told.stderr + told.stdout + kept.stdout


def some_of(scifact: Path, folder: Path, *, queries: int, documents: int) -> Path:
    """The data set cut to its first test queries, the documents judged for them and some others."""
    (folder / "qrels").mkdir(parents=True)
    head, *judged = (scifact / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines()
    asked = list(dict.fromkeys(line.split("\t")[0] for line in judged))[:queries]
    kept = [line for line in judged if line.split("\t")[0] in asked]
    (folder / "qrels" / "test.tsv").write_text("\n".join([head, *kept]), encoding="utf-8")
    relevant = {line.split("\t")[1] for line in kept}
    for file, wanted, others in (
        ("corpus.jsonl", relevant, documents),
        ("queries.jsonl", set(asked), 0),
    ):
        lines = (scifact / file).read_text(encoding="utf-8").splitlines()
        ids = [str(json.loads(line)["_id"]) for line in lines]
        chosen = [line for at, line in enumerate(lines) if ids[at] in wanted or at < others]
        (folder / file).write_text("\n".join(chosen), encoding="utf-8")
    return folder


def test_minilm_itself_beside_apis_on_some_of_scifact(
    vendor: Loopback,
    word_tokenisers: None,
    minilm: Path,
    shared_data: Path,
    tmp_path: Path,
    cli: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("openai", reason="the SDK of openai is not installed")
    pytest.importorskip("cohere", reason="the SDK of cohere is not installed")
    data = some_of(shared_data / "scifact", tmp_path / "scifact", queries=30, documents=60)
    names = (str(minilm), "openai:text-embedding-3-small", COHERE)
    told = cli("evaluate", *names, "--on", data, "--json")
    assert told.exit_code == 0, told.stderr
    found = json.loads(told.stdout)
    rows = {row["name"]: row for row in found["rows"]}
    assert [rows[name]["dim"] for name in ("minilm", *names[1:])] == [384, 1_536, 1_024]
    assert rows["minilm"]["means"]["nDCG@10"] > 0.8, (
        "the vendors' vectors are random, minilm's are not"
    )
    assert max(rows[name]["means"]["nDCG@10"] for name in names[1:]) < 0.5
    assert set(found["prices"]) == set(names[1:])
    for row in (rows[name] for name in ("minilm", *names[1:])):
        assert row["bytes_per_document"] == 4 * row["dim"]
        assert row["query_milliseconds"] > 0


def test_the_time_of_a_query_is_that_of_a_call(vendor: Loopback) -> None:
    pytest.importorskip("openai", reason="the SDK of openai is not installed")
    encoder = load(OPENAI)
    encoder.encode(["paid for before"], "query")
    texts = ["paid for before", "a cat", "tax law"]
    first = seconds_alone(encoder, texts, "query")
    assert np.isnan(first[0]), "asking again would tell how fast the cache is"
    assert (first[1:] > 0).all()
    asked = len(vendor.bodies)
    np.testing.assert_array_equal(seconds_alone(encoder, texts, "query"), first)
    encoded(encoder, texts, "query")
    assert len(vendor.bodies) == asked, "no text is paid for to be timed again"


def test_what_would_cost_too_much_is_refused_before_anything_is_asked(
    vendor: Loopback, word_tokenisers: None, data: Path, tmp_path: Path, cli: Run
) -> None:
    for arguments in (
        ("evaluate", "voyage:voyage-3-large", "--on", data),
        ("encode", "voyage:voyage-3-large", data, "--to", tmp_path / "vectors"),
        ("search", data, "something", "--model", "voyage:voyage-3-large"),
    ):
        told = cli(*arguments, "--max-spend", "0.00001")
        assert told.exit_code == 2
        assert "is more than the limit of $1e-05; nothing was asked" in " ".join(
            told.stderr.split()
        )
    assert vendor.bodies == []
    with Budget(1.0), pytest.raises(BudgetError, match="price of jina:jina-embeddings-v3 is not"):
        nf.load("jina:jina-embeddings-v3").encode_document(["a text"])
    with Budget(0.0):  # nothing is paid for what runs at home
        nf.load("tei:minilm").encode_document(["a text"])
    with Budget(1e-3) as budget:
        encoder = nf.load("voyage:voyage-3-large")
        encoder.encode_document(["three words here"])
        assert budget.spent == pytest.approx(3 * 0.18e-6)
        with pytest.raises(BudgetError, match="are spent; nothing was asked"):
            encoder.encode_document([f"word{at} " * 100 for at in range(100)])


def test_encode_search_and_adapt_take_an_api_model(
    vendor: Loopback, word_tokenisers: None, data: Path, tmp_path: Path, cli: Run
) -> None:
    pytest.importorskip("voyageai", reason="the SDK of voyage is not installed")
    model, vectors = "voyage:voyage-3-large@dim=24", tmp_path / "vectors"
    told = cli("encode", model, data, "--to", vectors)
    assert told.exit_code == 0, told.stderr
    paid = len(vendor.bodies)
    texts = tiny_collection(queries=40).document_texts
    stored = np.load(vectors / "vectors.npy")
    expected = np.stack([vector(text, "document", 24) for text in texts])
    np.testing.assert_allclose(stored, expected, atol=1e-7)
    found = cli("search", data, "whatever", "--vectors", vectors, "--json", "-k", "1")
    assert found.exit_code == 0, found.stderr
    best = texts[int(np.argmax(expected @ vector("whatever", "query", 24)))]
    assert json.loads(found.stdout)["results"][0]["text"] == best
    assert len(vendor.bodies) == paid + 1, "only the query was asked for"
    adapted = cli("adapt", model, "--on", data, "--to", tmp_path / "run", "--epochs", 1)
    assert adapted.exit_code == 0, adapted.stderr
    encoder = nf.load(tmp_path / "run" / "adapter")
    documents = np.asarray(encoder.encode_document(texts[:2]))
    np.testing.assert_allclose(documents, expected[:2], atol=1e-6)
    assert encoder.encode_query(["whatever"]).dim == 24
    assert encoder.forecast(texts, DOCUMENT).tokens == 0


@pytest.mark.parametrize(
    "name",
    ["cohere:rerank-v3.5", "voyage:rerank-2.5", "jina:jina-reranker-v2-base-multilingual", "tei:x"],
)
def test_rerankers_judge_each_pair_once(name: str, vendor: Loopback, word_tokenisers: None) -> None:
    sdk = {"cohere": "cohere", "voyage": "voyageai"}.get(name.partition(":")[0])
    if sdk:
        pytest.importorskip(sdk, reason=f"{sdk} is not installed")
    judge = open_teacher(name) if "rerank" in name else load_reranker(name)
    queries, documents = ["red cat", "blue dog"], ["a red dog", "a blue cat", "one red cat"]
    pairs = np.array([0, 0, 0, 1, 1]), np.array([0, 1, 2, 0, 1])
    vendor.faults = ["500"]
    scores = judge.score_at(queries, documents, pairs)
    expected = [relevance(queries[at], documents[of]) for at, of in zip(*pairs, strict=True)]
    np.testing.assert_allclose(scores, expected, rtol=1e-6)
    assert len(vendor.answered) == 2, "a request for each query"
    again = judge.score_at(queries, documents, (np.array([1, 1]), np.array([1, 2])))
    np.testing.assert_allclose(again, [0.5, 0.0], atol=1e-7)
    assert vendor.texts.count("blue dog|a blue cat") == 1
    if name.startswith("cohere"):
        assert dollars() == pytest.approx(3 * 2.0 / 1000)


def test_what_is_no_reranker_and_what_is_one_are_told_apart(vendor: Loopback) -> None:
    with pytest.raises(ModelError, match="OpenAI has no rerankers"):
        load_reranker("openai:text-embedding-3-small")
    with pytest.raises(nf.NearfieldError, match="is of the kind cross-encoder"):
        nf.load("cohere:rerank-v3.5")
