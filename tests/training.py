"""Training data for a model, of texts made up of a few words."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from nearfield.batch.tokens import Tokeniser
from nearfield.models.model import TextModel
from nearfield.models.trainable import Trainable
from nearfield.train.data.batch import Batch
from nearfield.train.data.sampling import TrainingPairs
from nearfield.train.data.training_data import TokenSource, TrainingData
from nearfield.train.engine import step
from nearfield.train.engine.group import ALONE, Group
from nearfield.train.objectives.compose import objective_of
from nearfield.train.objectives.examples import Marked
from nearfield.train.recipe import Recipe
from tiny import WORDS


def data_of(model: TextModel, pairs: int, *, negatives: int = 0, seed: int = 0) -> TrainingData:
    """`pairs` pairs over two thirds as many documents, so that some share one; texts of 3 to 40
    words.
    """
    generator = random.Random(seed)
    count = max(2, 2 * pairs // 3)
    texts = [
        [" ".join(generator.choices(WORDS, k=generator.randint(3, most))) for _ in range(count)]
        for most in (12, 40)
    ]
    tokeniser = Tokeniser.open(model.folder.transformer, max_tokens=model.contract.max_tokens)
    sources = [
        TokenSource(part, lambda chosen: tokeniser.tokenise(chosen, max_tokens=48))
        for part in texts
    ]
    places = np.random.default_rng(seed)
    rows = TrainingPairs(
        np.arange(pairs) % count,
        (np.arange(pairs) * 7) % count,
        places.integers(0, count, (pairs, negatives)).astype(np.int64),
    )
    relevant = [{int(at) for at in rows.positive[rows.query == query]} for query in range(count)]
    return TrainingData(*sources, rows, np.arange(count), relevant)


def training_step(
    model: Trainable,
    batch: Batch,
    recipe: Recipe,
    weights: Sequence[Tensor],
    *,
    sparsity: float = 1.0,
    group: Group = ALONE,
) -> float:
    """The step of the package, with the recipe's objective."""
    objective = objective_of(recipe, model.objective, model.contract, share=sparsity)
    return step.training_step(
        model, batch, objective, weights, schedule=recipe.schedule, group=group
    )


def marked(mask: Tensor) -> Marked:
    """The column of a whole mask (rows, width)."""
    return Marked(np.stack(np.nonzero(mask.numpy())), *mask.shape)
