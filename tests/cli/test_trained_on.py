"""A tuned model and the queries that it was trained on: one tune, and every command that
measures.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from nearfield.cli.app import build
from nearfield.data.collection import Collection
from nearfield.data.open import open_collection
from nearfield.data.trained_on import FILE, TrainedOn
from nearfield.encoders.load import load
from nearfield.errors import InputError, NearfieldError
from nearfield.evaluate.compare import compare
from nearfield.evaluate.systems import model_systems
from nearfield.train.fits.adapter import AdapterRecipe
from nearfield.train.runs.adapt import adapt
from nearfield.train.runs.guard import GuardRule, open_guard
from nearfield.train.runs.reranker import tune_reranker
from nearfield.train.runs.tune import tune
from tiny import tiny_model
from tiny_data import tiny_collection

Cli = Callable[..., Result]
pytestmark = pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
RECIPE = """
pool = 60
[schedule]
epochs = 1
batch = 8
evaluations = 1
precision = "float32"
[merge]
ratios = [1.0]
margin = 2.0
"""


def rows() -> list[tuple[str, str]]:
    whole = tiny_collection(queries=80)
    return list(zip(whole.query_texts, whole.document_texts, strict=True))


def write(path: Path, pairs: list[tuple[str, str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([("query", "positive"), *pairs])
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, nearfield_home: Path) -> Path:
    """A folder with a tiny model, faq.csv, and the run of its tuning on that by the command
    line.
    """
    from typer.testing import CliRunner

    folder = tmp_path_factory.mktemp("made")
    tiny_model(folder / "tiny")
    (folder / "recipe.toml").write_text(RECIPE)
    write(folder / "faq.csv", rows())
    command = [
        "tune",
        "tiny",
        "--on",
        "faq.csv",
        "--guard",
        "none",
        "--to",
        "run",
        "--recipe",
        "recipe.toml",
        "--json",
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        done = CliRunner().invoke(build(), command)
        assert done.exit_code == 0, done.stderr
        assert (
            "was cut by document and wording into train (56 queries), dev (8 queries) and test "
            "(16 queries)"
        ) in done.stderr
        again = CliRunner().invoke(build(), command)
        assert json.loads(again.stdout)["verdict"] == json.loads(done.stdout)["verdict"]
    shutil.copytree(nearfield_home / "splits", folder / "splits")
    return folder


@pytest.fixture
def kept(made: Path, nearfield_home: Path, no_kept_splits: None) -> None:
    """The splits that the run cut are kept, as on the machine that it ran on."""
    shutil.copytree(made / "splits", nearfield_home / "splits")


def verdict(made: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((made / "run" / "verdict.json").read_text())
    return found


def asked(result: Result) -> tuple[float, int]:
    """The first row's mean that is of a model, and the number of queries."""
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    (row,) = (row for row in found["rows"] if row["name"] == "model")
    return row["estimate"]["mean"], len(found["query_ids"])


def test_by_default_the_runs_own_test_queries_are_asked(made: Path, cli: Cli, kept: None) -> None:
    wanted = (pytest.approx(verdict(made)["tuned"]["mean"], abs=1e-6), 16)
    result = cli(
        "evaluate", made / "run" / "model", "--on", made / "faq.csv", "--no-bm25", "--json"
    )
    assert asked(result) == wanted
    assert "--split all asks every query" in result.stderr
    split = open_collection(made / "faq.csv").split("test")
    assert list(split.query_ids) == [
        row["id"] for row in json.loads((made / "run" / "queries.json").read_text())
    ]


@pytest.mark.parametrize("place", ["as it was", "renamed", "reordered", "another format", "grown"])
def test_a_copy_of_the_folder_knows_it_elsewhere_without_what_was_kept(
    place: str, made: Path, tmp_path: Path, cli: Cli
) -> None:
    shutil.copytree(made / "run" / "model", tmp_path / "model")
    data = {"renamed": "other/name.csv", "another format": "rows.jsonl"}.get(place, "faq.csv")
    pairs = rows()[::-1] if place == "reordered" else rows()
    pairs += (
        [("something of its own entirely", "and an answer to that")] if place == "grown" else []
    )
    write(tmp_path / data, pairs)
    if data.endswith(".jsonl"):
        (tmp_path / data).write_text(
            "".join(json.dumps({"question": q, "answer": a}) + "\n" for q, a in pairs)
        )
    result = cli("evaluate", tmp_path / "model", "--on", tmp_path / data, "--no-bm25", "--json")
    mean, count = asked(result)
    assert count == 16 + (place == "grown")
    if place != "grown":
        assert mean == pytest.approx(verdict(made)["tuned"]["mean"], abs=1e-6)
    assert "neither trained on nor chosen with" in result.stderr
    refused = cli("evaluate", tmp_path / "model", "--on", tmp_path / data, "--split", "all")
    assert refused.exit_code == 2
    assert f"model was trained on 56 of the {len(pairs)} queries" in refused.stderr
    assert "--allow trained-on" in refused.stderr


def test_with_allow_the_table_says_which_row_was_trained_on_what_is_asked(
    made: Path, cli: Cli, kept: None
) -> None:
    command = (
        "evaluate",
        made / "run" / "model",
        made / "tiny",
        "--on",
        made / "faq.csv",
        "--split",
        "train",
        "--fuse",
    )
    assert cli(*command).exit_code == 2
    shown = cli(*command, "--allow", "trained-on")
    assert shown.exit_code == 0, shown.stderr
    assert "model (trained on 56 of 56)" in " ".join(shown.stdout.split())
    assert "Note: model was trained on 56 of the 56 queries" in " ".join(shown.stdout.split())
    found = json.loads(cli(*command, "--allow", "trained-on", "--json").stdout)
    counts = {row["name"]: row["trained_on"] for row in found["rows"]}
    assert (counts["model"], counts["tiny"], counts["bm25"], counts["model + bm25 (fused)"]) == (
        56,
        0,
        0,
        56,
    )
    wrong = cli(*command, "--allow", "leaked-queries")
    assert (wrong.exit_code, "wanted trained-on" in wrong.stderr) == (2, True)


def test_it_is_decided_by_query_and_near_copies_count(made: Path, tmp_path: Path, cli: Cli) -> None:
    collection = placed(made)
    train, test = (collection.split(name).query_texts for name in ("train", "test"))
    answers = dict(rows())
    mixed = [(f"{text.upper()}!", answers[text]) for text in train[:3]] + [
        (text, answers[text]) for text in test
    ]
    refused = cli(
        "evaluate",
        made / "run" / "model",
        "--on",
        write(tmp_path / "mixed.csv", mixed),
        "--split",
        "all",
    )
    assert f"model was trained on 3 of the {3 + len(test)} queries" in refused.stderr


def placed(made: Path) -> Collection:
    """The data in the run's splits, as its folder has them."""
    from nearfield.data.kept_split import KeptSplit

    return KeptSplit.read(made / "run" / "split.json").placed(open_collection(made / "faq.csv"))


def test_in_python_too(made: Path) -> None:
    collection, encoder = placed(made), load(made / "run" / "model")
    (system,) = model_systems(encoder, collection.split("test"), name="tuned")
    assert compare([system], collection.split("test")).rows[0].estimate.mean == pytest.approx(
        verdict(made)["tuned"]["mean"], abs=1e-6
    )
    (system,) = model_systems(encoder, collection.split("all"), name="tuned")
    assert system.trained_on == set(collection.split("train").query_ids)
    with pytest.raises(InputError, match="tuned was trained on 56 of the 80 queries"):
        compare([system], collection.split("all"))
    (row,) = compare([system], collection.split("all"), allow=["trained-on"]).rows
    assert row.trained_on == 56


def swapped(made: Path) -> Collection:
    """The run's data with train and test exchanged: what it was trained on would be measured."""
    collection = placed(made)
    names = [
        {"train": "test", "test": "train"}.get(name, name)
        for name in collection.judgements["split"].to_pylist()
    ]
    return dataclasses.replace(
        collection, judgements=collection.judgements.set_column(3, "split", [names])
    )


@pytest.mark.parametrize("command", ["tune", "reranker", "adapt"])
def test_training_on_other_splits_does_not_measure_on_what_the_model_knows(
    command: str, made: Path, tmp_path: Path
) -> None:
    model, data = str(made / "run" / "model"), swapped(made)
    with pytest.raises(
        NearfieldError,
        match=r"was trained on 56 of the 56 queries of faq / "
        r"test.*--allow trained-on",
    ):
        if command == "tune":
            tune(model, data, to=tmp_path / "run", guards=())
        elif command == "reranker":
            tune_reranker(model, data, to=tmp_path / "run", guards=())
        else:
            adapt(model, data, to=tmp_path / "run", recipe=AdapterRecipe(epochs=1))
    assert not (tmp_path / "run" / "model").exists()


def test_an_adapter_says_what_it_was_trained_on_and_a_part_of_the_model_keeps_it(
    made: Path, tmp_path: Path, cli: Cli, kept: None
) -> None:
    result = cli(
        "adapt",
        made / "tiny",
        "--on",
        made / "faq.csv",
        "--epochs",
        "1",
        "--guard",
        "none",
        "--to",
        tmp_path / "run",
    )
    assert result.exit_code == 0, result.stderr
    assert "was cut by document and wording" in result.stderr
    refused = cli(
        "evaluate", tmp_path / "run" / "adapter", "--on", made / "faq.csv", "--split", "all"
    )
    # 56, of which 11 choose beside the 8 of dev
    assert "adapter was trained on 45 of the 80 queries" in refused.stderr
    made_of = cli(
        "models",
        "quantise",
        made / "run" / "model",
        "--dtype",
        "float16",
        "--to",
        tmp_path / "half",
    )
    assert made_of.exit_code == 0, made_of.stderr
    assert (tmp_path / "half" / FILE).read_bytes() == (made / "run" / "model" / FILE).read_bytes()
    merged = cli(
        "models", "merge", made / "tiny", made / "run" / "model", "--to", tmp_path / "merged"
    )
    assert merged.exit_code == 0, merged.stderr
    assert TrainedOn.read(tmp_path / "merged").seen(placed(made).split("train").query_texts).all()


def test_a_guard_is_without_what_the_model_is_trained_on(made: Path, tmp_path: Path) -> None:
    known = TrainedOn.read(made / "run" / "model")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = write(
            tmp_path / "guard.csv",
            [*rows(), *((f"what of number {at} here", f"the {at} is there") for at in range(40))],
        )
        guard = open_guard(str(whole), GuardRule(limit=100, trained=known))
    train = set(placed(made).split("train").query_texts)
    assert not train & {*guard.choosing.queries, *guard.reporting.queries}
    assert len({*guard.choosing.queries, *guard.reporting.queries}) == 120 - 56
    with pytest.raises(InputError, match="trained on; wanted at least 10"):
        open_guard(
            str(write(tmp_path / "same.csv", [row for row in rows() if row[0] in train])),
            GuardRule(limit=100, trained=known),
        )
