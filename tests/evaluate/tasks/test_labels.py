"""Labels that are not as they should be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nearfield.data.labelled import Labelled
from nearfield.data.open import open_labelled
from nearfield.errors import CollectionError, InputError
from nearfield.evaluate.tasks.classification import Classification
from nearfield.evaluate.tasks.clustering import Clustering
from nearfield.evaluate.tasks.zero_shot import ZeroShot
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


def test_texts_with_several_labels_and_test_texts_that_are_learned_are_said() -> None:
    rows = [
        ("my card is lost", "card", "train"),
        ("pay my rent", "pay", "train"),
        ("pay my rent", "card", "test"),
        ("my card is lost", "card", "test"),
    ]
    assert Classification(Labelled.of(rows)).notes == (
        "1 text with several labels, such as 'card', 'pay': no system can get all of them right",
        "2 test texts among the train texts, too: what is learned of them by heart counts as "
        "understood",
    )


def rows_in(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_flags_are_labels(tmp_path: Path) -> None:
    rows = [{"text": f"text {at}", "label": at % 2 == 0} for at in range(9)]
    found = open_labelled(rows_in(tmp_path / "spam.jsonl", rows))
    assert {*found.train.labels, *found.test.labels} == {"true", "false"}


@pytest.mark.parametrize("label", ["", "  "])
def test_an_empty_label_is_no_class(label: str, tmp_path: Path) -> None:
    rows = [{"text": f"text {at}", "label": f"l{at % 2}"} for at in range(9)]
    file = rows_in(tmp_path / "rows.jsonl", [*rows, {"text": "another", "label": label}])
    with pytest.raises(InputError, match=r"rows\.jsonl:10: 'label' is empty; wanted the label"):
        open_labelled(file)


def test_rows_of_other_splits_are_not_lost_in_silence() -> None:
    rows = [(f"text {at}", f"l{at % 2}", "train" if at % 3 else "holdout") for at in range(30)]
    with pytest.raises(CollectionError, match="the splits are holdout, train; wanted one called"):
        Labelled.of(rows)
    # beside a test split, others have no part in the measurement
    found = Labelled.of([*rows, ("a text", "l0", "test")])
    assert (len(found.train), len(found.test)) == (20, 1)
    with pytest.raises(CollectionError, match="no text is in train or test"):
        Labelled.of([(text, label, "dev") for text, label, _ in rows])


def test_of_a_few_texts_one_is_the_test_part_and_all_are_clustered() -> None:
    for start in range(40):
        rows = [(f"text {start + at}", f"l{at % 2}", "") for at in range(3)]
        found = Labelled.of(rows)
        assert len(found.test) >= 1
        assert len(Clustering(found).parts[0]) == 3
    same = Labelled.of([("a text", "l0", ""), ("a text", "l1", "")])
    assert len(Clustering(same).parts[0]) == 2


def test_numbers_are_no_names_of_labels() -> None:
    rows = [(f"text {at}", str(at % 3 - 1), "") for at in range(30)]
    with pytest.raises(InputError, match="the labels are numbers, as '-1'"):
        ZeroShot(Labelled.of(rows))
