"""Each kind of run keeps the rules of all: a stopped one ends as an unbroken one, nothing that is
held out is learned from, a guard takes the training back, and the verdict is what the folder holds.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from nearfield.data.collection import Collection
from nearfield.data.trained_on import TrainingRun, keep_trained_on
from nearfield.errors import InputError
from nearfield.store.run import RunFolder
from nearfield.train import runs
from nearfield.train.fits.adapter import AdapterRecipe
from nearfield.train.fits.bridge import BridgeRecipe
from nearfield.train.recipe import Recipe
from nearfield.train.runs.adapt import AdaptRun, StoredVectors
from nearfield.train.runs.bridge import BridgeRun
from nearfield.train.runs.conclude import verdict_of
from nearfield.train.runs.reranker import RerankerRun
from nearfield.train.runs.run import Run
from nearfield.train.runs.static import DistilRecipe, DistilRun
from nearfield.train.setting import UNWATCHED, Setting
from nearfield.train.tuning.tuning_run import TuningRun
from nearfield.types.progress import Progress
from nearfield.types.verdict import Verdict
from tiny import tiny_model
from tiny_cross import tiny_cross
from tiny_data import tiny_collection

pytestmark = pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
SCHEDULE = {"epochs": 1, "batch": 16, "rate": 3e-3, "evaluations": 1, "precision": "float32"}
RECIPE = Recipe.of(
    {
        "pool": 60,
        "schedule": {**SCHEDULE, "freeze_embeddings": False},
        "negatives": {"depth": 20},
        "merge": {"ratios": [0.5, 1.0], "margin": 2.0},
    }
)
Make = Callable[[RunFolder, Path, Setting], Any]
RUNS: dict[type[Run], Make] = {
    TuningRun: lambda folder, models, setting: TuningRun(
        str(models / "encoder"), folder, RECIPE, setting
    ),
    RerankerRun: lambda folder, models, setting: RerankerRun(
        str(models / "cross"), str(models / "encoder"), folder, RECIPE, setting
    ),
    AdaptRun: lambda folder, models, setting: AdaptRun(
        str(models / "encoder"),
        StoredVectors(),
        folder,
        AdapterRecipe(epochs=2, rate=0.01),
        setting,
    ),
    BridgeRun: lambda folder, models, setting: BridgeRun(
        str(models / "encoder"),
        str(models / "other"),
        folder,
        BridgeRecipe(width=4, epochs=2),
        setting,
    ),
    DistilRun: lambda folder, models, setting: DistilRun(
        models / "encoder", folder, DistilRecipe(dim=8), setting
    ),
}
kinds = pytest.mark.parametrize("kind", RUNS, ids=lambda kind: kind.__name__)
ALLOWED = ("easy-queries",)


class Stopped(Exception):
    """Raised where a run is stopped."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny_model(folder / "encoder")
    tiny_model(folder / "other", seed=1)
    tiny_cross(folder / "cross", max_tokens=96)
    rows = [
        {
            "sentence1": f"cat {at}",
            "sentence2": f"{'dog' if at % 2 else 'law'} {at}",
            "score": at % 3,
        }
        for at in range(24)
    ]
    (folder / "guard.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def begun(
    kind: type[Run], to: Path, models: Path, given: Collection, setting: Setting = UNWATCHED
) -> Any:
    """A run of this kind that is about to go through its stages."""
    run = RUNS[kind](RunFolder(to), models, setting)
    run.begin(given, [str(models / "guard.jsonl")])
    return run


def finished(run: Any) -> Verdict:
    found = run.verdict_if_judged("test", ALLOWED)
    assert isinstance(found, Verdict)
    return found


def result(folder: Path) -> dict[str, bytes]:
    """What a run comes to: all that it made, byte by byte, but for times."""
    kept = ("verdict.json", "merge.json", "baseline.json", "data.json")
    made = [
        file
        for part in ("model", "adapter", "map")
        for file in (folder / part).rglob("*")
        if file.is_file()
    ]
    files = [folder / name for name in kept] + made
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(files)}


def stopping(stage: str) -> Setting:
    """A setting in which a run stops in this stage, or right behind it where it says nothing."""

    @contextmanager
    def watch(title: str) -> Iterator[Progress]:
        told = 0

        def progress(done: int, total: int, note: str = "") -> None:
            nonlocal told
            told += note.split("  ")[0].startswith(stage)
            if told == 2:
                raise Stopped

        yield progress

    return Setting(watch)


def planted() -> Collection:
    """The tiny collection with a train query and a document that are near copies of tested ones."""
    whole = tiny_collection()
    test = whole.split("test")
    query, judged = test.query_texts[0].upper(), test.relevance[test.query_ids[0]]
    text = whole.document_texts[whole.document_positions(list(judged))][0].upper()
    more = {
        "queries": {"id": ["leak"], "text": [query], "group": [""]},
        "documents": {"id": ["copy"], "title": [""], "text": [text], "group": [""]},
        "judgements": {
            "query": ["leak"],
            "document": ["d0"],
            "relevance": [1],
            "split": ["train"],
        },
    }
    tables = {
        name: pa.concat_tables(
            [getattr(whole, name), pa.table(rows, schema=getattr(whole, name).schema)]
        )
        for name, rows in more.items()
    }
    return replace(whole, **tables)


def test_every_kind_is_here() -> None:
    found = {
        kind
        for module in pkgutil.iter_modules(runs.__path__)
        for _, kind in inspect.getmembers(importlib.import_module(f"{runs.__name__}.{module.name}"))
        if inspect.isclass(kind) and issubclass(kind, Run) and not inspect.isabstract(kind)
    }
    # a trial has no verdict, a joined model learns from images, and a staged run is several tunes
    # (tests/train/runs)
    assert {kind.__name__ for kind in found - set(RUNS)} == {"Trial", "JoinedRun", "StagedRun"}
    assert set(RUNS) <= found


@kinds
def test_stopped_in_each_stage_it_ends_as_an_unbroken_one(
    kind: type[Run], models: Path, tmp_path: Path
) -> None:
    given = tiny_collection()
    whole = begun(kind, tmp_path / "whole", models, given)
    verdict = finished(whole)
    names = [stage.name for stage in whole.stages(())]
    for name in names:
        run = begun(kind, tmp_path / "stopped", models, given, stopping(name))
        with pytest.raises(Stopped):
            finished(run)
    last = begun(kind, tmp_path / "stopped", models, given)
    assert finished(last) == verdict
    assert result(tmp_path / "stopped") == result(tmp_path / "whole")
    held = json.loads((tmp_path / "whole" / "verdict.json").read_text())
    assert verdict_of(held) == verdict
    assert (verdict.tuned.noun, verdict.baseline.noun) == whole.nouns
    assert [guard.guard for guard in verdict.forgotten] == ["guard"]


@kinds
def test_nothing_that_is_held_out_is_learned_from(
    kind: type[Run], models: Path, tmp_path: Path
) -> None:
    given = planted()
    run = begun(kind, tmp_path / "run", models, given)
    test = given.split("test")
    learned = {text.lower() for text in run.queries_learned()}
    assert learned.isdisjoint(text.lower() for text in test.query_texts)
    judged = sorted({document for found in test.relevance.values() for document in found})
    tested = {text.lower() for text in given.document_texts[given.document_positions(judged)]}
    assert tested.isdisjoint(text.lower() for text in run.documents_learned())


@kinds
def test_a_model_that_knows_the_test_is_refused(
    kind: type[Run], models: Path, tmp_path: Path
) -> None:
    given = tiny_collection()
    tiny_model(tmp_path / "encoder")
    tiny_model(tmp_path / "other", seed=1)
    tiny_cross(tmp_path / "cross", max_tokens=96)
    (tmp_path / "guard.jsonl").write_bytes((models / "guard.jsonl").read_bytes())
    keep_trained_on([], tmp_path / "encoder", TrainingRun.of(given.split("test").query_texts))
    run = begun(kind, tmp_path / "run", tmp_path, given)
    with pytest.raises(InputError, match=r"was trained on 30 of the 30 queries of tiny / test"):
        finished(run)


@kinds
def test_a_guard_that_loses_too_much_takes_the_training_back(
    kind: type[Run], models: Path, tmp_path: Path
) -> None:
    run = begun(kind, tmp_path / "run", models, tiny_collection())
    run.margin = -3.0  # any share of what was trained loses more
    verdict = finished(run)
    assert run.chosen == 0
    rows = run.folder.read("merge.json")
    assert all(row["allowed"] is False for row in rows if row["guards"] and row["ratio"])
    assert not verdict.forgotten[0].kept
