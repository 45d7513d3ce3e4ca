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


def test_labels_written_in_several_ways_and_unseen_ones_are_said() -> None:
    rows = [
        ("my card is lost", "Card", "train"),
        ("where is my card", "card ", "train"),
        ("pay my rent", "pay", "train"),
        ("pay the bill", "pay", "test"),
        ("money back", "refund", "test"),
    ]
    assert Classification(Labelled.of(rows)).notes == (
        "1 label written in several ways, such as 'Card', 'card ': each spelling counts as its own "
        "label",
        "1 test label without train texts, never predicted: 'refund'",
    )
    clean = [row for row in rows if row[1] not in {"card ", "refund"}]
    assert Classification(Labelled.of(clean)).notes == ()
