"""What a teacher says: of which documents, kept across an interruption, and learnt from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nearfield.data.collection import Collection
from nearfield.encoders.encoder_scorer import EncoderScorer
from nearfield.encoders.load import load
from nearfield.encoders.pair_scorer import PairScorer, Positions, Scores
from nearfield.encoders.reranker import Reranker
from nearfield.errors import InputError, ModelError, RecipeError
from nearfield.models.model import TextModel
from nearfield.store.run import RunFolder
from nearfield.train.data.batch import Asked
from nearfield.train.data.sampling import TrainingPairs
from nearfield.train.data.teacher import open_teacher, teacher_scores
from nearfield.train.engine.trainer import trainable
from nearfield.train.objectives.compose import objective_of
from nearfield.train.objectives.kl import kl
from nearfield.train.objectives.margin_mse import margin_mse
from nearfield.train.recipe import Recipe
from nearfield.train.runs.tune import tune
from nearfield.types.progress import Progress, silent
from tiny_cross import tiny_cross
from training import data_of, training_step

QUERIES = [f"query {at}" for at in range(5)]
DOCUMENTS = [f"document {at}" for at in range(7)]
PAIRS = TrainingPairs(
    np.array([0, 1, 2, 3, 4, 0]),
    np.array([1, 2, 3, 4, 5, 6]),
    np.array([[0, 3], [0, -1], [-1, -1], [6, 1], [2, 0], [3, 4]]),
)


class Lengths(PairScorer):
    """Scores a pair by the numbers in its texts; gives up when it was asked too often."""

    name = "numbers"

    def __init__(self, patience: int = 1000) -> None:
        self.asked, self.patience = 0, patience

    @property
    def identity(self) -> dict[str, str]:
        return {"files": "none"}

    def score_at(
        self,
        queries: Sequence[str],
        documents: Sequence[str],
        pairs: tuple[Positions, Positions],
        *,
        progress: Progress = silent,
    ) -> Scores:
        self.asked += len(pairs[0])
        if self.asked > self.patience:
            raise KeyboardInterrupt
        return np.array(
            [
                10 * int(queries[int(q)][-1]) + int(documents[int(d)][-1])
                for q, d in zip(*pairs, strict=True)
            ],
            np.float32,
        )


def asked(teacher: PairScorer, run: RunFolder) -> np.ndarray:
    return teacher_scores(teacher, PAIRS, queries=QUERIES, documents=DOCUMENTS, run=run)


EXPECTED = [[1, 0, 3], [12, 10, 0], [23, 0, 0], [34, 36, 31], [45, 42, 40], [6, 3, 4]]


def test_a_teacher_scores_each_pairs_own_documents(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    assert asked(Lengths(), run).tolist() == EXPECTED
    again = Lengths()
    assert asked(again, run).tolist() == EXPECTED
    assert again.asked == 0


def test_an_interrupted_teacher_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lengths, "at_once", 6)
    run = RunFolder(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        asked(Lengths(patience=9), run)
    with open(run.path / "teacher.float32", "ab") as file:
        file.write(b"torn")
    rest = Lengths()
    assert asked(rest, run).tolist() == EXPECTED
    assert rest.asked == 6
    other = Lengths()
    other.name = "another"
    with pytest.raises(InputError, match="holds another run"):
        asked(other, run)


def test_a_torn_teacher_asks_for_the_same_pairs_together_as_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lengths, "at_once", 6)
    calls: list[list[int]] = []
    score_at = Lengths.score_at

    def noted(
        self: Lengths,
        queries: Sequence[str],
        documents: Sequence[str],
        pairs: tuple[Positions, Positions],
    ) -> Scores:
        calls.append(pairs[1].tolist())
        return score_at(self, queries, documents, pairs)

    monkeypatch.setattr(Lengths, "score_at", noted)
    run = RunFolder(tmp_path / "run")
    asked(Lengths(), run)
    whole, calls[:] = list(calls), []
    path = run.path / "teacher.float32"
    path.write_bytes(path.read_bytes()[: 3 * 12])  # one row of a batch of two
    assert asked(Lengths(), run).tolist() == EXPECTED
    assert calls == whole[1:]


def test_a_score_that_is_no_number_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Lengths,
        "score_at",
        lambda self, queries, documents, pairs: np.full(len(pairs[0]), np.nan, np.float32),
    )
    with pytest.raises(ModelError, match="nothing can be learnt"):
        asked(Lengths(), RunFolder(tmp_path / "run"))


def test_an_encoder_may_teach(tiny: Path) -> None:
    encoder = load(tiny)
    scorer = open_teacher(str(tiny))
    assert isinstance(scorer, EncoderScorer)
    assert scorer.identity == encoder.identity
    query, document = np.array([3, 0, 3, 1]), np.array([6, 6, 0, 2])
    each = encoder.encode(QUERIES, "query").scores(encoder.encode(DOCUMENTS, "document"))
    np.testing.assert_allclose(
        scorer.score_at(QUERIES, DOCUMENTS, (query, document)), each[query, document], atol=1e-6
    )


@pytest.mark.parametrize(("name", "loss"), [("kl", kl), ("margin-mse", margin_mse)])
def test_a_step_adds_the_teachers_loss_to_the_objectives(
    tiny: Path, name: str, loss: object
) -> None:
    model = TextModel.open(tiny)
    data = data_of(model, 12, negatives=2)
    data.pairs.negatives[3, 1] = data.pairs.negatives[4] = -1
    taught = replace(data, teacher=np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32))
    recipe = Recipe.of(
        {"distil": {"teacher": "any", "loss": name, "weight": 0.5, "temperature": 2.0}}
    )
    weights, batch = list(trainable(model, recipe).values()), np.arange(10)
    plain = training_step(model, data.prepare(batch, model), Recipe(), weights)
    both = training_step(
        model, taught.prepare(batch, model, Asked(objective_of(recipe).needs)), recipe, weights
    )
    candidates = np.concatenate([data.pairs.positive[:, None], data.pairs.negatives], 1)[batch]
    encoder = load(tiny, runtime="torch")
    vectors = [
        encoder.encode(source.texts, role).vectors
        for source, role in ((data.queries, "query"), (data.documents, "document"))
    ]
    student = (
        np.einsum("bd,bcd->bc", vectors[0][data.pairs.query[batch]], vectors[1][candidates]) / 0.05
    )
    assert taught.teacher is not None
    real = torch.from_numpy(candidates >= 0)
    expected = loss(
        torch.from_numpy(student), torch.from_numpy(taught.teacher[batch]) / 2.0, real=real
    )
    assert both - plain == pytest.approx(0.5 * float(expected), rel=1e-3)


def test_a_run_learns_from_a_cross_encoder_and_is_read_when_it_is_done(
    tiny: Path, collection: Collection, tmp_path: Path
) -> None:
    teacher = tiny_cross(tmp_path / "teacher", max_tokens=128)
    schedule = {"epochs": 1, "batch": 16, "evaluations": 1, "precision": "float32"}
    recipe = Recipe.of(
        {"schedule": schedule, "distil": {"teacher": str(teacher), "temperature": 4.0}}
    )
    verdict = tune(str(tiny), collection, to=tmp_path / "run", recipe=recipe, guards=())
    held = json.loads((tmp_path / "run" / "teacher.json").read_text())
    assert held == {"teacher": "teacher", **Reranker.open(teacher).identity}
    pairs = TrainingPairs.of(json.loads((tmp_path / "run" / "negatives.json").read_text()))
    scores = np.fromfile(tmp_path / "run" / "teacher.float32", np.float32).reshape(len(pairs), 2)
    split = collection.split("train")
    at = (pairs.query, pairs.positive)
    np.testing.assert_allclose(
        scores[:, 0],
        Reranker.open(teacher).score_at(split.query_texts, collection.document_texts, at),
        atol=1e-5,
    )
    assert tune(str(tiny), collection, to=tmp_path / "run", recipe=recipe, guards=()) == verdict


def test_pairs_without_negatives_have_nothing_to_compare(
    tiny: Path, collection: Collection, tmp_path: Path
) -> None:
    rows = [{"query": f"what is number {at}", "positive": f"it is number {at}"} for at in range(4)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = Recipe.of({"distil": {"teacher": str(tiny)}})
    with pytest.raises(
        InputError,
        match=r"pairs\.jsonl has no negatives, and a teacher compares "
        r"a query's documents",
    ):
        tune(
            str(tiny),
            collection,
            to=tmp_path / "run",
            recipe=recipe,
            pairs=str(tmp_path / "pairs.jsonl"),
            guards=(),
        )


def test_a_recipe_says_what_is_wrong_with_its_teacher() -> None:
    for facts, message in (
        ({"distil": {"loss": "mse"}}, "distil.loss is mse; wanted kl or margin-mse"),
        ({"distil": {"weight": 0}}, r"distil\.weight is 0"),
        ({"distil": {"temperature": 0}}, r"distil\.temperature is 0"),
        (
            {"distil": {"teacher": "x"}, "negatives": {"per_query": 0}},
            r"negatives\.per_query is "
            r"0; wanted at least 1",
        ),
        ({"distil": {"loss": "margin-mse"}}, "distil.teacher is empty; wanted a teacher"),
        ({"distil": {"techer": "x"}}, "teacher"),
    ):
        with pytest.raises(RecipeError, match=message):
            Recipe.of(facts)
