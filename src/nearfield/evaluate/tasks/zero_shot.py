"""Zero-shot classification: is a text's label the nearest of all labels' names?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nearfield.evaluate.labelled_task import LabelledTask, numbered
from nearfield.evaluate.task import Floats
from nearfield.similarity.embeddings import Embeddings


class ZeroShot(LabelledTask):
    """Labels are encoded by their names, with blanks for underscores; nothing is learned.

    A text's value is 1 where its label's vector is the nearest.
    """

    name = "zero-shot"
    measures = ("Accuracy",)
    roles = ("classification",)

    def prepare(self) -> None:
        """Write out the labels."""
        names = sorted(set(self.data.train.labels) | set(self.data.test.labels))
        self.gold = numbered(self.texts.labels, names)
        self.parts = (self.texts.texts, [name.replace("_", " ") for name in names])

    def score(self, parts: Sequence[Embeddings], measures: Sequence[str]) -> Mapping[str, Floats]:
        """Which texts are nearest to their own label."""
        texts, labels = parts
        right = (texts.scores(labels).argmax(1) == self.gold).astype(np.float64)
        return dict.fromkeys(measures, right)
