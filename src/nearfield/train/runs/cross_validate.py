"""What dev would say, asked of train where dev is too small: each query is measured with weights
that never saw it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from nearfield.data.collection import Collection, Split
from nearfield.data.split import folds
from nearfield.encoders.encoder import Encoder
from nearfield.store.run import RunFolder
from nearfield.train.data.leakage import relevance_by_position
from nearfield.train.data.pool import Pool
from nearfield.train.data.prepare import dev_pool
from nearfield.train.data.training_data import TrainingData
from nearfield.train.engine.checkpoint import Floats
from nearfield.train.engine.loop import train
from nearfield.train.engine.lora import scaled_base
from nearfield.train.engine.trainer import few_torch_threads
from nearfield.train.fits.blend import put_weights
from nearfield.train.runs.model_run import ModelRun
from nearfield.types.arrays import Positions
from nearfield.types.progress import Progress, part_of
from nearfield.types.verdict import ENOUGH

log = logging.getLogger(__name__)
FOLDS = 5
# pairs of train: four fifths of them, five times, are no more than a run of ordinary size trains on
MOST = 500
PLACE = "folds"

Learn = Callable[[TrainingData, RunFolder, Progress], dict[str, Tensor]]
"""Trains the base model on some of the pairs and gives its weights."""
Measure = Callable[[Pool, Mapping[str, Tensor], float], Floats]
"""A value for each query of the pool with this share of the tuned weights."""


@dataclass(frozen=True)
class Fold:
    """`queries`: positions, in train, of the queries that are held out. `documents`: those judged
    for them, and texts nearly equal.
    """

    queries: Positions
    documents: Positions


def cheap_to_fold(collection: Collection) -> bool:
    """Whether dev is too small to choose by, and train so small that training on most of it several
    times costs little.
    """
    pairs = sum(map(len, collection.split("train").relevance.values()))
    return len(collection.split("dev").query_ids) < ENOUGH and pairs <= MOST


def held_out(collection: Collection, *, seed: int) -> list[Positions]:
    """The positions of train's queries that each fold holds out; none where dev serves, or where
    the rest of a fold teaches nothing.
    """
    if not cheap_to_fold(collection):
        return []
    train = collection.split("train")
    place = {query: at for at, query in enumerate(train.query_ids)}
    parts = [
        sorted(place[query] for query in part if query in place)
        for part in folds(collection, FOLDS, seed=seed)
    ]
    relevant = relevance_by_position(collection, train)
    for part in parts:
        learnt = {
            document
            for at, judged in enumerate(relevant)
            if at not in set(part)
            for document in judged
        }
        if not part or len(learnt) < 2:
            return []
    return [np.array(part, np.int64) for part in parts]


def folded_note(collection: Collection, parts: Sequence[Positions]) -> str:
    """In words, that train's queries choose in dev's place; it is logged, too."""
    few = len(collection.split("dev").query_ids)
    count = sum(map(len, parts))
    note = (
        f"dev has {few} queries, too few to choose by: {len(parts)}-fold cross-validation over "
        f"train's {count} queries takes its place"
    )
    log.info(f"{collection.name}: {note}")
    return note


def folds_of(split: Split, parts: Sequence[Positions], same: Positions) -> list[Fold]:
    """Each part of train with the documents that its measurement needs to be new; `same` is as in
    `Corpus`.
    """
    judged = relevance_by_position(split.collection, split, least=np.iinfo(np.int32).min)
    found = []
    for queries in parts:
        named = sorted({document for at in queries.tolist() for document in judged[at]})
        found.append(Fold(queries, np.flatnonzero(np.isin(same, same[named]))))
    return found


def without(data: TrainingData, fold: Fold) -> TrainingData:
    """The pairs of other queries, with no document of the fold's as a negative."""
    rows = np.flatnonzero(~np.isin(data.pairs.query, fold.queries))
    pairs = data.pairs
    negatives = pairs.negatives[rows]
    negatives = np.where(np.isin(negatives, fold.documents), -1, negatives)
    kept = replace(
        pairs, query=pairs.query[rows], positive=pairs.positive[rows], negatives=negatives
    )
    return replace(data, pairs=kept, teacher=None if data.teacher is None else data.teacher[rows])


def cross_validate(
    held: Sequence[tuple[Fold, Pool]],
    data: TrainingData,
    *,
    ratios: Sequence[float],
    run: RunFolder,
    learn: Learn,
    measure: Measure,
    progress: Progress,
) -> dict[str, Any]:
    """The mean over all held-out queries at each share of tuned weights, 0 among them.

    A fold that is done stays in the run folder, and one that was interrupted goes on from its
    checkpoint.
    """
    shares = [0.0, *ratios]
    values = []
    for number, (fold, pool) in enumerate(held):
        folder = RunFolder(run.path / PLACE / str(number))
        # the mark of a run's folder, by which a later process knows it
        folder.once("environment.json", dict)
        title = f"fold {number + 1} of {len(held)}  "
        watched = part_of(progress, number, len(held), title)

        def measured(
            fold: Fold = fold,
            pool: Pool = pool,
            folder: RunFolder = folder,
            told: Progress = watched,
        ) -> list[list[float]]:
            tuned = learn(without(data, fold), folder, told)
            return [measure(pool, tuned, share).tolist() for share in shares]

        values.append(folder.once("values.json", measured))
    means = [
        float(np.mean(np.concatenate([of_fold[at] for of_fold in values])))
        for at in range(len(shares))
    ]
    return {"queries": [len(fold.queries) for fold, _ in held], "ratios": shares, "dev": means}


def dev_by_folds(
    run: ModelRun, encoder: Encoder[Any], parts: Sequence[Positions], progress: Progress
) -> dict[str, Any]:
    """As `cross_validate`, of a run on these parts of its train queries, whose model `encoder`
    runs; the weights from before stay in the model.
    """
    split = run.collection.split("train")
    pools = [
        dev_pool(run.finder, run.corpus, run.recipe, split.part(rows.tolist())) for rows in parts
    ]
    held = list(zip(folds_of(split, parts, run.corpus.same), pools, strict=True))

    def learn(part: TrainingData, folder: RunFolder, told: Progress) -> dict[str, Tensor]:
        put_weights(run.trainable(), run.weights, run.weights, 0)
        group = run.setting.group
        return train(
            run.trained, part, run.recipe, run=folder, measure=None, progress=told, group=group
        )

    def measure(pool: Pool, tuned: Mapping[str, Tensor], ratio: float) -> Floats:
        put_weights(run.trainable(), scaled_base(run.weights, tuned), tuned, ratio)
        with few_torch_threads(run.trained):
            return pool.scores(encoder).values

    found = cross_validate(
        held,
        run.data,
        ratios=run.recipe.merge.ratios,
        run=run.folder,
        learn=learn,
        measure=measure,
        progress=progress,
    )
    put_weights(run.trainable(), run.weights, run.weights, 0)
    return found
