"""A whole tuning run on a tiny model: what it writes, what it refuses, and what a killed one comes
to.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sentence_transformers import SentenceTransformer

from nearfield.data.collection import Collection
from nearfield.encoders.text import TextEncoder
from nearfield.errors import (
    CollectionError,
    DoctorRefusal,
    InputError,
    MatryoshkaWarning,
    NearfieldWarning,
)
from nearfield.evaluate.compare import compare
from nearfield.evaluate.task import Options
from nearfield.formats.modules import read_modules
from nearfield.report.facts import read_run
from nearfield.report.reproduce import toml
from nearfield.statistics.power import queries_needed
from nearfield.store.run import RunFolder
from nearfield.train.recipe import Recipe
from nearfield.train.runs.tune import tune
from nearfield.train.setting import Setting
from nearfield.train.tuning.tuning_run import TuningRun
from nearfield.types.progress import silent
from nearfield.types.verdict import BETTER, NO_DIFFERENCE, WORSE
from tiny import tiny_model
from tiny_data import tiny_collection

pytestmark = pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
PARTS = (
    "run",
    "recipe",
    "environment",
    "data",
    "doctor",
    "comparison",
    "storage",
    "merge",
    "verdict",
    "queries",
    "examples",
    "baseline",
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny: Path, collection: Collection) -> Path:
    """A run that was never interrupted, guarded by other scored pairs."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    tune(str(tiny), collection, to=folder, recipe=recipe_of(), guards=[guard_file(folder.parent)])
    return folder


def recipe_of(**changes: Any) -> Recipe:
    facts: dict[str, Any] = {
        "pool": 60,
        "schedule": {
            "epochs": 3,
            "batch": 8,
            "rate": 3e-4,
            "evaluations": 3,
            "freeze_embeddings": False,
            "precision": "float32",
        },
        "merge": {"ratios": [0.5, 1.0], "margin": 2.0},
    }
    return Recipe.of(facts | changes)


def guard_file(folder: Path) -> str:
    rows = [
        {
            "sentence1": f"cat dog {at}",
            "sentence2": f"cat {'dog' if at % 2 else 'tax law'} {at}",
            "score": at % 2,
        }
        for at in range(20)
    ]
    (folder / "guard.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(folder / "guard.jsonl")


def weights(folder: Path) -> bytes:
    return (folder / "model" / "model.safetensors").read_bytes()


def test_every_part_is_there_and_the_report_reads_them(finished: Path) -> None:
    for part in PARTS:
        assert (finished / f"{part}.json").is_file(), part
    facts = read_run(finished)
    assert facts.verdict is not None
    assert facts.comparison is not None
    assert facts.storage is not None
    assert {row.name for row in facts.comparison.rows} == {
        "bm25",
        "tiny-bert",
        "tiny-bert + bm25 (fused)",
        "tiny-bert tuned",
    }
    assert {(row.model, row.storage) for row in facts.storage.rows} == {
        (m, s) for m in ("base", "tuned") for s in ("float32", "int8", "binary")
    }
    assert [query.id for query in facts.queries] == list(tiny_collection().split("test").query_ids)
    assert facts.verdict.queries == 30
    assert [choice.ratio for choice in facts.merge] == [0.0, 0.5, 1.0]
    assert sum(choice.chosen for choice in facts.merge) == 1


def test_the_doctor_sees_where_words_alone_answer(
    tiny: Path, collection: Collection, tmp_path: Path
) -> None:
    # a query is its document, word for word
    copied = collection.queries.set_column(1, "text", collection.documents["text"])
    easy = dataclasses.replace(collection, queries=copied)
    run = TuningRun(str(tiny), RunFolder(tmp_path / "run"), recipe_of(), Setting())
    run.begin(easy, ())
    with pytest.raises(DoctorRefusal, match=r"query-is-document \(120 of 120\)"):
        run.stages(())[0].do(silent)
    run.stages(["query-is-document"])[0].do(silent)
    found = {
        finding["check"]: finding
        for finding in json.loads((tmp_path / "run" / "doctor.json").read_text())
    }
    assert (found["easy-queries"]["count"], found["easy-queries"]["total"]) == (60, 60)


def test_the_verdict_is_that_of_the_comparison(finished: Path) -> None:
    facts = read_run(finished)
    assert facts.verdict is not None
    assert facts.comparison is not None
    rows = {row.name: np.array(row.per_query) for row in facts.comparison.rows}
    difference = rows["tiny-bert tuned"] - rows["tiny-bert"]
    assert facts.verdict.difference.mean == pytest.approx(difference.mean())
    assert facts.verdict.difference.low < difference.mean() < facts.verdict.difference.high
    assert facts.verdict.queries_needed == queries_needed(difference), (
        "of one test at 5 %, not of a table of pairs"
    )
    assert (facts.verdict.outcome == NO_DIFFERENCE) == (facts.verdict.p >= 0.05)
    assert facts.verdict.outcome in (BETTER, NO_DIFFERENCE, WORSE)
    assert [query.after - query.before for query in facts.queries] == pytest.approx(
        difference.tolist()
    )
    (lost,) = facts.verdict.forgotten
    assert (lost.guard, lost.measure, lost.queries) == ("guard", "Spearman", 10)


def test_training_learns(finished: Path) -> None:
    rows = [json.loads(line) for line in (finished / "training.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows if "loss" in row]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])


def test_sentence_transformers_opens_the_tuned_folder(finished: Path) -> None:
    texts = [f"cat {at} tax law" for at in range(50)]
    ours = TextEncoder.open(finished / "model").encode(texts, "document").vectors
    theirs = SentenceTransformer(str(finished / "model"), device="cpu").encode_document(texts)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_the_same_run_again_only_reads(finished: Path, tiny: Path, collection: Collection) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*.safetensors")}
    verdict = tune(
        str(tiny),
        collection,
        to=finished,
        recipe=recipe_of(),
        guards=[str(finished.parent / "guard.jsonl")],
    )
    assert verdict == read_run(finished).verdict
    assert before == {path: path.stat().st_mtime_ns for path in finished.rglob("*.safetensors")}


def test_a_recipe_is_a_recipe_and_a_guard_may_be_one_name(
    tmp_path: Path, tiny: Path, collection: Collection
) -> None:
    with pytest.raises(InputError, match=r"recipe is 'r\.toml'; wanted a Recipe"):
        tune(str(tiny), collection, to=tmp_path / "run", recipe="r.toml")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"guard-that-is-nowhere\.jsonl"):
        asked = {"to": tmp_path / "run", "recipe": recipe_of()}
        tune(str(tiny), collection, guards="guard-that-is-nowhere.jsonl", **asked)


def test_another_run_in_the_same_folder_is_refused(
    finished: Path, tiny: Path, collection: Collection
) -> None:
    guards = [str(finished.parent / "guard.jsonl")]
    with pytest.raises(
        InputError,
        match=r"holds another run: recipe.json has another seed "
        r"\(seed: 0 there, 1 now\)",
    ):
        tune(
            str(tiny),
            collection,
            to=finished,
            recipe=dataclasses.replace(recipe_of(), seed=1),
            guards=guards,
        )
    with pytest.raises(InputError, match=r"data\.json has another .*fingerprint"):
        tune(str(tiny), tiny_collection(seed=5), to=finished, recipe=recipe_of(), guards=guards)


def with_a_leak(collection: Collection) -> Collection:
    """The first test query trained on, too, with the same positive."""
    queries = collection.queries.to_pydict()
    train, test = (collection.split(name).query_ids[0] for name in ("train", "test"))
    queries["text"][queries["id"].index(train)] = queries["text"][queries["id"].index(test)]
    judged = collection.judgements.to_pydict()
    judged["document"][judged["query"].index(train)] = judged["document"][
        judged["query"].index(test)
    ]
    return dataclasses.replace(
        collection,
        queries=pa.table(queries),
        judgements=pa.table(judged, schema=collection.judgements.schema),
    )


def test_the_doctor_stops_a_run_and_allow_goes_on(
    tmp_path: Path, tiny: Path, collection: Collection
) -> None:
    leaked = with_a_leak(collection)
    with pytest.raises(DoctorRefusal, match="--allow leaked-queries"):
        tune(str(tiny), leaked, to=tmp_path / "run", recipe=recipe_of(), guards=())
    assert not (tmp_path / "run" / "model").exists()
    tune(
        str(tiny),
        leaked,
        to=tmp_path / "run",
        recipe=recipe_of(),
        allow=["leaked-queries"],
        guards=(),
    )


def test_one_leak_among_hundreds_is_left_out_and_told(tmp_path: Path, tiny: Path) -> None:
    leaked = with_a_leak(tiny_collection(queries=480))
    tune(str(tiny), leaked, to=tmp_path / "run", recipe=recipe_of(), guards=())
    about = read_run(tmp_path / "run").about
    assert "1 train query of 240 left out: nearly the same are held out" in about.notes


def test_missing_splits_are_cut_and_told(tmp_path: Path, tiny: Path) -> None:
    recipe = recipe_of(schedule={"epochs": 1, "batch": 8, "evaluations": 1})
    tune(str(tiny), tiny_collection(dev=False), to=tmp_path / "dev", recipe=recipe, guards=())
    assert "dev was carved out of train" in (tmp_path / "dev" / "data.json").read_text()
    whole = tiny_collection()
    one = dataclasses.replace(
        whole, judgements=whole.judgements.set_column(3, "split", pa.array(["all"] * 120))
    )
    tune(str(tiny), one, to=tmp_path / "one", recipe=recipe, guards=())
    assert read_run(tmp_path / "one").about.split_sizes == {"train": 84, "dev": 12, "test": 24}


def test_nothing_to_train_on(tmp_path: Path, tiny: Path, collection: Collection) -> None:
    only = dataclasses.replace(
        collection,
        judgements=collection.judgements.set_column(3, "split", pa.array(["dev", "test"] * 60)),
    )
    with pytest.raises(CollectionError, match="tuning wants train and test"):
        tune(str(tiny), only, to=tmp_path / "run", recipe=recipe_of(), guards=())


def test_matryoshka_dims_are_trained_and_written(
    tmp_path: Path, tiny: Path, collection: Collection
) -> None:
    tune(
        str(tiny),
        collection,
        to=tmp_path / "run",
        recipe=recipe_of(objective={"dims": [32, 16], "rotate": True}, distil={"whole": 1.0}),
        guards=(),
    )
    made = tmp_path / "run" / "model"
    assert TextEncoder.open(made).contract.matryoshka_dims == (32, 16)
    assert [module.kind for module in read_modules(made)][2] == "Dense"
    # of all documents of the collection, turned vectors have no two dimensions that go together
    turned = TextEncoder.open(tmp_path / "run" / "rotated")
    vectors = np.asarray(turned.encode_document(list(collection.document_texts)), np.float64)
    squares = vectors.T @ vectors
    assert np.abs(squares - np.diag(np.diag(squares))).max() < 1e-3 * squares.max()
    # the base in the table of dims is the model as it was given, not turned
    storage = read_run(tmp_path / "run").storage
    assert storage is not None
    with pytest.warns(MatryoshkaWarning):
        plain = compare(
            [str(tiny)], collection.split("test"), options=Options(dims=(16,), bm25=False)
        )
    (cut,) = (
        row for row in storage.rows if (row.model, row.dim, row.storage) == ("base", 16, "float32")
    )
    assert cut.per_query == plain.rows[0].per_query
    with pytest.raises(InputError, match=r"objective\.dims has 64; tiny-bert has 32 dimensions"):
        tune(
            str(tiny),
            collection,
            to=tmp_path / "other",
            recipe=recipe_of(objective={"dims": [64]}),
            guards=(),
        )


def command(folder: Path, tiny: Path) -> list[str]:
    inputs = folder / "inputs"
    if not inputs.exists():
        inputs.mkdir()
        tiny_collection().save(inputs / "tiny")
        (inputs / "recipe.toml").write_text(
            toml(json.loads(json.dumps(dataclasses.asdict(recipe_of()))))
        )
        guard_file(inputs)
    parts = [
        "--on",
        inputs / "tiny",
        "--recipe",
        inputs / "recipe.toml",
        "--guard",
        inputs / "guard.jsonl",
    ]
    return [sys.executable, "-m", "nearfield.cli.app", "tune", str(tiny), *map(str, parts)]


# One process imports what a run needs and forks a child for each: nothing is computed before, and
# each moment falls into the run itself.
KILLED = """
import os, random, signal, sys, time
import nearfield.train.runs.tune
from nearfield.cli.app import main
from transformers import BertModel

seed, killed, unbroken, *words = sys.argv[1:]

def begun(to):
    child = os.fork()
    if child == 0:
        sys.argv = ["nearfield", *words, "--to", to]
        try:
            main()
        except SystemExit as left:
            os._exit(left.code or 0)
        os._exit(0)
    return child

started = time.monotonic()
assert os.waitpid(begun(unbroken), 0)[1] == 0
length = time.monotonic() - started
generator = random.Random(int(seed))
for _ in range(5):
    child = begun(killed)
    time.sleep(generator.uniform(0.05, 1.0) * length)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
assert os.waitpid(begun(killed), 0)[1] == 0
"""


def test_a_run_killed_at_five_random_moments_ends_in_the_same_weights(
    tmp_path: Path, tiny: Path, finished: Path
) -> None:
    """SIGKILL at a random moment, five times over the length of a run, then to the end: bit for bit
    the model of an unbroken run.
    """
    killed, unbroken, seed = tmp_path / "killed", tmp_path / "unbroken", time.time_ns()
    asked = [seed, killed, unbroken, *command(tmp_path, tiny)[3:]]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *map(str, asked)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (seed, done.stderr)
    assert weights(killed) == weights(unbroken) == weights(finished), f"kill moments of seed {seed}"
    one, other = (
        json.loads((folder / "queries.json").read_text()) for folder in (killed, unbroken)
    )
    assert one == other
    assert not list(killed.rglob(".*partial*"))


def test_the_command_line(tmp_path: Path, tiny: Path, cli: Callable[..., Any]) -> None:
    words = command(tmp_path, tiny)[3:]
    shown = cli(*words, "--to", tmp_path / "run")
    assert shown.exit_code == 0, shown.stderr
    assert "report" in shown.stdout
    assert (tmp_path / "run" / "report.html").is_file()
    assert (tmp_path / "run" / "model" / "README.md").read_text().startswith("---\n")
    again = cli(*words, "--to", tmp_path / "run", "--json")
    assert json.loads(again.stdout)["verdict"]["queries"] == 30


def test_bad_input_at_the_command_line(tmp_path: Path, tiny: Path, cli: Callable[..., Any]) -> None:
    words = command(tmp_path, tiny)[3:]
    (tmp_path / "recipe.toml").write_text("[schedule]\nepocs = 2\n")
    refused = cli(*words, "--recipe", tmp_path / "recipe.toml", "--to", tmp_path / "run")
    assert refused.exit_code == 2
    assert "schedule.epocs" in refused.stderr
    assert "'epochs'" in refused.stderr
    (tmp_path / "file").write_text("")
    refused = cli(*words, "--to", tmp_path / "file" / "run")
    assert refused.exit_code == 2
    assert "could not be written" in refused.stderr


def test_a_full_disk_is_one_error_and_leaves_a_run_that_goes_on(
    tmp_path: Path, tiny: Path, finished: Path, cli: Callable[..., Any]
) -> None:
    """RLIMIT_FSIZE below the size of the weights stands for the full disk; with room again, the run
    ends in the same weights.
    """
    words = [*command(tmp_path, tiny), "--to", str(tmp_path / "run")]
    full = subprocess.run(
        ["bash", "-c", 'ulimit -f 60; exec "$@"', "bash", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert full.returncode == 2, full.stderr
    assert "could not be written" in full.stderr
    assert "Traceback" not in full.stderr
    assert not (tmp_path / "run" / "model").exists()
    assert cli(*words[3:]).exit_code == 0
    assert weights(tmp_path / "run") == weights(finished)


def test_a_model_that_changed_is_another_run(tmp_path: Path, collection: Collection) -> None:
    model = tiny_model(tmp_path / "model")
    tune(str(model), collection, to=tmp_path / "run", recipe=recipe_of(), guards=())
    (model / "config_sentence_transformers.json").write_text(
        json.dumps({"prompts": {"query": "query: "}})
    )
    with pytest.raises(InputError, match=r"data\.json has another files"):
        tune(str(model), collection, to=tmp_path / "run", recipe=recipe_of(), guards=())


def test_a_run_goes_on_with_the_precision_it_was_begun_with(
    tmp_path: Path, tiny: Path, collection: Collection
) -> None:
    recipe = recipe_of(schedule={"epochs": 1, "batch": 8, "precision": "auto"})
    tune(str(tiny), collection, to=tmp_path / "run", recipe=recipe, guards=())
    begun = json.loads((tmp_path / "run" / "environment.json").read_text())
    other = {"bfloat16": "float32", "float32": "bfloat16"}[begun["precision"]]
    (tmp_path / "run" / "environment.json").write_text(
        json.dumps(begun | {"precision": other, "threads": 99})
    )
    with pytest.warns(NearfieldWarning, match="threads was 99"):
        run = TuningRun(str(tiny), RunFolder(tmp_path / "run"), recipe, Setting())
    run.begin(collection, ())
    assert run.precision == run.encoder.precision == other


def test_a_run_folder_is_for_one_process(
    tmp_path: Path, tiny: Path, collection: Collection
) -> None:
    with (
        RunFolder(tmp_path / "run").locked(),
        pytest.raises(InputError, match="is in use by another process"),
    ):
        tune(str(tiny), collection, to=tmp_path / "run", recipe=recipe_of(), guards=())


def test_a_folder_of_other_files_is_left_alone(
    tmp_path: Path, tiny: Path, collection: Collection
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.md").write_text("mine")
    with pytest.raises(InputError, match="holds other files and no run"):
        tune(str(tiny), collection, to=tmp_path / "mine", recipe=recipe_of(), guards=())
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.md"]


def test_a_run_killed_before_its_first_part_goes_on(
    tmp_path: Path, tiny: Path, collection: Collection
) -> None:
    with RunFolder(tmp_path / "run").locked():
        pass
    tune(
        str(tiny),
        collection,
        to=tmp_path / "run",
        recipe=recipe_of(schedule={"epochs": 1, "batch": 8}),
        guards=(),
    )


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    left = tmp_path / "run" / ".model.partial-abc" / "weights"
    left.mkdir(parents=True)
    (tmp_path / "run" / ".merge.json.partial-1").write_text("{")
    with RunFolder(tmp_path / "run").locked():
        assert not list((tmp_path / "run").glob(".*partial*"))


@pytest.mark.parametrize("name", ["last.safetensors", "kept-*.safetensors"])
@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_after_a_damaged_checkpoint_training_begins_again_and_ends_the_same(
    name: str, damage: str, tmp_path: Path, tiny: Path, finished: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    for part in ("verdict.json", "merge.json"):
        (run / part).unlink()
    before = (run / "model" / "model.safetensors").read_bytes()
    shutil.rmtree(run / "model")
    (damaged,) = (run / "checkpoints").glob(name)
    content = bytearray(damaged.read_bytes())
    content[-5] ^= 1
    damaged.write_bytes(content[:100] if damage == "cut" else content)
    with pytest.warns(
        NearfieldWarning,
        match=r"safetensors: (cannot be read|is damaged).*; "
        r"training begins again",
    ):
        tune(
            str(tiny),
            tiny_collection(),
            to=run,
            recipe=recipe_of(),
            guards=[str(finished.parent / "guard.jsonl")],
        )
    assert (run / "model" / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    "part",
    ["verdict.json", "comparison.json", "merge.json", "model", "negatives.json", "baseline.json"],
)
def test_a_part_that_is_gone_is_made_again_the_same(
    part: str, tmp_path: Path, tiny: Path, finished: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    shutil.rmtree(run / part) if part == "model" else (run / part).unlink()
    tune(
        str(tiny),
        tiny_collection(),
        to=run,
        recipe=recipe_of(),
        guards=[str(finished.parent / "guard.jsonl")],
    )
    assert weights(run) == weights(finished)
    assert json.loads((run / "queries.json").read_text()) == json.loads(
        (finished / "queries.json").read_text()
    )


def test_a_run_folder_within_the_model_is_refused(tmp_path: Path, collection: Collection) -> None:
    model = tiny_model(tmp_path / "model")
    with pytest.raises(InputError, match="lies within the model's folder"):
        tune(str(model), collection, to=model / "runs" / "one", recipe=recipe_of(), guards=())
