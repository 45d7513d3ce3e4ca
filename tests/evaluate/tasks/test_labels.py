"""Labels that are not as they should be."""

from __future__ import annotations

import numpy as np

from nearfield.data.labelled import Labelled
from nearfield.evaluate.tasks.classification import Classification
from nearfield.similarity.dense import Dense


def test_many_labels_of_few_texts_raise_no_warning_of_another_package() -> None:
    rows = [(f"text {at}", f"label {at}", "test" if at < 3 else "train") for at in range(9)]
    task = Classification(Labelled.of(rows))
    random = np.random.default_rng(0)
    parts = [
        Dense(random.normal(size=(len(texts), 4)).astype(np.float32), dim=4) for texts in task.parts
    ]
    assert task.score(parts, ["Accuracy"])["Accuracy"].tolist() == [0.0, 0.0, 0.0]
