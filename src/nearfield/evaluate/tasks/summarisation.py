"""Summarisation: are summaries nearer to people's the better people find them?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nearfield.data.evaluated.summaries import Summaries, open_summaries
from nearfield.errors import InputError
from nearfield.evaluate.encoded_task import EncodedTask
from nearfield.similarity.embeddings import Embeddings
from nearfield.statistics.correlation import PEARSON, SPEARMAN, Pearson, Spearman
from nearfield.statistics.statistic import Mean
from nearfield.types.arrays import Doubles

KINDS = {SPEARMAN: Spearman, PEARSON: Pearson}


class Summarisation(EncodedTask):
    """A machine's summary scores its greatest similarity to one by people; a text's value is the
    correlation of these with people's scores, 0 where a model finds all alike (MTEB's).

    Texts whose summaries people scored alike are left out.
    """

    name = "summarisation"
    takes = "summaries with scores"
    item = "text"
    measures = (SPEARMAN, PEARSON)
    roles = ("similarity",)
    read = staticmethod(open_summaries)
    made_of = Summaries
    statistic = Mean(low=-1.0)

    def __init__(self, data: Summaries) -> None:
        self.collection = data.name
        self.split = "test"
        self.where = data.source or data.name
        self.texts = [text for text in data.texts if len(set(text.scores)) > 1]
        if not self.texts:
            raise InputError(
                f"{self.where}: no text has summaries of different scores, so there is no order to "
                "compare with"
            )
        human = [summary for text in self.texts for summary in text.human]
        machine = [summary for text in self.texts for summary in text.machine]
        self.documents = len(machine)
        self.number(self.texts)
        self.queries = human
        self.parts = (human, machine)

    def score(self, parts: Sequence[Embeddings], measures: Sequence[str]) -> Mapping[str, Doubles]:
        """Each text's correlation."""
        human, machine = parts
        found: dict[str, list[float]] = {measure: [] for measure in measures}
        first = 0
        second = 0
        for text in self.texts:
            last = first + len(text.human)
            end = second + len(text.machine)
            # (human, machine) to one number for each machine's summary
            nearest = human[first:last].scores(machine[second:end]).max(0)
            for measure in measures:
                found[measure].append(KINDS[measure](text.scores).of(nearest.astype(np.float64)))
            first = last
            second = end
        return {measure: np.array(values) for measure, values in found.items()}
