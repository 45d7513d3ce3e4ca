"""Tasks on texts with a label each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield.data.labelled import Labelled
from nearfield.data.open import open_labelled
from nearfield.evaluate.encoded_task import EncodedTask
from nearfield.evaluate.task import Options

SEED = 42  # MTEB's


class LabelledTask(EncodedTask):
    """Texts whose labels a model's vectors should tell apart."""

    item = "text"
    read = staticmethod(open_labelled)

    def __init__(self, data: Labelled) -> None:
        self.data = data
        self.collection = data.name
        self.split = "test"
        self.where = data.called
        self.texts = data.test
        self.prepare()
        self.documents = len(self.texts)
        self.item_ids = tuple(map(str, range(len(self.texts))))
        self.queries = self.texts.texts

    def prepare(self) -> None:
        """Choose the texts that are encoded, and those that are items (the test part)."""

    @classmethod
    def of(
        cls, data: object, options: Options, *, models: Sequence[Any] = (), source: str = ""
    ) -> LabelledTask | None:
        """On opened texts with labels."""
        return cls(data) if isinstance(data, Labelled) else None


def numbered(labels: Sequence[str], names: Sequence[str]) -> npt.NDArray[np.int64]:
    """The place of each label in `names`, which are sorted."""
    return np.searchsorted(np.asarray(names), np.asarray(labels)).astype(np.int64)
