"""What a model's folder tells of the queries that it was trained on."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from nearfield.data.trained_on import FILE, UNKNOWN, TrainedOn, TrainingRun, keep_trained_on
from nearfield.errors import InputError

WORDS = [f"word{number}" for number in range(300)]


def queries(count: int, seed: int) -> list[str]:
    generator = random.Random(seed)
    return [" ".join(generator.sample(WORDS, generator.randint(5, 12))) for _ in range(count)]


TRAINED, OTHERS = queries(300, 0), queries(300, 1)


@pytest.fixture(scope="module")
def known() -> TrainedOn:
    return TrainedOn(
        (TrainingRun.of(TRAINED, dev=["chosen by this"], test=[f"{TRAINED[0]} please"]),)
    )


def jaccard(one: str, other: str) -> float:
    """Of words and pairs of words, by the definition."""
    sets = [
        {*text.split(), *zip(text.split(), text.split()[1:], strict=False)} for text in (one, other)
    ]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def test_the_same_words_are_known_whatever_their_case_and_punctuation(known: TrainedOn) -> None:
    assert known.seen([f"  {text.upper()}?" for text in TRAINED]).all()
    assert not known.seen(OTHERS).any()
    assert not UNKNOWN.seen(TRAINED).any()
    assert known.chosen_with(["Chosen by this!", TRAINED[0]]).tolist() == [True, False]


def test_near_copies_are_known_by_their_similarity(known: TrainedOn) -> None:
    generator = random.Random(2)
    near, far = [], []
    for text in TRAINED[1:]:
        words = text.split()
        changed = [
            " ".join(
                words[: generator.randrange(len(words))]
                + [f"new{at}" for at in range(generator.randint(0, 6))]
            ),
            f"{text} please",
        ]
        for other in changed:
            similarity = max(jaccard(other, trained) for trained in (text,))
            (near if similarity >= 0.84 else far if similarity <= 0.55 else []).append(other)
    assert len(near) > 200
    assert len(far) > 200
    assert known.seen(near).mean() > 0.98
    assert known.seen(far).mean() < 0.01


def test_what_the_run_held_out_itself_is_no_near_copy_but_a_copy_stays_one(
    known: TrainedOn,
) -> None:
    assert known.seen([f"{TRAINED[0]} please", f"{TRAINED[1]} please"]).tolist() == [False, True]
    both = known | TrainedOn((TrainingRun.of([f"{TRAINED[0]} please"]),))
    assert both.seen([f"{TRAINED[0]} please"]).all()
    assert TrainedOn((TrainingRun.of(["a b c d"], test=["a b c d"]),)).seen(["a b c d"]).all()


def test_it_survives_the_folder_and_is_joined_with_what_was_known_before(
    known: TrainedOn, tmp_path: Path
) -> None:
    for name in ("one", "two", "none"):
        (tmp_path / name).mkdir()
    known.save(tmp_path / "one")
    text = (tmp_path / "one" / FILE).read_text()
    assert not any(word in text for word in (*WORDS, "chosen", "please"))
    assert len(text) < 60 * len(TRAINED)
    keep_trained_on([tmp_path / "one", tmp_path / "none"], tmp_path / "two", TrainingRun.of(OTHERS))
    read = TrainedOn.read(tmp_path / "two")
    assert read.seen([*TRAINED, *OTHERS]).all()
    assert len((read | known).runs) == 2, "the same run counts once"
    keep_trained_on([tmp_path / "none"], tmp_path / "none")
    assert not (tmp_path / "none" / FILE).exists()


def test_texts_without_words_and_none_at_all(tmp_path: Path) -> None:
    run = TrainedOn((TrainingRun.of(["", "?!", "C++"]),))
    assert run.seen(["", "c++", "d++", "other words"]).tolist() == [True, True, False, False]
    assert run.seen([]).tolist() == []
    empty = TrainedOn((TrainingRun.of([]),))
    empty.save(tmp_path)
    assert TrainedOn.read(tmp_path).seen(["anything"]).tolist() == [False]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "format"),
        ({"runs": {}}, "runs"),
        (
            {"runs": [{"trained": "not base64!", "near": "", "dev": "", "test": ""}]},
            r"runs\[0\].trained",
        ),
        ({"runs": [{"trained": "AAAA", "near": "", "dev": "", "test": ""}]}, "numbers of 8 bytes"),
        (
            {"runs": [{"trained": "AAAAAAAAAAA=", "near": "", "dev": "", "test": ""}]},
            "4 numbers for each of the 1",
        ),
        ({"runs": [{"trained": 7, "near": "", "dev": "", "test": ""}]}, "wanted a text"),
    ],
)
def test_a_damaged_file_is_an_error_that_names_it(
    change: dict[str, object], said: str, tmp_path: Path
) -> None:
    (tmp_path / FILE).write_text(json.dumps({"format": 1, "runs": []} | change))
    with pytest.raises(InputError, match=said) as caught:
        TrainedOn.read(tmp_path)
    assert str(tmp_path / FILE) in str(caught.value)


def test_many_are_compared_in_blocks(monkeypatch: pytest.MonkeyPatch, known: TrainedOn) -> None:
    asked = [*OTHERS[:50], *(f"{text} please" for text in TRAINED[1:51])]
    whole = known.seen(asked)
    monkeypatch.setattr("nearfield.data.trained_on._BLOCK", 7)
    np.testing.assert_array_equal(known.seen(asked), whole)
