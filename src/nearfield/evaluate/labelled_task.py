"""Tasks on texts with a label each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from nearfield.data.labelled import Labelled
from nearfield.data.open import open_labelled
from nearfield.evaluate.analysis.related import Related
from nearfield.evaluate.encoded_task import EncodedTask
from nearfield.types.arrays import Integers
from nearfield.types.numbers import plural

SEED = 42  # MTEB's


class LabelledTask(EncodedTask):
    """Texts whose labels a model's vectors should tell apart."""

    item = "text"
    made_of = Labelled
    read = staticmethod(open_labelled)

    def __init__(self, data: Labelled) -> None:
        self.data = data
        self.collection = data.name
        self.split = "test"
        self.where = data.called
        self.texts = data.test
        self.notes = tuple(_doubts(data))
        self.prepare()
        self.documents = len(self.texts)
        self.number(self.texts)
        self.queries = self.texts.texts

    def prepare(self) -> None:
        """Choose the texts that are encoded, and those that are items (the test part)."""

    def related(self, random: np.random.Generator) -> Related:
        """Texts, each with another one of its label; their groups are the labels."""
        # in the order of their labels, shuffled within each: neighbours mostly share theirs
        labels = np.asarray(self.texts.labels, object)
        order = random.permutation(len(labels))
        by_label = order[np.argsort(labels[order], kind="stable")]
        pairs = np.column_stack([by_label[:-1], by_label[1:]])
        return Related.drawn(
            (self.texts.texts, self.texts.texts),
            pairs[labels[pairs[:, 0]] == labels[pairs[:, 1]]],
            lambda first, second: bool(labels[first] == labels[second]),
            groups=lambda rows: labels[rows].tolist(),
            roles=lambda contract: (self.role_of(len(self.parts) - 1, contract),) * 2,
            random=random,
        )


def _doubts(data: Labelled) -> Iterator[str]:
    """What of the labels may be a mistake that lowers every system's figures."""
    labels = (*data.train.labels, *data.test.labels)
    several = _several((*data.train.texts, *data.test.texts), labels)
    if several:
        yield (
            f"{plural(len(several), 'text')} with several labels, such as {several[0]}: no system "
            "can get all of them right"
        )
    alike = _several([" ".join(label.casefold().split()) for label in labels], labels)
    if alike:
        yield (
            f"{plural(len(alike), 'label')} written in several ways, such as {alike[0]}: each "
            "spelling counts as its own label"
        )


def _several(keys: Sequence[str], labels: Sequence[str]) -> list[str]:
    """The labels, in words, of each key that has several."""
    found: dict[str, set[str]] = {}
    for key, label in zip(keys, labels, strict=True):
        found.setdefault(key, set()).add(label)
    return [", ".join(map(repr, sorted(own))) for own in found.values() if len(own) > 1]


def numbered(labels: Sequence[str], names: Sequence[str]) -> Integers:
    """The place of each label in `names`, which are sorted."""
    return np.searchsorted(np.asarray(names), np.asarray(labels)).astype(np.int64)
