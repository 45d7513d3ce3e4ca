"""How far a whole run is, in one figure that every stage moves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from nearfield.data.collection import Collection
from nearfield.train.data.prepare import pool_size
from nearfield.train.engine.schedule import measured_steps
from nearfield.train.recipe import Recipe
from nearfield.types.progress import Progress

CHARACTERS = 4  # of a token, about
TRAINED = 3  # times the work of a text that is encoded: forward, and back by states and by weights


class Outlook:
    """Tells `watched` how much of a run's work is done: `work` holds what each stage is expected to
    take, in texts to encode.

    When a stage ends, what it did not need to do is taken off the work of the run.
    """

    def __init__(self, work: Mapping[str, float], watched: Progress) -> None:
        self._work = dict(work)
        self._watched = watched
        self._ended = 0.0

    @contextmanager
    def stage(self, title: str) -> Iterator[Progress]:
        """Progress of a stage, in its own unit, which moves that of the run. What its first call
        says was done before it.
        """
        whole = self._work.get(title, 0.0)
        first = -1
        reached = 0.0

        def show(done: int, total: int, note: str = "") -> None:
            nonlocal first, reached
            if total and first < 0:
                first = done
                self._work[title] = whole * (total - first) / total
            if total > first >= 0:
                # never backwards: a stage may count several things, one after the other
                reached = max(reached, min(1.0, (done - first) / (total - first)))
            said = title
            if total:
                said += f" {done:,}/{total:,}"
            if note:
                said += f"  {note}"
            self._tell(self._ended + self._work.get(title, 0.0) * reached, said)

        self._tell(self._ended, title)
        yield show
        self._work[title] = self._work.get(title, 0.0) * reached
        self._ended += self._work[title]
        self._tell(self._ended, title)

    def _tell(self, done: float, note: str) -> None:
        # a bar of 0 has no end, and one that is past its end looks broken
        total = max(1, round(done), round(sum(self._work.values())))
        self._watched(round(done), total, note)


def expected_work(
    recipe: Recipe,
    collection: Collection,
    *,
    max_tokens: int,
    guards: int,
    pairs: int | None = None,
    folds: int = 0,
) -> dict[str, float]:
    """About what each stage of a run takes, in documents to encode: `guards` texts of guards,
    `pairs` to learn from (train's where None), and `folds` of a cross-validation. Texts are cut to
    `max_tokens` where they are encoded.
    """
    schedule = recipe.schedule
    documents = collection.document_texts
    pool = pool_size(collection, recipe)
    count = len(documents)
    if pairs is None:
        pairs = sum(map(len, collection.split("train").relevance.values()))
    steps = max(1, round(schedule.epochs * pairs / schedule.batch))
    places = np.linspace(0, count - 1, min(count, 500)).astype(int).tolist()
    sample = [len(documents[at]) / CHARACTERS for at in places]
    usual = np.minimum(sample, max_tokens).mean()
    # texts are cut shorter in training, which is so much less work for each
    share = np.minimum(sample, schedule.max_tokens).mean() / max(usual, 1.0)
    trained = float(TRAINED * pairs * schedule.epochs * share * (1 + recipe.negatives.per_query))
    dev = 0 if folds else len(measured_steps(steps, schedule.evaluations)) * pool
    return {
        "encode documents": count,
        "baseline": guards,
        # each fold trains on all but its own part
        "cross-validate": max(0, folds - 1) * trained,
        "train": trained + dev,
        "merge": 2 * pool + guards,
        "test": count,
    }
