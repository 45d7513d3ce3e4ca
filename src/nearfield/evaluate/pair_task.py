"""Tasks on pairs of texts whose two sides are encoded alike."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import numpy as np

from nearfield.data.pairs import Pairs
from nearfield.errors import InputError
from nearfield.evaluate.analysis.related import Related
from nearfield.evaluate.encoded_task import EncodedTask
from nearfield.similarity.embeddings import Embeddings
from nearfield.similarity.functions import unit
from nearfield.statistics.resampled import Resampled
from nearfield.types.arrays import Doubles, Mask


class PairTask(EncodedTask):
    """Pairs of texts; the second of each is stored."""

    item = "pair"
    made_of = Pairs

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs
        self.collection = pairs.name
        self.split = "pairs"
        self.documents = len(pairs)
        self.number(pairs)
        self.where = pairs.called
        self.queries = pairs.queries
        self.parts = (pairs.queries, pairs.positives)

    def alike(self) -> Mask:
        """(n,) which pairs belong together."""
        return np.ones(len(self.pairs), bool)

    def related(self, random: np.random.Generator) -> Related:
        """The two texts of each pair."""
        alike = np.flatnonzero(self.alike())
        return Related.drawn(
            (self.pairs.queries, self.pairs.positives),
            np.column_stack([alike, alike]),
            lambda first, second: first == second,
            roles=lambda contract: (self.role_of(0, contract), self.role_of(1, contract)),
            random=random,
        )


METRICS: dict[str, Callable[[Doubles, Doubles], Doubles]] = {
    "cosine": lambda first, second: (unit(first) * unit(second)).sum(1),
    "dot": lambda first, second: (first * second).sum(1),
    "euclidean": lambda first, second: -np.linalg.norm(first - second, axis=1),
    "manhattan": lambda first, second: -np.abs(first - second).sum(1),
}
"""How alike the two vectors of a pair are, by the name that stands before a measure."""


class GoldPairs(PairTask):
    """Pairs with a score each, which a model's similarities are held against.

    A measure such as "Spearman" is of the similarity that the contract names, and "manhattan
    Spearman" of another one.
    """

    kinds: ClassVar[Mapping[str, Callable[[Doubles], Resampled]]]

    def __init__(self, pairs: Pairs) -> None:
        super().__init__(pairs)
        if not pairs.scored:
            raise InputError(
                f"{pairs.called}: these pairs have no scores; evaluate on a collection with "
                "judgements, add a column `score`, or name the task bitext for translations"
            )
        self.gold = np.asarray(pairs.table["score"].to_numpy(), np.float64)
        if len(np.unique(self.gold)) < 2:
            raise InputError(
                f"{pairs.called}: every pair has the same score, so no order can be compared with "
                "it"
            )

    def alike(self) -> Mask:
        """Those with a score in the upper half of the range."""
        middle = (self.gold.min() + self.gold.max()) / 2
        return np.asarray(self.gold > middle)

    @abstractmethod
    def targets(self) -> Doubles:
        """What similarities are held against: (n,)."""

    @property
    def statistic(self) -> Resampled:  # type: ignore[override]
        """The main measure."""
        return self.statistic_of(self.measures[0])

    def statistic_of(self, measure: str) -> Resampled:
        """The measure of similarities against the scores."""
        # the metric before a measure changes the values, not how they are summed up
        return self.kinds[measure.split(" ")[-1]](self.targets())

    def measure_named(self, name: str) -> str:
        """A measure, or one with a metric before it."""
        metric, _, rest = name.lower().rpartition(" ")
        if metric in METRICS:
            return f"{metric} {super().measure_named(rest)}"
        return super().measure_named(name)

    def score(self, parts: Sequence[Embeddings], measures: Sequence[str]) -> Mapping[str, Doubles]:
        """The similarity of each pair, one pair at a time."""
        first, second = parts
        by_metric: dict[str, Doubles] = {}
        found = {}
        for measure in measures:
            metric = measure.rpartition(" ")[0]
            if metric not in by_metric:
                by_metric[metric] = _similarities(first, second, metric)
            found[measure] = by_metric[metric]
        return found


def _similarities(first: Embeddings, second: Embeddings, metric: str) -> Doubles:
    if metric:
        vectors = (
            np.asarray(side.as_dense(f"the measure by {metric}"), np.float64)
            for side in (first, second)
        )
        return METRICS[metric](*vectors)
    # of any kind of embeddings; all with all would be n x n scores for the n that count
    values = [first[row : row + 1].scores(second[row : row + 1])[0, 0] for row in range(len(first))]
    return np.array(values, np.float64)
