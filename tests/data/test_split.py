from __future__ import annotations

import json
import random
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from nearfield.data.collection import Collection
from nearfield.data.doctor import CHECKS
from nearfield.data.doctor.subject import Subject
from nearfield.data.open import open_collection
from nearfield.data.split import split_by_group, with_dev, with_larger_dev
from nearfield.errors import CollectionError, InputError

Judgement = tuple[int, int, int]  # query, document, relevance
FRACTIONS = {"train": 0.6, "dev": 0.2, "test": 0.2}


def collection(
    judgements: list[Judgement],
    *,
    groups: dict[int, str] | None = None,
    split: str = "all",
    shuffle: int | None = None,
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
        pa.table(
            {
                "id": documents,
                "title": documents,
                "text": documents,
                "group": pa.array(named, pa.string()),
            }
        ),
        pa.table({"id": queries, "text": queries, "group": [""] * len(queries)}),
        pa.table(
            {
                "query": columns[0],
                "document": columns[1],
                "relevance": columns[2],
                "split": [split] * len(rows),
            }
        ),
    )


def places(made: Collection) -> dict[str, set[str]]:
    """The splits of each query, document and group."""
    found: dict[str, set[str]] = {}
    groups = dict(
        zip(made.documents["id"].to_pylist(), made.documents["group"].to_pylist(), strict=True)
    )
    for row in made.judgements.to_pylist():
        for key in (
            row["query"],
            row["document"],
            f"group {groups[row['document']]}" if groups[row["document"]] else row["query"],
        ):
            found.setdefault(key, set()).add(row["split"])
    return found


JUDGEMENTS = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 40), st.integers(0, 2)), min_size=3, max_size=40
)
GROUPS = st.dictionaries(st.integers(0, 40), st.sampled_from(["a", "b", "c", "d"]), max_size=12)


@settings(max_examples=150)
@given(JUDGEMENTS, GROUPS, st.integers(0, 9))
def test_nothing_leaks_and_the_order_of_rows_does_not_matter(
    judgements: list[Judgement], groups: dict[int, str], seed: int
) -> None:
    try:
        made = split_by_group(collection(judgements, groups=groups), FRACTIONS, seed=seed)
    except CollectionError:
        reject()  # too much hangs together: tested below
    assert all(len(splits) == 1 for splits in places(made).values())
    assert set(made.splits) == set(FRACTIONS)
    again = split_by_group(
        collection(judgements, groups=groups, split="other", shuffle=seed), FRACTIONS, seed=seed
    )
    assert places(again) == places(made)


def test_fractions_are_honoured() -> None:
    made = split_by_group(collection([(number, number, 1) for number in range(1000)]), FRACTIONS)
    assert {name: len(made.split(name).query_ids) for name in made.splits} == {
        "train": 600,
        "dev": 200,
        "test": 200,
    }
    other = split_by_group(made, FRACTIONS, seed=1)
    assert places(other) != places(made)


def test_what_hangs_together_goes_where_there_is_room() -> None:
    chained = [(number, document, 1) for number in range(60) for document in (number, number + 1)]
    single = [(number, number, 1) for number in range(100, 140)]
    made = split_by_group(collection(chained + single), FRACTIONS)
    assert {name: len(made.split(name).query_ids) for name in made.splits} == {
        "train": 60,
        "dev": 20,
        "test": 20,
    }
    assert places(made)["q0"] == {"train"}


def test_as_many_sets_as_splits_fill_each() -> None:
    made = split_by_group(collection([(number, number, 1) for number in range(3)]), FRACTIONS)
    assert [len(made.split(name).query_ids) for name in made.splits] == [1, 1, 1]


def test_too_much_hanging_together_raises() -> None:
    with pytest.raises(
        CollectionError, match=r"make 1 sets .* has 9 queries.* --negative '' leaves"
    ):
        split_by_group(collection([(number, 0, 1) for number in range(9)]), FRACTIONS)
    grouped = collection(
        [(number, number, 1) for number in range(9)], groups=dict.fromkeys(range(9), "same")
    )
    with pytest.raises(CollectionError, match="make 1 sets"):
        split_by_group(grouped, FRACTIONS)


@pytest.mark.parametrize(
    "fractions",
    [{}, {"a": 0.5}, {"a": 1.5, "b": -0.5}, {"a": float("nan"), "b": 1.0}, {"a": 0.0, "b": 1.0}],
)
def test_impossible_fractions_raise(fractions: dict[str, float]) -> None:
    with pytest.raises(InputError, match="wanted positive ones that sum to 1"):
        split_by_group(collection([(1, 1, 1)]), fractions)


def test_nothing_judged_raises() -> None:
    with pytest.raises(CollectionError, match="no judgements"):
        made = collection([(1, 1, 1)])
        split_by_group(
            Collection("none", made.documents, made.queries, made.judgements.slice(0, 0)), FRACTIONS
        )


def test_dev_is_carved_out_of_train_only() -> None:
    train = collection([(number, number // 2, 1) for number in range(100)], split="train")
    test = collection([(number, number, 1) for number in range(200, 220)], split="test")
    whole = Collection(
        "both",
        *(
            pa.concat_tables([getattr(train, what), getattr(test, what)])
            for what in ("documents", "queries", "judgements")
        ),
    )
    made = with_dev(whole, fraction=0.2)
    assert {name: len(made.split(name).query_ids) for name in made.splits} == {
        "train": 80,
        "dev": 20,
        "test": 20,
    }
    assert made.split("test").query_ids == whole.split("test").query_ids
    assert all(len(splits) == 1 for splits in places(made).values())
    with pytest.raises(CollectionError, match="only where there is no dev yet"):
        with_dev(made, fraction=0.2)
    with pytest.raises(CollectionError, match="made has test"):
        with_dev(test, fraction=0.2)
    with pytest.raises(InputError, match="between 0 and 1"):
        with_dev(whole, fraction=1.0)


@pytest.mark.parametrize(("enough", "wanted"), [(30, 24), (11, 10), (4, 4), (2, 4)])
def test_a_small_dev_takes_whole_groups_of_train_and_never_more_than_a_fifth(
    enough: int, wanted: int
) -> None:
    numbers = {"train": range(100), "dev": range(200, 204), "test": range(300, 320)}
    parts = [collection([(at, at // 2, 1) for at in numbers[name]], split=name) for name in numbers]
    tables = (
        pa.concat_tables([getattr(part, what) for part in parts])
        for what in ("documents", "queries", "judgements")
    )
    whole = Collection("three", *tables)
    made = with_larger_dev(whole, enough=enough)
    assert {name: len(made.split(name).query_ids) for name in made.splits} == {
        "train": 104 - wanted,
        "dev": wanted,
        "test": 20,
    }
    assert set(whole.split("dev").query_ids) <= set(made.split("dev").query_ids)
    assert all(len(splits) == 1 for splits in places(made).values())
    assert with_larger_dev(whole, enough=enough).fingerprint == made.fingerprint


def test_what_was_not_used_of_a_file_is_known_of_its_splits(tmp_path: Path) -> None:
    rows = [{"query": f"q{at}", "positive": f"p{at}", "answer": f"a{at}"} for at in range(20)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    whole = open_collection(tmp_path / "rows.jsonl")
    assert [each.names for each in whole.unused] == [("answer",)]
    assert (
        with_dev(split_by_group(whole, {"train": 0.8, "test": 0.2}), fraction=0.2).unused
        == whole.unused
    )


LEAKS = (
    "leaked-queries",
    "near-leaked-queries",
    "similar-queries-across-splits",
    "shared-documents",
)


def faq(seed: int) -> list[tuple[str, str]]:
    """Questions and answers: 40 of their own, some asked again in the same or nearly the same words
    with another answer, and answers that come twice but for case.
    """
    generator = random.Random(seed)
    words = [f"word{number}" for number in range(400)]
    rows = [
        (" ".join(generator.sample(words, 9)), " ".join(generator.sample(words, 30)))
        for _ in range(40)
    ]
    asked = [query for query, _ in rows]
    again = [
        *((query.upper() + "?", " ".join(generator.sample(words, 30))) for query in asked[:8]),
        *((f"{query} please", " ".join(generator.sample(words, 30))) for query in asked[8:20]),
    ]
    copies = [(" ".join(generator.sample(words, 9)), answer.title()) for _, answer in rows[20:30]]
    nearly = [(" ".join(generator.sample(words, 9)), f"{answer} indeed") for _, answer in rows[30:]]
    return [*rows, *again, *copies, *nearly]


def of_rows(rows: list[tuple[str, str]]) -> Collection:
    keys = [str(at) for at in range(len(rows))]
    blank = [""] * len(rows)
    return Collection(
        "faq",
        pa.table(
            {"id": keys, "title": blank, "text": [answer for _, answer in rows], "group": blank}
        ),
        pa.table({"id": keys, "text": [query for query, _ in rows], "group": blank}),
        pa.table(
            {
                "query": keys,
                "document": keys,
                "relevance": [1] * len(rows),
                "split": ["all"] * len(rows),
            }
        ),
    )


@pytest.mark.parametrize("seed", range(4))
def test_what_is_the_same_or_nearly_so_goes_together_and_the_doctor_finds_no_leak(
    seed: int,
) -> None:
    made = split_by_group(of_rows(faq(seed)), FRACTIONS, seed=seed)
    found = [CHECKS[name](Subject(made)) for name in LEAKS]
    assert found == [None] * len(LEAKS)
    split_of = dict(
        zip(made.judgements["query"].to_pylist(), made.judgements["split"].to_pylist(), strict=True)
    )
    for first, again in [
        *zip(range(20), range(40, 60), strict=True),
        *zip(range(20, 40), range(60, 80), strict=True),
    ]:
        assert split_of[str(first)] == split_of[str(again)], (first, again)


def test_one_template_does_not_tie_everything_together(caplog: pytest.LogCaptureFixture) -> None:
    template = "what is the return policy of the store in town number {} for shoes that were worn"
    made = of_rows(
        [
            (template.format(number), f"answer{number} of{number} its{number}")
            for number in range(50)
        ]
    )
    with caplog.at_level("INFO", logger="nearfield"):
        cut = split_by_group(made, FRACTIONS)
    assert {name: len(cut.split(name).query_ids) for name in cut.splits} == {
        "train": 30,
        "dev": 10,
        "test": 10,
    }
    assert "50 of 50 queries hang together by texts that are nearly the same" in caplog.text
