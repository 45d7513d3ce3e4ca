"""Classification: does a simple classifier on the vectors find the label?"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from nearfield.data.labelled import Labelled
from nearfield.errors import InputError
from nearfield.evaluate.labelled_task import SEED, LabelledTask, numbered
from nearfield.similarity.embeddings import Embeddings
from nearfield.statistics.labelling import MacroF1
from nearfield.statistics.statistic import Statistic
from nearfield.types.arrays import Doubles
from nearfield.types.numbers import plural

ACCURACY, F1 = "Accuracy", "F1"


class Classification(LabelledTask):
    """Logistic regression on a few vectors of each label, in several draws, as MTEB does.

    A text's value by accuracy is the share of draws that gave it its own label. F1 is the mean over
    labels, and over draws.
    """

    name = "classification"
    takes = "texts with a label"
    measures = (ACCURACY, F1)
    roles = ("classification",)

    def __init__(self, data: Labelled, *, draws: int = 10, per_label: int = 8) -> None:
        self.draws = draws
        self.per_label = per_label
        super().__init__(data)

    def prepare(self) -> None:
        """Draw the train texts, of which only those in a draw are encoded."""
        train = self.data.train
        self.names = sorted(set(train.labels) | set(self.texts.labels))
        self.gold = numbered(self.texts.labels, self.names)
        if len(set(train.labels)) < 2:
            raise InputError(
                f"{self.where}: the train texts have {len(set(train.labels))} labels; a classifier "
                "needs two at least"
            )
        unseen = sorted(set(self.texts.labels) - set(train.labels))
        if unseen:
            some = ", ".join(map(repr, unseen[:3]))
            self.notes += (
                f"{plural(len(unseen), 'test label')} without train texts, never predicted: {some}",
            )
        learned = len(set(train.texts) & set(self.texts.texts))
        if learned:
            self.notes += (
                f"{plural(learned, 'test text')} among the train texts, too: what is learned of "
                "them by heart counts as understood",
            )
        drawn = self._drawn(train.labels)
        # a draw then holds places among the texts that are used
        used = np.unique(np.concatenate(drawn))
        self.rows = [np.searchsorted(used, rows) for rows in drawn]
        chosen = used.tolist()
        self.learned = numbered([train.labels[row] for row in chosen], self.names)
        self.parts = ([train.texts[row] for row in chosen], self.texts.texts)

    def _drawn(self, labels: Sequence[str]) -> list[list[int]]:
        """The rows of each draw: the first `per_label` of each label in a shuffled order. Each
        draw shuffles the order of the one before, by the same generator's first numbers (MTEB's).
        """
        order = list(range(len(labels)))
        found = []
        for _ in range(self.draws):
            np.random.RandomState(SEED).shuffle(order)
            counts: Counter[str] = Counter()
            rows = []
            for row in order:
                counts[labels[row]] += 1
                if counts[labels[row]] <= self.per_label:
                    rows.append(row)
            found.append(rows)
        return found

    def statistic_of(self, measure: str) -> Statistic:
        """F1 is over labels, accuracy the mean over texts."""
        if measure == ACCURACY:
            return self.statistic
        # each draw's classifier labels all test texts: the values are draw after draw
        return MacroF1(self.gold, np.tile(np.arange(len(self.gold)), (self.draws, 1)))

    def score(self, parts: Sequence[Embeddings], measures: Sequence[str]) -> Mapping[str, Doubles]:
        """What each draw's classifier makes of the test vectors."""
        train, test = (np.asarray(part.as_dense("classification")) for part in parts)
        found = []
        for rows in self.rows:
            classifier = LogisticRegression(max_iter=100, random_state=SEED)
            with warnings.catch_warnings():
                # a hundred iterations are part of the definition
                warnings.simplefilter("ignore", ConvergenceWarning)
                # as many labels as texts are no regression
                warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
                classifier.fit(train[rows], self.learned[rows])
            found.append(classifier.predict(test))
        right: Doubles = np.mean([each == self.gold for each in found], axis=0, dtype=np.float64)
        values: dict[str, Doubles] = {ACCURACY: right, F1: np.concatenate(found).astype(np.float64)}
        return {measure: values[measure] for measure in measures}
