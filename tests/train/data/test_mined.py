"""Hard negatives in a file: sentence-transformers' own miner is the oracle."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nearfield.data.collection import Collection
from nearfield.data.open import open_pairs
from nearfield.encoders.encoder_scorer import EncoderScorer
from nearfield.encoders.load import load
from nearfield.encoders.pair_scorer import Scores
from nearfield.errors import InputError, ModelError
from nearfield.train.data import mining
from nearfield.train.data.leakage import free_documents, same_texts
from nearfield.train.data.mined import mine_to
from nearfield.train.recipe import Negatives
from tiny import tiny_model

Run = Callable[..., Any]
ALL = 1000  # ranks: all documents


def rows(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def dense(**changes: Any) -> Negatives:
    return Negatives(sources=("model",), depth=ALL, **changes)


@pytest.mark.parametrize(("margin", "gap"), [(0.998, 0.0), (1.0, 0.002)])
def test_the_same_as_sentence_transformers_finds(
    tiny: Path, collection: Collection, tmp_path: Path, margin: float, gap: float
) -> None:
    datasets = pytest.importorskip("datasets")
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.util import mine_hard_negatives

    ours = tmp_path / "ours.jsonl"
    found = mine_to(ours, load(str(tiny)), collection, dense(per_query=3, margin=margin), gap=gap)
    train = collection.split("train")
    places = {key: at for at, key in enumerate(collection.document_ids)}
    positives = [
        collection.document_texts[places[next(iter(train.relevance[key]))]]
        for key in train.query_ids
    ]
    free = free_documents(collection, same_texts(collection))
    given = {"query": list(train.query_texts), "positive": positives}
    theirs = mine_hard_negatives(
        datasets.Dataset.from_dict(given),
        SentenceTransformer(str(tiny), device="cpu"),
        corpus=list(collection.document_texts[free]),
        relative_margin=round(1 - margin, 6) or None,
        absolute_margin=gap or None,
        range_max=len(free) - 1,
        num_negatives=3,
        output_format="n-tuple",
        verbose=False,
    )
    expected = {row["query"]: row for row in theirs}
    mined = {row["query"]: row for row in rows(ours)}
    assert found.rows == len(mined) > 5
    assert mined == expected


def test_the_file_opens_in_datasets_and_here(
    tiny: Path, collection: Collection, tmp_path: Path
) -> None:
    path = tmp_path / "mined.jsonl"
    found = mine_to(path, load(str(tiny)), collection, Negatives(per_query=2, margin=1.0))
    pairs = open_pairs(str(path))
    assert len(pairs) == found.rows
    assert {len(each) for each in pairs.table["negatives"].to_pylist()} == {2}
    datasets = pytest.importorskip("datasets")
    read = datasets.load_dataset("json", data_files=str(path), cache_dir=str(tmp_path / "cache"))
    assert read["train"].column_names == ["query", "positive", "negative_1", "negative_2"]
    assert len(read["train"]) == found.rows


def test_no_negative_is_judged_by_dev_or_test(
    tiny: Path, collection: Collection, tmp_path: Path
) -> None:
    path = tmp_path / "mined.jsonl"
    mine_to(path, load(str(tiny)), collection, Negatives(per_query=3, margin=1.0, depth=ALL))
    texts = dict(zip(collection.document_ids, collection.document_texts, strict=True))
    held = {
        texts[document]
        for split in ("dev", "test")
        for judged in collection.split(split).relevance.values()
        for document in judged
    }
    negatives = {text for row in rows(path) for name, text in row.items() if "negative" in name}
    assert negatives
    assert not negatives & held


def test_a_judge_vetoes_what_it_scores_above_the_positive(
    tiny: Path, collection: Collection, tmp_path: Path
) -> None:
    judge = EncoderScorer(load(str(tiny_model(tmp_path / "other", seed=3))))
    path = tmp_path / "mined.jsonl"
    mine_to(path, load(str(tiny)), collection, dense(per_query=2, margin=1.0), judge=judge)
    for row in rows(path):
        texts = [row["positive"], row["negative_1"], row["negative_2"]]
        near = judge.score_at([row["query"]], texts, (np.zeros(3, np.int64), np.arange(3)))
        assert (near[1:] <= near[0] + 1e-6).all()


def test_a_judge_that_says_nan_is_refused_and_leaves_no_file(
    tiny: Path, collection: Collection, tmp_path: Path
) -> None:
    class Broken(EncoderScorer):
        def score_at(self, queries: Any, documents: Any, pairs: Any, **rest: Any) -> Scores:
            return super().score_at(queries, documents, pairs, **rest) * np.float32("nan")

    model = load(str(tiny))
    with pytest.raises(ModelError, match="NaN"):
        mine_to(tmp_path / "m.jsonl", model, collection, dense(), judge=Broken(model))
    assert not (tmp_path / "m.jsonl").exists()


def test_random_negatives_are_allowed_ones_and_drawn_by_the_seed(
    tiny: Path, collection: Collection, tmp_path: Path
) -> None:
    asked = Negatives(per_query=2, sources=("random",), margin=1.0)
    for name in ("a", "b"):
        mine_to(tmp_path / name, load(str(tiny)), collection, asked)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    free = free_documents(collection, same_texts(collection))
    allowed = set(collection.document_texts[free])
    found = rows(tmp_path / "a")
    assert {row["negative_1"] for row in found} | {row["negative_2"] for row in found} <= allowed
    assert len({row["negative_1"] for row in found}) > len(found) // 3
    assert all(row["positive"] not in (row["negative_1"], row["negative_2"]) for row in found)


def test_a_judge_is_asked_once_for_all_pairs(
    tiny: Path, collection: Collection, tmp_path: Path
) -> None:
    asked: list[int] = []

    class Counted(EncoderScorer):
        def score_at(self, queries: Any, documents: Any, pairs: Any, **rest: Any) -> Scores:
            asked.append(len(pairs[0]))
            return super().score_at(queries, documents, pairs, **rest)

    model = load(str(tiny))
    negatives = Negatives(per_query=1, depth=3, margin=1.0)
    mine_to(tmp_path / "m.jsonl", model, collection, negatives, judge=Counted(model))
    assert len(asked) == 1
    assert 60 * 4 <= asked[0] <= 60 * 7


def test_too_many_negatives_are_refused_and_leave_no_file(
    tiny: Path, collection: Collection, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="none of 60 pairs has 900 negatives"):
        mine_to(tmp_path / "m.jsonl", load(str(tiny)), collection, dense(per_query=900))
    assert not list(tmp_path.iterdir())


def test_the_command(tiny: Path, collection: Collection, tmp_path: Path, cli: Run) -> None:
    collection.save(tmp_path / "data")
    line = ["mine", tmp_path / "data", "--model", tiny, "--to", tmp_path / "mined.jsonl"]
    told = cli(*line, "--per-query", 2, "--from", "bm25", "--margin", 1, "--json")
    assert told.exit_code == 0, told.stderr
    assert json.loads(told.stdout)["rows"] == len(rows(tmp_path / "mined.jsonl"))
    again = cli(*line)
    assert again.exit_code == 2
    assert "is there already" in again.stderr
    line[-1] = tmp_path / "other.jsonl"
    for wrong, said in (
        (["--skip", 50], "leaves no rank"),
        (["--from", "bm26"], "some of bm25, model"),
        (["--margin", 2], "--margin"),
    ):
        refused = cli(*line, *wrong)
        assert refused.exit_code == 2
        assert said in refused.stderr
        assert not (tmp_path / "other.jsonl").exists()
    refused = cli("mine", tmp_path / "data", "--model", "bm25", "--to", tmp_path / "other.jsonl")
    assert (refused.exit_code, "Traceback" in refused.stderr) == (2, False), refused.stderr


def test_killed_while_it_mines_it_goes_on(
    tiny: Path, collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks change nothing; what was done before the kill, vectors among it, is not done again."""
    asked, whole, path = Negatives(per_query=2, margin=1.0), tmp_path / "whole", tmp_path / "killed"
    mine_to(whole, load(str(tiny)), collection, asked)
    monkeypatch.setattr(mining, "ROWS", 16)
    made, find = [], mining.Miner.negatives

    def killed(self: Any, rows: slice) -> Any:
        made.append(rows.start)
        if made == [0, 16, 32]:
            raise KeyboardInterrupt
        return find(self, rows)

    monkeypatch.setattr(mining.Miner, "negatives", killed)
    with pytest.raises(KeyboardInterrupt):
        mine_to(path, load(str(tiny)), collection, asked)
    encoded: list[str] = []
    encoder = load(str(tiny))
    encode = type(encoder).encode_as

    def counted(self: Any, role: str, *arguments: Any, **named: Any) -> Any:
        encoded.append(role)
        return encode(self, role, *arguments, **named)

    monkeypatch.setattr(type(encoder), "encode_as", counted)
    mine_to(path, encoder, collection, asked)
    assert made == [0, 16, 32, 32, 48]
    assert "document" not in encoded
    assert path.read_bytes() == whole.read_bytes()
    assert {file.name for file in tmp_path.iterdir()} == {"whole", "killed"}
    made.clear()
    path.unlink()
    with pytest.raises(KeyboardInterrupt):
        mine_to(path, load(str(tiny)), collection, asked)
    mine_to(path, load(str(tiny)), collection, Negatives(per_query=1, margin=1.0))
    assert made == [0, 16, 32, 0, 16, 32, 48], "with other arguments it begins again"
