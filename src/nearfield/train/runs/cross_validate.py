"""What dev would say, asked of train where dev is too small: each query is measured with weights
that never saw it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from nearfield.data.collection import Collection, Split
from nearfield.data.split import folds
from nearfield.encoders.encoder import Encoder
from nearfield.store.run import RunFolder
from nearfield.train.data.leakage import ANY_GRADE, judged_documents, relevance_by_position
from nearfield.train.data.pool import Pool
from nearfield.train.data.prepare import dev_pool
from nearfield.train.data.training_data import TrainingData
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
    relevant = relevance_by_position(collection, train)
    parts = []
    for names in folds(collection, FOLDS, seed=seed):
        part = sorted(place[query] for query in names if query in place)
        held = set(part)
        learnt = judged_documents(judged for at, judged in enumerate(relevant) if at not in held)
        # of one document there is nothing to tell a positive from
        if not part or len(learnt) < 2:
            return []
        parts.append(np.array(part, np.int64))
    return parts


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
    judged = relevance_by_position(split.collection, split, least=ANY_GRADE)
    found = []
    for queries in parts:
        named = sorted(judged_documents(judged[at] for at in queries.tolist()))
        found.append(Fold(queries, np.flatnonzero(np.isin(same, same[named]))))
    return found


def without(data: TrainingData, fold: Fold) -> TrainingData:
    """The pairs of other queries, with no document of the fold's as a negative."""
    pairs = data.pairs
    rows = np.flatnonzero(~np.isin(pairs.query, fold.queries))
    negatives = pairs.negatives[rows]
    negatives = np.where(np.isin(negatives, fold.documents), -1, negatives)
    kept = replace(
        pairs, query=pairs.query[rows], positive=pairs.positive[rows], negatives=negatives
    )
    teacher = None if data.teacher is None else data.teacher[rows]
    return replace(data, pairs=kept, teacher=teacher)


def dev_by_folds(
    run: ModelRun, encoder: Encoder[Any], parts: Sequence[Positions], progress: Progress
) -> dict[str, Any]:
    """The mean over all queries in these parts of train, at each share of tuned weights, 0 among
    them, of a run whose model `encoder` runs; the weights from before stay in the model.

    A fold that is done stays in the run folder, and one that was interrupted goes on from its
    checkpoint.
    """
    split = run.collection.split("train")
    held = folds_of(split, parts, run.corpus.same)
    # all of them before any training: the base model chooses their documents
    pools = [
        dev_pool(run.finder, run.corpus, run.recipe, split.part(fold.queries.tolist()))
        for fold in held
    ]
    shares = [0.0, *run.recipe.merge.ratios]
    by_share: list[list[float]] = [[] for _ in shares]
    for number, (fold, pool) in enumerate(zip(held, pools, strict=True)):
        folder = RunFolder(run.folder.path / PLACE / str(number))
        # the mark of a run's folder, by which a later process knows it
        folder.once("environment.json", dict)
        watched = part_of(progress, number, len(held), f"fold {number + 1} of {len(held)}  ")
        data = without(run.data, fold)
        measured = partial(_values, run, encoder, data, pool, shares, folder, watched)
        for found, values in zip(by_share, folder.once("values.json", measured), strict=True):
            found += values
    put_weights(run.trainable(), run.weights, run.weights, 0)
    return {
        "queries": [len(fold.queries) for fold in held],
        "ratios": shares,
        "dev": [float(np.mean(found)) for found in by_share],
    }


def _values(
    run: ModelRun,
    encoder: Encoder[Any],
    data: TrainingData,
    pool: Pool,
    shares: Sequence[float],
    folder: RunFolder,
    progress: Progress,
) -> list[list[float]]:
    """Train the base model on the data; at each share of what that made of it, the measure of each
    query of the pool.
    """
    # the fold before has left its weights in the model
    put_weights(run.trainable(), run.weights, run.weights, 0)
    tuned = train(
        run.trained,
        data,
        run.recipe,
        run=folder,
        measure=None,
        progress=progress,
        group=run.setting.group,
    )
    base = scaled_base(run.weights, tuned)
    values = []
    for share in shares:
        put_weights(run.trainable(), base, tuned, share)
        with few_torch_threads(run.trained):
            values.append(pool.scores(encoder).values.tolist())
    return values
