"""Zero-shot classification: is a text's label the nearest of all labels' names?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from nearfield.errors import InputError
from nearfield.evaluate.labelled_task import LabelledTask, numbered
from nearfield.similarity.embeddings import Embeddings
from nearfield.similarity.functions import unit
from nearfield.types.arrays import Doubles


class ZeroShot(LabelledTask):
    """Labels are encoded by their names, with blanks for underscores; nothing is learned.

    A text's Accuracy is 1 where its label's vector is the nearest, its Accuracy@5 where it is among
    the nearest five. Where the data has templates, a label's vector is the mean of the unit vectors
    of all templates with its name (Radford et al. 2021, arXiv 2103.00020, section 3.1.4).
    """

    name = "zero-shot"
    takes = "texts with a label"
    measures = ("Accuracy", "Accuracy@5")
    roles = ("classification",)

    def prepare(self) -> None:
        """Write out the labels."""
        names = sorted(set(self.data.train.labels) | set(self.data.test.labels))
        if all(name.lstrip("-").isdecimal() for name in names):
            raise InputError(
                f"{self.where}: the labels are numbers, as {names[0]!r}; zero-shot compares texts "
                "with the names of labels, which a column label_text may hold"
            )
        self.gold = numbered(self.texts.labels, names)
        self.templates = self.data.templates or ("{}",)
        written = [name.replace("_", " ") for name in names]
        labels = [each.replace("{}", name) for name in written for each in self.templates]
        self.parts = (self.texts.texts, labels)

    def score(self, parts: Sequence[Embeddings], measures: Sequence[str]) -> Mapping[str, Doubles]:
        """Which texts are near to their own label."""
        texts, labels = parts
        if len(self.templates) > 1:
            dense = labels.as_dense("a mean over templates")
            each = unit(dense.floats()).reshape(-1, len(self.templates), dense.dim)
            # stored codes cannot be averaged: the mean is of the floats that they stand for
            labels = replace(dense, vectors=each.mean(1), storage="float32", ranges=None)
        scores = texts.scores(labels)
        # (n, labels) against each text's own label, ties in favour of it
        own = scores[np.arange(len(texts)), self.gold]
        found = {
            "Accuracy": scores.argmax(1) == self.gold,
            "Accuracy@5": (scores > own[:, None]).sum(1) < 5,
        }
        return {name: found[name].astype(np.float64) for name in measures}
