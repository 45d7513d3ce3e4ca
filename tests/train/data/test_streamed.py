"""Pairs that are learned from where they lie: as by naive loops, without what is measured on, in
memory that does not hold them.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfield.data.pairs import Pairs
from nearfield.errors import CollectionError, InputError
from nearfield.train.data.streamed import Ends, RelevantOf, StreamedPairs
from nearfield.train.recipe import Recipe
from tiny import tiny_model
from tiny_data import tiny_collection

COLLECTION = tiny_collection()
TEXTS = [f"text {number}" for number in range(6)]
ROWS = st.lists(
    st.tuples(
        st.sampled_from(TEXTS), st.sampled_from(TEXTS), st.lists(st.sampled_from(TEXTS), max_size=3)
    ),
    min_size=2,
    max_size=12,
)


def pairs_of(rows: list[tuple[str, str, list[str]]], *, chunk: int = 1 << 20) -> Pairs:
    columns = list(zip(*rows, strict=True))
    table = pa.table(
        {
            "query": columns[0],
            "positive": columns[1],
            "negatives": pa.array(columns[2], pa.list_(pa.string())),
        }
    )
    return Pairs.from_table(
        pa.Table.from_batches(table.to_batches(max_chunksize=chunk)), name="given"
    )


@given(ROWS, st.integers(1, 4), st.integers(0, 3))
@settings(max_examples=60)
def test_positions_are_those_of_naive_loops(
    rows: list[tuple[str, str, list[str]]], chunk: int, most: int
) -> None:
    pairs = pairs_of(rows, chunk=chunk)
    streamed, ends = StreamedPairs.of(pairs, COLLECTION, negatives=most), Ends(pairs)
    flat = [positive for _, positive, _ in rows] + [
        text for _, _, negatives in rows for text in negatives
    ]
    assert list(ends) == flat
    assert [ends[at] for at in range(len(ends))] == flat
    training = streamed.training
    assert [pairs.queries[int(at)] for at in training.query] == [query for query, _, _ in rows]
    assert [flat[at] for at in training.positive] == [positive for _, positive, _ in rows]
    assert [[flat[at] for at in row if at >= 0] for row in training.negatives] == [
        negatives[:most] for _, _, negatives in rows
    ]
    assert all(
        (flat[a] == flat[b]) == (streamed.same[a] == streamed.same[b])
        for a in range(len(flat))
        for b in range(len(flat))
    )
    relevant = RelevantOf(training, streamed.own)
    for row, (query, _, _) in enumerate(rows):
        wanted = {positive for other, positive, _ in rows if other == query} | ({query} & set(flat))
        assert {flat[at] for at in relevant[int(training.query[row])]} == wanted


def test_a_query_that_is_a_document_of_another_row_is_no_negative_of_itself() -> None:
    rows = [
        ("how do I pay", "which ways to pay are there", []),
        ("which ways to pay are there", "How do  I pay", []),
        ("other", "text", []),
    ]
    streamed = StreamedPairs.of(pairs_of(rows), COLLECTION, negatives=0)
    relevant = RelevantOf(streamed.training, streamed.own)
    assert [relevant[at] for at in range(3)] == [{0, 1}, {0, 1}, {2}]


def test_what_is_measured_on_is_left_out() -> None:
    test, dev = COLLECTION.split("test"), COLLECTION.split("dev")
    texts = dict(zip(COLLECTION.document_ids, COLLECTION.document_texts, strict=True))
    judged = [texts[next(iter(split.relevance[split.query_ids[0]]))] for split in (test, dev)]
    rows = [
        (test.query_texts[0].upper() + "?", "an answer", []),
        (dev.query_texts[1], "an answer", []),
        ("a question", judged[0], []),
        ("another question", "an answer", [judged[1], "no answer"]),
        ("a third question", "a third answer", ["no answer"]),
    ]
    streamed = StreamedPairs.of(pairs_of(rows), COLLECTION, negatives=2)
    assert streamed.left_out == 3
    assert [streamed.pairs.queries[int(at)] for at in streamed.training.query] == [
        "another question",
        "a third question",
    ]
    assert (streamed.training.negatives >= 0).tolist() == [[False, True], [True, False]]
    assert streamed.note == (
        "trained on 2 pairs of given; 3 more were left out because dev "
        "or test holds their query or document, or nearly the same"
    )
    with pytest.raises(CollectionError, match="0 of 3 pairs are left"):
        StreamedPairs.of(pairs_of(rows[:3]), COLLECTION, negatives=1)


def test_near_copies_of_what_is_measured_on_are_left_out() -> None:
    test = COLLECTION.split("test")
    texts = dict(zip(COLLECTION.document_ids, COLLECTION.document_texts, strict=True))
    relevant = texts[next(iter(test.relevance[test.query_ids[0]]))]
    longer = " ".join([f"word{number}" for number in range(40)])
    queries = dataclasses.replace(
        COLLECTION,
        queries=COLLECTION.queries.set_column(
            1,
            "text",
            pa.array(
                [
                    f"{text} {longer}" if key == test.query_ids[0] else text
                    for key, text in zip(COLLECTION.query_ids, COLLECTION.query_texts, strict=True)
                ]
            ),
        ),
    )
    rows = [
        (f"{test.query_texts[0]} changed {longer}", "an answer", []),
        ("a question", f"{relevant} also", []),
        ("another question", "an answer", [f"and {relevant}", "no answer"]),
        ("a third question", "a third answer", ["no answer"]),
    ]
    streamed = StreamedPairs.of(pairs_of(rows), queries, negatives=2)
    assert streamed.left_out == 2
    assert (streamed.training.negatives >= 0).tolist() == [[False, True], [True, False]]


def test_scored_pairs_are_refused() -> None:
    table = pa.table({"query": ["a", "b"], "positive": ["c", "d"], "score": [0.0, 1.0]})
    streamed = StreamedPairs.of(Pairs.from_table(table), COLLECTION, negatives=1)
    with pytest.raises(InputError, match="has scores"):
        streamed.check(Recipe())
    streamed.check(Recipe.of({"objective": "cosent"}))


@pytest.mark.parametrize(
    ("name", "message"),
    [("cosent", "has no scores, from which cosent learns"), ("triplet", "has no negatives, and t")],
)
def test_pairs_without_what_an_objective_learns_from_are_refused(name: str, message: str) -> None:
    rows = pa.table({"query": ["a", "b"], "positive": ["c", "d"]})
    streamed = StreamedPairs.of(Pairs.from_table(rows), COLLECTION, negatives=1)
    streamed.check(Recipe())
    with pytest.raises(InputError, match=message):
        streamed.check(Recipe.of({"objective": name}))


MEASURED = """
import re, sys
import numpy as np
from nearfield.data.open import open_pairs
from nearfield.train.data.streamed import Ends, StreamedPairs
sys.path.insert(0, sys.argv[3])
from tiny_data import tiny_collection

def own():  # what the process holds itself: pages of mapped files may be dropped at any time
    return int(re.search(r"RssAnon:\\s*(\\d+)", open("/proc/self/status").read())[1]) // 1024

pairs, collection = open_pairs(sys.argv[1]), tiny_collection()
before = own()
streamed = StreamedPairs.of(pairs, collection, negatives=1)
ends = Ends(pairs)
read = sum(len(ends[int(at)]) for at in np.random.default_rng(0).permutation(streamed.training.positive)[:4000])
assert len(streamed.training) == int(sys.argv[2]) and read
print(own() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_hold_the_texts(tmp_path: Path, repository: Path) -> None:
    grown = []
    for rows in (3_000, 12_000):
        path = tmp_path / f"{rows}.jsonl"
        filler = "lorem ipsum " * 300
        with open(path, "w", encoding="utf-8") as file:
            for at in range(rows):
                row = {
                    "query": f"question {at}",
                    "positive": f"answer {at} {filler}",
                    "negatives": [f"no answer {at} {filler}"],
                }
                file.write(json.dumps(row) + "\n")
        command = [sys.executable, "-c", MEASURED, str(path), str(rows), str(repository / "tests")]
        grown.append(
            int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        )
    assert grown[1] - grown[0] < 25, f"9,000 more rows of 7 kB took {grown[1] - grown[0]} MiB more"


def test_a_run_learns_from_pairs_and_is_measured_on_the_collection(
    tmp_path: Path, cli: Callable[..., Any]
) -> None:
    model = tiny_model(tmp_path / "tiny")
    COLLECTION.save(tmp_path / "data")
    train = COLLECTION.split("train")
    texts = dict(zip(COLLECTION.document_ids, COLLECTION.document_texts, strict=True))
    rows = [
        (query, texts[next(iter(train.relevance[key]))])
        for key, query in zip(train.query_ids, train.query_texts, strict=True)
    ]
    rows.append((COLLECTION.split("test").query_texts[0], "a leak"))
    (tmp_path / "clicks.jsonl").write_text(
        "".join(json.dumps({"query": query, "positive": text}) + "\n" for query, text in rows)
    )
    (tmp_path / "recipe.toml").write_text(
        "pool = 60\n[schedule]\nepochs = 1\nbatch = 8\nevaluations = 1\n[merge]\nratios = [1.0]\n"
    )
    command = [
        "tune",
        model,
        "--on",
        tmp_path / "data",
        "--pairs",
        tmp_path / "clicks.jsonl",
        "--to",
        tmp_path / "run",
    ]
    command += [
        "--guard",
        "none",
        "--recipe",
        tmp_path / "recipe.toml",
        "--device",
        "cpu",
        "--json",
    ]
    shown = cli(*command)
    assert shown.exit_code == 0, shown.stderr
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    recipe = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert recipe["data"]["sets"][0]["pairs"] == str(tmp_path / "clicks.jsonl")
    assert about["notes"] == [
        "trained on 60 pairs of clicks; 1 more "
        "were left out because dev or test holds "
        "their query or document, or nearly the same"
    ]
    assert not (tmp_path / "run" / "negatives.json").exists()
    steps = [
        json.loads(line) for line in (tmp_path / "run" / "training.jsonl").read_text().splitlines()
    ]
    assert sum("loss" in row and row["loss"] is not None for row in steps) == 8
    again = cli(*command)
    assert again.exit_code == 0
    assert json.loads(again.stdout)["verdict"] == json.loads(shown.stdout)["verdict"]
    with open(tmp_path / "clicks.jsonl", "a") as file:
        file.write('{"query": "one more", "positive": "pair"}\n')
    refused = cli(*command)
    assert (refused.exit_code, "has another" in refused.stderr) == (2, True)


def test_only_dev_and_test_are_needed(tmp_path: Path) -> None:
    from nearfield.data.kept_split import with_judged_splits

    measured = [row for row in COLLECTION.judgements.to_pylist() if row["split"] != "train"]
    both = type(COLLECTION)(
        "both", COLLECTION.documents, COLLECTION.queries, pa.Table.from_pylist(measured)
    )
    assert with_judged_splits(both, seed=0) == (both, ())
    alone = [row for row in measured if row["split"] == "test"]
    one = type(COLLECTION)(
        "one", COLLECTION.documents, COLLECTION.queries, pa.Table.from_pylist(alone)
    )
    cut, notes = with_judged_splits(one, seed=0)
    assert set(cut.splits) == {"dev", "test"}
    assert notes == (
        "the only split, test, was cut by document and wording into dev (10 queries) "
        "and test (20 queries)",
    )
    cut, notes = with_judged_splits(tiny_collection(dev=False), seed=0)
    assert "dev" in cut.splits
    assert np.unique([len(cut.split(name).query_ids) for name in ("dev", "test")]).all()
