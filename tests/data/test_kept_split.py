"""A split once cut belongs to its source, whatever the file is called and however it is written."""

from __future__ import annotations

import csv
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from nearfield.data.collection import Collection
from nearfield.data.export import write_beir
from nearfield.data.kept_split import (
    FRACTIONS,
    KeptSplit,
    split_of_run,
    with_all_splits,
    with_enough_dev,
)
from nearfield.data.open import open_collection
from nearfield.errors import CollectionError, InputError

Cli = Callable[..., Result]
ROWS = [
    (f"how does {first} come to {second}", f"by the {second} of {first}, as all know")
    for first in ("hail", "corn", "time", "ruin", "salt", "iron", "love", "snow")
    for second in ("pass", "grow", "fail", "last", "turn")
]


def csv_file(path: Path, rows: list[tuple[str, str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("query", "positive"), *rows])
    return path


def by_text(collection: Collection) -> dict[str, str]:
    """The split of each query's text."""
    texts = dict(zip(collection.query_ids, collection.query_texts, strict=True))
    judgements = collection.judgements.to_pylist()
    return {texts[row["query"]]: row["split"] for row in judgements}


@pytest.fixture
def faq(tmp_path: Path) -> Path:
    return csv_file(tmp_path / "faq.csv", ROWS)


def test_tune_and_data_split_cut_the_same_and_say_so(
    faq: Path, tmp_path: Path, cli: Cli, nearfield_home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="nearfield"):
        tuned, notes = with_all_splits(open_collection(faq), seed=0)
    assert notes == (
        "the only split, all, was cut by document and wording into train (28 "
        "queries), dev (4 queries) and test (8 queries)",
    )
    assert f"faq: {notes[0]}" in caplog.text
    shutil.rmtree(nearfield_home / "splits")  # cut again, not read
    written = cli("data", "split", faq, tmp_path / "cut")
    assert written.exit_code == 0, written.stderr
    assert "28 judged queries" in written.stdout
    assert by_text(open_collection(tmp_path / "cut")) == by_text(tuned)


@pytest.mark.parametrize(
    "options", [(), ("--seed", "5"), ("--fractions", "train=0.5,dev=0.25,test=0.25")]
)
def test_a_split_once_cut_stays(
    options: tuple[str, ...], faq: Path, tmp_path: Path, cli: Cli
) -> None:
    whole = open_collection(faq)
    assert whole.splits == ("all",)
    assert cli("data", "split", faq, tmp_path / "cut", *options).exit_code == 0
    cut = by_text(open_collection(tmp_path / "cut"))
    assert by_text(open_collection(faq)) == cut
    assert by_text(with_all_splits(whole, seed=3)[0]) == cut
    assert by_text(with_all_splits(open_collection(faq), seed=3)[0]) == cut
    assert cli("data", "split", faq, tmp_path / "again").exit_code == 0
    assert by_text(open_collection(tmp_path / "again")) == cut
    other = cli("data", "split", faq, tmp_path / "other", "--seed", "9")
    assert "alone" in other.stdout
    assert by_text(open_collection(tmp_path / "other")) != cut
    assert by_text(open_collection(faq)) == cut
    assert len(open_collection(faq).split("all").query_ids) == len(ROWS)
    shown = json.loads(cli("evaluate", "bm25", "--on", faq, "--json").stdout)
    assert (shown["split"], len(shown["query_ids"])) == (
        "test",
        sum(name == "test" for name in cut.values()),
    )


def test_it_is_found_again_under_another_name_order_and_format(faq: Path, tmp_path: Path) -> None:
    cut = by_text(with_all_splits(open_collection(faq), seed=0)[0])
    shuffled = random.Random(1).sample(ROWS, len(ROWS))
    assert (
        by_text(open_collection(csv_file(tmp_path / "elsewhere" / "renamed.csv", shuffled))) == cut
    )
    (tmp_path / "rows.jsonl").write_text(
        "".join(json.dumps({"question": q, "answer": a}) + "\n" for q, a in shuffled)
    )
    assert by_text(open_collection(tmp_path / "rows.jsonl")) == cut
    whole = open_collection(
        csv_file(tmp_path / "one" / "more.csv", [*ROWS, ("something else", "of another kind")])
    )
    assert whole.splits == ("all",), "it is other data"
    write_beir(open_collection(tmp_path / "rows.jsonl"), tmp_path / "beir")
    assert by_text(open_collection(tmp_path / "beir")) == cut


def test_a_dev_split_carved_out_of_train_stays_too(tmp_path: Path) -> None:
    for name, rows in (("train", ROWS[:30]), ("test", ROWS[30:])):
        csv_file(tmp_path / "both" / f"{name}.csv", rows)
    cut, (note,) = with_all_splits(open_collection(tmp_path / "both"), seed=4)
    assert note.startswith(
        "dev was carved out of train: train (27 queries), dev (3 queries) and test (10 queries)"
    )
    again = open_collection(tmp_path / "both")
    assert by_text(again) == by_text(cut)
    assert again.fingerprint == cut.fingerprint
    assert with_all_splits(again, seed=5) == (cut, (note,))


def test_a_run_makes_a_small_dev_larger_and_keeps_that_while_the_source_keeps_its_own(
    faq: Path, tmp_path: Path
) -> None:
    whole = open_collection(faq)

    def cut() -> tuple[Collection, tuple[str, ...]]:
        return with_enough_dev(*with_all_splits(whole, seed=0), seed=0)

    made, (note,) = split_of_run(tmp_path / "split.json", whole, cut)
    usual = open_collection(faq)
    assert "; dev was too small to choose by and was made larger from train: train (" in note
    assert len(usual.split("dev").query_ids) < len(made.split("dev").query_ids)
    assert made.split("test").query_ids == usual.split("test").query_ids
    again, notes = split_of_run(tmp_path / "split.json", whole, lambda: pytest.fail("cut again"))
    assert (again.fingerprint, notes) == (made.fingerprint, (note,))


def test_where_nothing_can_be_kept_the_same_is_cut_again(
    faq: Path, nearfield_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (nearfield_home / "file").write_text("no folder")
    monkeypatch.setenv("NEARFIELD_HOME", str(nearfield_home / "file"))
    first, second = (with_all_splits(open_collection(faq), seed=0)[0] for _ in range(2))
    assert by_text(first) == by_text(second)
    assert open_collection(faq).splits == ("all",)


def test_a_damaged_file_is_an_error_that_names_it(faq: Path, nearfield_home: Path) -> None:
    cut, _ = with_all_splits(open_collection(faq), seed=0)
    (kept,) = (nearfield_home / "splits").iterdir()
    assert KeptSplit.read(kept).placed(open_collection(faq)).fingerprint == cut.fingerprint
    for broken, said in (
        ("[]", "wanted a JSON object"),
        ('{"format": 2}', "format"),
        ("{", "is not JSON"),
    ):
        kept.write_text(broken)
        with pytest.raises(InputError, match=said) as caught:
            open_collection(faq)
        assert str(kept) in str(caught.value)
    facts = {"format": 1, "fingerprint": "", "how": "", "queries": {"train": ["none"]}}
    kept.write_text(json.dumps(facts))
    with pytest.raises(InputError, match="16 hexadecimal digits"):
        open_collection(faq)


def test_all_is_every_query_and_no_name_of_a_split_that_is_not_there(faq: Path) -> None:
    cut, _ = with_all_splits(open_collection(faq), seed=0)
    assert sorted(cut.split("all").query_ids) == sorted(
        query for name in FRACTIONS for query in cut.split(name).query_ids
    )
    with pytest.raises(CollectionError, match="has no split 'al'"):
        cut.split("al")
