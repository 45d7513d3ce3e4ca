"""Clustering: do the clusters of the vectors agree with the labels?"""

from __future__ import annotations

import random
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.cluster import MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning

from nearfield.data.labelled import Labelled, LabelledTexts
from nearfield.evaluate.labelled_task import SEED, LabelledTask, numbered
from nearfield.similarity.embeddings import Embeddings
from nearfield.statistics.labelling import VMeasure
from nearfield.types.arrays import Doubles

LARGEST, BATCH = 16_384, 512  # MTEB's


class Clustering(LabelledTask):
    """Mini-batch k-means on `draws` samples of the texts, with as many clusters as labels, as MTEB
    does. A sample holds `size` texts, with replacement; it is as large as the set by default.
    `sampled` texts are encoded, all where that is None and there are not too many.

    A row is the mean V-measure over the samples. Its interval is over texts, with the clusters as
    they were found. Without a test split of their own, all texts are clustered.
    """

    name = "clustering"
    takes = "texts with a label"
    measures = ("V-measure",)
    roles = ("clustering",)

    def __init__(
        self,
        data: Labelled,
        *,
        draws: int = 10,
        sampled: int | None = None,
        size: int | None = None,
    ) -> None:
        self.draws = draws
        self.sampled = sampled
        self.size = size
        super().__init__(data)

    def prepare(self) -> None:
        """Draw the samples, by MTEB's generator."""
        texts = self.texts
        # the test part is no split of the makers', and clustering learns nothing from train
        if self.data.cut:
            train = self.data.train
            texts = LabelledTexts((*train.texts, *texts.texts), (*train.labels, *texts.labels))
        generator = random.Random(SEED)
        sampled = self.sampled
        if sampled is None and len(texts) > LARGEST:
            sampled = LARGEST
        if sampled is not None:
            rows = generator.sample(range(len(texts)), min(sampled, len(texts)))
            labels = [texts.labels[row] for row in rows]
            texts = LabelledTexts([texts.texts[row] for row in rows], labels)
        self.texts = texts
        self.parts = (texts.texts,)
        names = sorted(set(texts.labels))
        self.clusters = len(names)
        every = range(len(texts))
        size = self.size or len(texts)
        # by the generator that chose the texts, as in MTEB, whose docstring says "without
        # replacement" and whose code draws with it (2.26)
        drawn = [generator.choices(every, k=size) for _ in range(self.draws)]
        self.drawn = np.array(drawn, np.int64)
        self.statistic = VMeasure(numbered(texts.labels, names), self.drawn)

    def score(self, parts: Sequence[Embeddings], measures: Sequence[str]) -> Mapping[str, Doubles]:
        """The cluster of each text in each draw, draw after draw."""
        vectors = np.asarray(parts[0].as_dense("clustering"))
        found = []
        for rows in self.drawn:
            model = MiniBatchKMeans(self.clusters, batch_size=BATCH, n_init=1, random_state=SEED)
            with warnings.catch_warnings():
                # a sample may hold fewer different texts than there are clusters
                warnings.simplefilter("ignore", ConvergenceWarning)
                found.append(model.fit_predict(vectors[rows]))
        return dict.fromkeys(measures, np.concatenate(found).astype(np.float64))
