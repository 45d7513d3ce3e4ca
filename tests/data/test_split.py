from __future__ import annotations

import json
import random
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from nearfield.data.collection import Collection
from nearfield.data.open import open_collection
from nearfield.data.split import split_by_group, with_dev
from nearfield.errors import CollectionError, InputError

Judgement = tuple[int, int, int]  # query, document, relevance
FRACTIONS = {"train": 0.6, "dev": 0.2, "test": 0.2}


def collection(
    judgements: list[Judgement], *, groups: dict[int, str] | None = None, split: str = "all", shuffle: int | None = None
) -> Collection:
    """Queries and documents by number; `groups` are those of documents."""
    order = random.Random(shuffle)
    rows = [(f"q{query}", f"d{document}", relevance) for query, document, relevance in judgements]
    queries = sorted({query for query, _, _ in rows})
    documents = sorted({document for _, document, _ in rows})
    if shuffle is not None:
        for values in (rows, queries, documents):
            order.shuffle(values)
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    named = [(groups or {}).get(int(document[1:]), "") for document in documents]
    return Collection(
        "made",
        pa.table({"id": documents, "title": documents, "text": documents, "group": pa.array(named, pa.string())}),
        pa.table({"id": queries, "text": queries, "group": [""] * len(queries)}),
        pa.table({"query": columns[0], "document": columns[1], "relevance": columns[2], "split": [split] * len(rows)}),
    )


def places(made: Collection) -> dict[str, set[str]]:
    """The splits of each query, document and group."""
    found: dict[str, set[str]] = {}
    groups = dict(zip(made.documents["id"].to_pylist(), made.documents["group"].to_pylist(), strict=True))
    for row in made.judgements.to_pylist():
        for key in (row["query"], row["document"], f"group {groups[row['document']]}" if groups[row["document"]] else row["query"]):
            found.setdefault(key, set()).add(row["split"])
    return found


JUDGEMENTS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 40), st.integers(0, 2)), min_size=3, max_size=40)
GROUPS = st.dictionaries(st.integers(0, 40), st.sampled_from(["a", "b", "c", "d"]), max_size=12)


@settings(max_examples=150)
@given(JUDGEMENTS, GROUPS, st.integers(0, 9))
def test_nothing_leaks_and_the_order_of_rows_does_not_matter(judgements: list[Judgement], groups: dict[int, str], seed: int) -> None:
    try:
        made = split_by_group(collection(judgements, groups=groups), FRACTIONS, seed=seed)
    except CollectionError:
        reject()  # too much hangs together: tested below
    assert all(len(splits) == 1 for splits in places(made).values())
    assert set(made.splits) == set(FRACTIONS)
    again = split_by_group(collection(judgements, groups=groups, split="other", shuffle=seed), FRACTIONS, seed=seed)
    assert places(again) == places(made)


def test_fractions_are_honoured() -> None:
    made = split_by_group(collection([(number, number, 1) for number in range(1000)]), FRACTIONS)
    assert {name: len(made.split(name).query_ids) for name in made.splits} == {"train": 600, "dev": 200, "test": 200}
    other = split_by_group(made, FRACTIONS, seed=1)
    assert places(other) != places(made)


def test_what_hangs_together_goes_where_there_is_room() -> None:
    chained = [(number, document, 1) for number in range(60) for document in (number, number + 1)]
    single = [(number, number, 1) for number in range(100, 140)]
    made = split_by_group(collection(chained + single), FRACTIONS)
    assert {name: len(made.split(name).query_ids) for name in made.splits} == {"train": 60, "dev": 20, "test": 20}
    assert places(made)["q0"] == {"train"}


def test_as_many_sets_as_splits_fill_each() -> None:
    made = split_by_group(collection([(number, number, 1) for number in range(3)]), FRACTIONS)
    assert [len(made.split(name).query_ids) for name in made.splits] == [1, 1, 1]


def test_too_much_hanging_together_raises() -> None:
    with pytest.raises(CollectionError, match=r"make 1 sets .* has 9 queries"):
        split_by_group(collection([(number, 0, 1) for number in range(9)]), FRACTIONS)
    grouped = collection([(number, number, 1) for number in range(9)], groups=dict.fromkeys(range(9), "same"))
    with pytest.raises(CollectionError, match="make 1 sets"):
        split_by_group(grouped, FRACTIONS)


@pytest.mark.parametrize("fractions", [{}, {"a": 0.5}, {"a": 1.5, "b": -0.5}, {"a": float("nan"), "b": 1.0}, {"a": 0.0, "b": 1.0}])
def test_impossible_fractions_raise(fractions: dict[str, float]) -> None:
    with pytest.raises(InputError, match="wanted positive ones that sum to 1"):
        split_by_group(collection([(1, 1, 1)]), fractions)


def test_nothing_judged_raises() -> None:
    with pytest.raises(CollectionError, match="no judgements"):
        made = collection([(1, 1, 1)])
        split_by_group(Collection("none", made.documents, made.queries, made.judgements.slice(0, 0)), FRACTIONS)


def test_dev_is_carved_out_of_train_only() -> None:
    train = collection([(number, number // 2, 1) for number in range(100)], split="train")
    test = collection([(number, number, 1) for number in range(200, 220)], split="test")
    whole = Collection(
        "both", *(pa.concat_tables([getattr(train, what), getattr(test, what)]) for what in ("documents", "queries", "judgements"))
    )
    made = with_dev(whole, fraction=0.2)
    assert {name: len(made.split(name).query_ids) for name in made.splits} == {"train": 80, "dev": 20, "test": 20}
    assert made.split("test").query_ids == whole.split("test").query_ids
    assert all(len(splits) == 1 for splits in places(made).values())
    with pytest.raises(CollectionError, match="only where there is no dev yet"):
        with_dev(made, fraction=0.2)
    with pytest.raises(CollectionError, match="made has test"):
        with_dev(test, fraction=0.2)
    with pytest.raises(InputError, match="between 0 and 1"):
        with_dev(whole, fraction=1.0)


def test_what_was_not_used_of_a_file_is_known_of_its_splits(tmp_path: Path) -> None:
    rows = [{"query": f"q{at}", "positive": f"p{at}", "answer": f"a{at}"} for at in range(20)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    whole = open_collection(tmp_path / "rows.jsonl")
    assert [each.names for each in whole.unused] == [("answer",)]
    assert with_dev(split_by_group(whole, {"train": 0.8, "test": 0.2}), fraction=0.2).unused == whole.unused
