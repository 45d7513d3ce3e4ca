"""A prepared step: each text once, mini-batches, and what is no negative."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from nearfield.models.model import TextModel
from nearfield.train.data.batch import Asked
from nearfield.train.data.mini_batches import mini_batches
from nearfield.train.data.sampling import TrainingPairs
from nearfield.train.data.training_data import possibly_relevant
from nearfield.train.engine.schedule import batches_from, total_steps
from nearfield.train.engine.trainer import trainable
from nearfield.train.objectives.infonce import infonce
from nearfield.train.recipe import Recipe
from tiny import tiny_model
from training import data_of, training_step


@pytest.fixture(scope="module")
def model(tiny: Path) -> TextModel:
    return TextModel.open(tiny)


@pytest.mark.parametrize("processes", [1, 2, 5])
def test_every_text_is_in_one_mini_batch_once_and_is_found_again(
    model: TextModel, processes: int
) -> None:
    data = data_of(model, 90, negatives=2)
    chosen = np.random.default_rng(0).permutation(90)[:64]
    step = data.prepare(chosen, model, Asked(processes=processes))
    assert len(step.parts) >= processes
    rows = [
        part.ids[part.offsets[at] : part.offsets[at + 1]].tolist()
        for part in step.parts
        for at in range(len(part))
    ]
    queries, documents = (
        np.unique(data.pairs.query[chosen]),
        np.unique([data.pairs.positive[chosen], *data.pairs.negatives[chosen].T]),
    )
    assert len(rows) == len(step.place) == len(queries) + len(documents)
    texts = [data.queries.tokens(queries), data.documents.tokens(documents)]
    expected = [tokens.of(at).tolist() for tokens in texts for at in range(len(tokens.lengths))]
    assert [rows[int(at)] for at in step.place] == expected
    assert queries[step.query].tolist() == data.pairs.query[chosen].tolist()
    assert documents[step.columns["positive"]].tolist() == data.pairs.positive[chosen].tolist()
    whole = possibly_relevant(
        data, data.pairs.query[chosen], data.pairs.positive[chosen], documents
    )
    assert torch.equal(step.columns["ignore"][10:33].dense(), torch.from_numpy(whole[10:33]))


def test_the_loss_is_that_of_the_texts_embedded_one_by_one(model: TextModel) -> None:
    """Whatever mini-batches and duplicates there are."""
    data = data_of(model, 40, negatives=1)
    batch = np.arange(40)
    step = data.prepare(batch, model)
    weights = list(trainable(model, Recipe()).values())
    value = training_step(model, step, Recipe(), weights)
    for weight in weights:
        weight.grad = None
    documents = np.unique(np.concatenate([data.pairs.positive, data.pairs.negatives.ravel()]))

    def alone(source: object, items: np.ndarray) -> torch.Tensor:
        parts = [
            mini_batches(tokens, tokens, model.contract)[0]
            for tokens in (source.tokens(items[at : at + 1]) for at in range(len(items)))
        ]
        return torch.cat([model.embed(part)[:1] for part in parts])

    with torch.no_grad():
        query, document = alone(data.queries, data.pairs.query), alone(data.documents, documents)
    ignore = torch.from_numpy(
        possibly_relevant(data, data.pairs.query, data.pairs.positive, documents)
    )
    positive = torch.from_numpy(np.searchsorted(documents, data.pairs.positive))
    assert value == pytest.approx(
        float(infonce(query, document, positive, temperature=0.05, ignore=ignore)), rel=1e-5
    )


def test_prompts_that_are_not_pooled_part_queries_from_documents(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "model")
    model = TextModel.open(folder)
    data = data_of(model, 6)
    queries, documents = data.queries.tokens(np.arange(4)), data.documents.tokens(np.arange(4))
    prompted = type(queries)(queries.ids, queries.offsets, queries.lost, 2)
    together = mini_batches(prompted, documents, model.contract)
    assert [len(part) for part in together] == [8], "this contract pools its prompts"
    apart = mini_batches(
        prompted,
        documents,
        type(model.contract)(**{**vars(model.contract), "include_prompt": False}),
    )
    assert [(len(part), part.prompt_tokens) for part in apart] == [(4, 2), (4, 0)]
    assert sorted(apart[1].items.tolist()) == [4, 5, 6, 7]


def test_batches_after_a_step_are_those_of_the_whole_run() -> None:
    recipe = Recipe.of({"schedule": {"batch": 8, "epochs": 2.5}})
    pairs = TrainingPairs(np.arange(30), np.arange(30), np.empty((30, 0), np.int64))
    steps = total_steps(pairs, recipe)
    whole = [batch.tolist() for batch in batches_from(0, steps, pairs, recipe)]
    assert len(whole) == steps == 10
    assert whole[:4] == [batch.tolist() for batch in pairs.epoch(8, seed=0, epoch=0)]
    for after in range(steps + 1):
        assert [batch.tolist() for batch in batches_from(after, steps, pairs, recipe)] == whole[
            after:
        ]
