"""Queries from documents alone, the gates, and what a tune opens in the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfield.data.collection import Collection
from nearfield.data.doctor.words import wording
from nearfield.data.open import open_collection
from nearfield.encoders.load import load
from nearfield.errors import CollectionError, InputError
from nearfield.train.data.leakage import held_out_documents
from nearfield.train.synthesis.gates import GATES, Standard, Written, through_gates
from nearfield.train.synthesis.kept_queries import KeptQueries
from nearfield.train.synthesis.matched import Features, Likeness, kept_by_match
from nearfield.train.synthesis.synthesise import Selection, synthesise
from nearfield.train.synthesis.templates import STYLES, Templates
from nearfield.train.synthesis.writer import Document, Order

Run = Callable[..., Any]
TEXT = """# Install

Download the archive and unpack it. Then run the installer as an administrator.

## Remove the printer driver

Stop the spooler service first. The driver's files are in the system folder.
"""


def rows(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def written(order: Order, document: Document, corpus: Sequence[str] = ()) -> list[tuple[str, str]]:
    found: dict[int, list[tuple[str, str]]] = {}
    Templates(order, [document.whole, *corpus]).write([document], found.update)
    return found[0]


def of_texts(texts: Sequence[str], documents: Sequence[int]) -> Written:
    return Written(np.array(documents, np.int64), ["title"] * len(texts), list(texts))


def test_each_style_takes_its_own_part_of_the_document() -> None:
    found = dict(written(Order(9), Document("Printers at work", TEXT)))
    assert found["title"] == "Printers at work"
    assert found["heading"] in ("Install", "Remove the printer driver")
    assert found["crop"] in " ".join(TEXT.split())
    assert found["first-sentence"].startswith("Download the archive and unpack it")
    assert set(found["key-phrases"].split()) <= set(wording(TEXT + "printers at work").split())
    assert found["question"].endswith("?")
    assert set(found) == set(STYLES)


@settings(max_examples=30)
@given(st.text(max_size=200), st.text(max_size=30), st.integers(0, 3))
def test_any_document_has_the_same_queries_each_time(text: str, title: str, seed: int) -> None:
    document = Document(title, text)
    found = written(Order(3, seed=seed), document, [TEXT])
    assert found == written(Order(3, seed=seed), document, [TEXT])
    assert len(found) <= 3
    assert all(query.strip() and "\n" not in query for _, query in found)
    assert len({style for style, _ in found}) == len(found)


def test_templates_refuse_what_they_cannot_do() -> None:
    with pytest.raises(InputError, match=r"no style 'quiz'.*title, heading.*question"):
        Templates(Order(styles=("quiz",)), [])
    with pytest.raises(InputError, match="leave out the languages, or name a model"):
        Templates(Order(languages=("German",)), [])
    with pytest.raises(InputError, match=r"nothing .* is called 'templats'"):
        synthesise([TEXT], "x.jsonl", writer="templats")


def small(*, judged: bool = True) -> Collection:
    texts = [
        "The heron fishes at the quiet pond before sunrise.",
        "A glacier moves by its own weight over centuries.",
        "Sourdough rises slowly as wild yeast eats the flour's sugar.",
        "The spooler keeps print jobs until the printer is ready.",
    ]
    ids = [f"d{at}" for at in range(len(texts))]
    columns = {"id": ids, "title": [""] * 4, "text": texts, "group": [""] * 4}
    asked = {"id": ["q"], "text": ["how do glaciers move over time"], "group": [""]}
    relevance = pa.array([1], pa.int32())
    judgements = {"query": ["q"], "document": ["d1"], "relevance": relevance, "split": ["test"]}
    queries, judged_rows = pa.table(asked), pa.table(judgements)
    return Collection(
        "small", pa.table(columns), queries if judged else queries[:0],
        judged_rows if judged else judged_rows[:0], documents_only=not judged,
    )  # fmt: skip


def test_each_gate_keeps_what_it_promises() -> None:
    standard = Standard(small(), top=1)
    texts = ["Herons fishing", "herons fishing!", "heron pond", "sourdough", "sourdough", "?"]
    found = GATES["distinct"](of_texts(texts, [0, 0, 0, 2, 1, 3]), standard)
    assert found.tolist() == [True, False, True, False, False, False]
    found = GATES["held-out"](
        of_texts(["How do glaciers move over time?", "wild yeast"], [1, 2]), standard
    )
    assert found.tolist() == [False, True]
    found = GATES["answerable"](
        of_texts(["heron quiet pond", "heron zeppelin xylophone", "the of a"], [0, 0, 0]), standard
    )
    assert found.tolist() == [True, False, True]
    found = GATES["round-trip"](
        of_texts(["print jobs", "print jobs", "zeppelin"], [3, 0, 0]), standard
    )
    assert found.tolist() == [True, False, False]


def test_gates_are_counted_in_order_and_may_be_left_out() -> None:
    some = of_texts(["heron pond", "heron pond", "print jobs"], [0, 0, 1])
    kept, passed = through_gates(some, Standard(small(), top=1), without=["answerable"])
    assert [(each.gate, each.came, each.kept) for each in passed] == [
        ("distinct", 3, 2), ("held-out", 2, 2), ("round-trip", 2, 1), ("like-real", 1, 1)
    ]  # fmt: skip
    assert kept.texts == ["heron pond"]
    with pytest.raises(InputError, match=r"no gate 'round'.*like-real.*Did you mean 'round-trip'"):
        through_gates(some, Standard(small()), without=["round"])


@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_kept_is_distributed_as_real_queries_are(seed: int) -> None:
    draw = np.random.default_rng(seed)
    real = ["what " + "word " * int(size) for size in draw.integers(1, 6, 300)]
    real += ["word " * int(size) for size in draw.integers(3, 9, 700)]
    own = [f"{at} " * int(size) for at, size in enumerate(draw.integers(1, 30, 3000))]
    own += [f"is {at} " * int(size) for at, size in enumerate(draw.integers(1, 12, 1500))]
    kept = kept_by_match(Features.of(own), Features.of(real), own, seed=seed)
    chosen = [own[at] for at in np.flatnonzero(kept)]
    before, after = Likeness.of(own, real), Likeness.of(chosen, real)
    assert after.distance < 0.3 * before.distance
    assert max(len(text.split()) for text in chosen) <= 8
    assert len(chosen) > 300


def test_alike_samples_are_kept_whole() -> None:
    texts = [f"word {at} " * (1 + at % 7) for at in range(500)]
    features = Features.of(texts)
    assert kept_by_match(features, features, texts, seed=0).all()
    assert Likeness.of(texts, texts) == Likeness(500, 0.0, 1.0, 0.0)


def test_a_folder_has_the_queries_in_train_and_none_for_what_test_judges(
    collection: Collection, tmp_path: Path
) -> None:
    # its real queries all have three words
    selection = Selection(documents=40, without=("like-real",))
    made = synthesise(collection, tmp_path / "folder", selection=selection)
    found = open_collection(tmp_path / "folder")
    assert found.splits == collection.splits
    assert len(found.documents) == len(collection.documents)
    train = found.split("train")
    new = [row for row, key in enumerate(train.query_ids) if "#q" in key]
    assert len(new) == made.kept > 40
    assert len(train.query_ids) == len(collection.split("train").query_ids) + made.kept
    held = held_out_documents(collection, collection.document_texts)[1]
    assert made.held_out == held.sum()
    places = found.document_positions(
        [next(iter(train.relevance[train.query_ids[row]])) for row in new]
    )
    assert not held[places].any()
    assert found.split("test").query_texts == collection.split("test").query_texts
    assert made.documents == 40
    assert made.before is not None
    assert made.before.real == len(collection.split("train").query_ids)
    assert made.gates[0].came == made.written
    assert made.gates[-1].kept == made.kept == sum(made.styles.values())


def test_a_file_is_opened_by_tune_and_cut_by_document(tmp_path: Path) -> None:
    texts = [f"{TEXT} Model {at} of the {word} series." for at, word in enumerate(
        ("heron", "glacier", "yeast", "spooler", "comet", "harbour", "lantern", "meadow")
    )]  # fmt: skip
    made = synthesise(texts, tmp_path / "made.jsonl", selection=Selection(top=8))
    assert (made.before, made.after) == (None, None)
    found = rows(tmp_path / "made.jsonl")
    assert {*found[0]} == {"query", "positive", "style"}
    assert {row["positive"] for row in found} <= set(texts)
    assert len(found) == made.kept
    assert len(open_collection(tmp_path / "made.jsonl").split("all").query_ids) == made.kept


def test_the_round_trip_may_be_another_models(tiny: Path, tmp_path: Path) -> None:
    made = [
        synthesise(
            small(judged=False), tmp_path / f"{top}.jsonl", retriever=load(str(tiny)),
            selection=Selection(top=top, without=("answerable",)),
        )
        for top in (1, 4)
    ]  # fmt: skip
    passed = [{each.gate: each for each in one.gates}["round-trip"] for one in made]
    assert passed[0].kept < passed[0].came == passed[1].kept


def test_nothing_is_lost_where_nothing_can_be_written(tmp_path: Path) -> None:
    every = small()
    judged = replace(
        every,
        judgements=pa.table(
            {
                "query": ["q"] * 4,
                "document": [f"d{at}" for at in range(4)],
                "relevance": pa.array([1] * 4, pa.int32()),
                "split": ["test"] * 4,
            }
        ),
    )
    with pytest.raises(CollectionError, match="a held-out split judges each of its 4 documents"):
        synthesise(judged, tmp_path / "a.jsonl")
    (tmp_path / "there.jsonl").write_text("mine")
    with pytest.raises(InputError, match="is there already"):
        synthesise(every, tmp_path / "there.jsonl")
    with pytest.raises(CollectionError, match="none of 0 queries for 3 documents passed"):
        synthesise(every, tmp_path / "a.jsonl", order=Order(styles=("title",)))
    assert [path.name for path in tmp_path.iterdir()] == ["there.jsonl"]


@settings(max_examples=20)
@given(st.dictionaries(st.text("0af", min_size=1), st.lists(st.tuples(st.text(), st.text()))))
def test_kept_queries_are_read_back_and_a_torn_line_is_passed_over(
    some: dict[str, list[tuple[str, str]]],
) -> None:
    facts = {"writer": "test", "some": sorted(some)}
    with KeptQueries.of(facts) as kept:
        kept.add(some)
        path = kept.path
        with pytest.raises(InputError, match="another process writes"), KeptQueries.of(facts):
            pass
    whole = path.read_bytes()
    for end in (len(whole) - 2, len(whole)):
        path.write_bytes(whole[:end])
        with KeptQueries.of(facts) as kept:
            assert kept.found == (some if end == len(whole) else {})
            kept.add({"more": [("title", "heron")]})
        with KeptQueries.of(facts) as kept:
            assert kept.found["more"] == [("title", "heron")]
    path.unlink()


def test_the_command_shows_what_each_gate_did(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(
        "".join(json.dumps({"id": str(at), "text": text}) + "\n" for at, text in enumerate(
            small().document_texts
        ))
    )  # fmt: skip
    line = ("synthesise", tmp_path / "rows.jsonl", "--style", "crop", "--style", "question")
    shown = cli(*line, "--to", tmp_path / "a.jsonl", "--without", "answerable")
    assert shown.exit_code == 0, shown.stderr
    assert "distinct" in shown.stdout
    assert "answerable" not in shown.stdout
    shown = cli(*line, "--to", tmp_path / "b.jsonl", "--json")
    made = json.loads(shown.stdout)
    assert made["gates"][0]["gate"] == "distinct"
    assert made["kept"] == len(rows(tmp_path / "b.jsonl"))
    for wrong in (("--without", "x"), ("--price", "1"), ("--with", "x"), ("--language", "German")):
        refused = cli(*line, "--to", tmp_path / "c.jsonl", *wrong)
        assert (refused.exit_code, refused.stdout) == (2, "")
