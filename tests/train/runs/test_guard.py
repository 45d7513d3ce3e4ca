"""Guards: how they are opened, that they hold, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scipy.stats import spearmanr

from nearfield.data.collection import Collection
from nearfield.encoders.text import TextEncoder
from nearfield.errors import InputError
from nearfield.report.facts import read_run
from nearfield.train.recipe import Recipe
from nearfield.train.runs.candidate import ByVectors
from nearfield.train.runs.guard import GuardRule, guard_values, open_guard, open_guards
from nearfield.train.runs.tune import tune
from nearfield.types.verdict import NO_DIFFERENCE
from tiny_data import tiny_collection

PAIRS = [(f"cat dog {at} the", f"cat {'law' * (at % 3)} {at * 7} song") for at in range(60)]


def scored(path: Path, scores: list[float]) -> str:
    rows = [
        {"sentence1": a, "sentence2": b, "score": score}
        for (a, b), score in zip(PAIRS, scores, strict=False)
    ]
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def similarities(model: Path) -> list[float]:
    encoder = TextEncoder.open(model)
    first, second = (
        encoder.encode(list(side), "query").vectors for side in zip(*PAIRS, strict=True)
    )
    near: list[float] = (first * second).sum(1).tolist()
    return near


def quick(margin: float) -> Recipe:
    schedule = {
        "epochs": 1,
        "batch": 8,
        "rate": 3e-4,
        "evaluations": 1,
        "freeze_embeddings": False,
        "precision": "float32",
    }
    return Recipe.of(
        {
            "pool": 60,
            "schedule": schedule,
            "merge": {"ratios": [1.0], "margin": margin},
            "objective": {"dims": [32, 16]},
        }
    )


def test_the_measure_is_spearmans(tmp_path: Path, tiny: Path) -> None:
    scores = [float((at * 37) % 11) for at in range(60)]
    guard = open_guard(scored(tmp_path / "a.jsonl", scores), GuardRule(limit=10))
    near = dict(
        zip([a for a, _ in PAIRS], zip(similarities(tiny), scores, strict=True), strict=True)
    )
    for part in (guard.choosing, guard.reporting):
        columns = list(zip(*(near[query] for query in part.queries), strict=True))
        assert part.mean(ByVectors(TextEncoder.open(tiny))) == pytest.approx(
            spearmanr(*columns).statistic, abs=1e-6
        )
    assert not set(guard.choosing.queries) & set(guard.reporting.queries)
    assert len(guard.choosing.queries) + len(guard.reporting.queries) == 60


def test_what_a_guard_would_lose_is_not_lost(tmp_path: Path, tiny: Path) -> None:
    """The base model's own similarities are the guard's scores where the merge is chosen, so that
    any change loses; where it is reported they are turned round, so that a choice by the wrong half
    would let the change through.
    """
    near = similarities(tiny)
    halves = open_guard(scored(tmp_path / "first.jsonl", near), GuardRule(limit=10))
    reported = set(halves.reporting.queries)
    source = scored(
        tmp_path / "guard.jsonl",
        [
            -value if query in reported else value
            for (query, _), value in zip(PAIRS, near, strict=True)
        ],
    )
    verdict = tune(
        str(tiny), tiny_collection(), to=tmp_path / "run", recipe=quick(0.0), guards=[source]
    )
    merge = read_run(tmp_path / "run").merge
    assert [(choice.ratio, choice.allowed, choice.chosen) for choice in merge] == [
        (0.0, True, True),
        (1.0, False, False),
    ]
    assert merge[0].guards["guard"] == pytest.approx(1.0)
    assert (verdict.outcome, verdict.difference.mean, verdict.p) == (NO_DIFFERENCE, 0.0, 1.0)
    tuned = TextEncoder.open(tmp_path / "run" / "model")
    assert tuned.contract.matryoshka_dims == (), "the base was trained for no dims"
    texts = ["cat", "tax law"]
    assert (
        tuned.encode(texts, "query").vectors
        == TextEncoder.open(tiny).encode(texts, "query").vectors
    ).all()


def test_two_guards_of_one_name_are_two_guards(tmp_path: Path, tiny: Path) -> None:
    near = similarities(tiny)
    sources = [
        scored(tmp_path / "a" / "sts.jsonl", near),
        scored(tmp_path / "b" / "sts.jsonl", [-value for value in near]),
    ]
    guards = open_guards(sources, GuardRule(limit=10))
    values = guard_values(guards, ByVectors(TextEncoder.open(tiny)))
    assert values == pytest.approx({sources[0]: 1.0, sources[1]: -1.0})
    with pytest.raises(InputError, match="a guard is given twice"):
        open_guards([sources[0], sources[0]], GuardRule(limit=10))


def test_the_test_split_may_not_choose(tmp_path: Path, tiny: Path, collection: Collection) -> None:
    whole = tiny_collection(dev=False)
    whole.save(tmp_path / "same")
    with pytest.raises(InputError, match=r"has \d queries or pairs that are not in the test split"):
        tune(str(tiny), whole, to=tmp_path / "run", guards=[str(tmp_path / "same")])


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([1.0] * 60, "the scores are all the same"),
        (
            [1.0, 2.0, 3.0],
            r"has \d queries or pairs .*; "
            r"wanted at least 10",
        ),
    ],
)
def test_a_guard_that_can_tell_nothing(tmp_path: Path, scores: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_guard(scored(tmp_path / "guard.jsonl", scores), GuardRule(limit=10))


def test_a_collection_guards_with_dev_and_reports_on_test(tmp_path: Path) -> None:
    whole = tiny_collection()
    whole.save(tmp_path / "guard")
    guard = open_guard(str(tmp_path / "guard"), GuardRule(limit=50))
    assert tuple(guard.choosing.queries) == whole.split("dev").query_texts
    assert tuple(guard.reporting.queries) == whole.split("test").query_texts


def test_a_guard_holds_no_text_that_is_learned_from(tmp_path: Path) -> None:
    """Nor a near-copy of one, in scored pairs and in a collection."""
    long = "the cat and the dog sit in the sun and look at the rain on the tree"
    rows = [
        {"sentence1": f"what of {at}", "sentence2": f"{long} of number {at}", "score": at % 5}
        for at in range(60)
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    learned = [f"{long.upper()} of number 7!"]
    with pytest.raises(InputError, match="wanted at least 10"):
        open_guard(str(tmp_path / "pairs.jsonl"), GuardRule(learned=learned))
    whole = tiny_collection()
    whole.save(tmp_path / "guard")
    test = whole.split("test")
    (relevant,) = test.relevance[test.query_ids[0]]
    (at,) = whole.document_positions([relevant]).tolist()
    rule = GuardRule(learned=["other words", whole.document_texts[at]])
    kept = open_guard(str(tmp_path / "guard"), rule).reporting.queries
    assert test.query_texts[0] not in kept
    assert len(kept) >= 10
