"""Bags of words in reranking: each query's candidates, in the order of a naive BM25 and of
scikit-learn's TF-IDF.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from nearfield.evaluate.compare import compare
from nearfield.types.comparison import Comparison
from tiny import tiny_model

WORDS = np.array([f"w{place}ord" for place in range(30)])


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.default_rng(3)

    def text(low: int, high: int) -> str:
        return " ".join(random.choice(WORDS, random.integers(low, high)))

    rows = [
        {"query": text(2, 6), "positive": text(5, 30), "negatives": [text(5, 30) for _ in range(7)]}
        for _ in range(25)
    ]
    rows.append({**rows[0], "query": "unheard"})  # no word of it is known: the texts' own order
    path = tmp_path_factory.mktemp("reranking") / "pairs.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.fixture(scope="module")
def table(source: Path) -> Comparison:
    return compare(["bm25", "tfidf"], str(source), task="reranking", measure="RR@10")


def expected(source: Path, score: Callable[[str, str], float]) -> list[float]:
    """The reciprocal rank of each query's only positive text."""
    found = []
    for row in map(json.loads, source.read_text().splitlines()):
        texts = sorted({row["positive"], *row["negatives"]})
        order = sorted(texts, key=lambda text: (-round(score(row["query"], text), 6), text))
        found.append(1 / (order.index(row["positive"]) + 1))
    return found


def documents(source: Path) -> list[str]:
    rows = map(json.loads, source.read_text().splitlines())
    return sorted({text for row in rows for text in (row["positive"], *row["negatives"])})


def test_bm25_scores_each_querys_candidates_among_the_texts_of_all(
    source: Path, table: Comparison
) -> None:
    texts = [text.split() for text in documents(source)]
    mean = sum(map(len, texts)) / len(texts)

    def score(query: str, text: str) -> float:
        total, words = 0.0, text.split()
        for term in query.split():
            holding = sum(term in each for each in texts)
            idf = math.log(1 + (len(texts) - holding + 0.5) / (holding + 0.5))
            tf = words.count(term)
            total += idf * tf / (tf + 1.5 * (1 - 0.75 + 0.75 * len(words) / mean))
        return total

    (row,) = [row for row in table.rows if row.name == "bm25"]
    assert list(row.per_query) == pytest.approx(expected(source, score))
    assert 0.3 < row.estimate.mean < 1
    assert row.bytes_per_document > 0


def test_tfidf_scores_them_as_scikit_learns(source: Path, table: Comparison) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    learned = TfidfVectorizer().fit(documents(source))

    def score(query: str, text: str) -> float:
        a, b = learned.transform([query, text]).toarray()
        return float(a @ b)

    (row,) = [row for row in table.rows if row.name == "tfidf"]
    assert list(row.per_query) == pytest.approx(expected(source, score))


def test_bm25_stands_beside_a_model_by_the_command_line(
    source: Path, tmp_path: Path, cli: Callable[..., Result]
) -> None:
    model = tiny_model(tmp_path / "tiny")
    asked = ("--on", source, "--task", "reranking", "--dtype", "int8", "--json")
    result = cli("evaluate", model, "bm25", *asked)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert {row["name"]: row["storage"] for row in found["rows"]} == {
        "tiny": "int8",
        "bm25": "float32",
    }
