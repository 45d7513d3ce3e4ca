"""Recipes of several stages and of several data sets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nearfield.data.collection import Collection
from nearfield.encoders.load import load
from nearfield.errors import InputError, RecipeError
from nearfield.models.model import TextModel
from nearfield.report.facts import read_run
from nearfield.report.reproduce import toml
from nearfield.store.run import RunFolder
from nearfield.train.data.batch import Asked
from nearfield.train.engine.trainer import Trainer
from nearfield.train.recipe import Recipe
from nearfield.train.runs.tune import tune
from nearfield.train.setting import UNWATCHED
from nearfield.train.tuning.tuning_run import TuningRun
from nearfield.types.progress import silent
from tiny import WORDS, tiny_model

pytestmark = pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
SCHEDULE = {
    "epochs": 1,
    "batch": 8,
    "rate": 3e-4,
    "evaluations": 2,
    "precision": "float32",
    "freeze_embeddings": False,
}


def lines(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def clicks(path: Path) -> str:
    words = np.random.default_rng(0)
    rows = [" ".join(words.choice(WORDS, 6)) for _ in range(24)]
    return lines(path, [{"query": row[:14], "positive": row} for row in rows])


def scored(path: Path) -> str:
    words = np.random.default_rng(1)
    rows = [" ".join(words.choice(WORDS, 4)) for _ in range(11)]
    return lines(
        path,
        [
            {"sentence1": row, "sentence2": " ".join(row.split()[::-1]), "score": at / 10}
            for at, row in enumerate(rows)
        ],
    )


def recipe_of(folder: Path) -> Recipe:
    """Texts alone; two files and the train split; a teacher."""
    return Recipe.of(
        {
            "pool": 60,
            "schedule": SCHEDULE,
            "merge": {"ratios": [0.5, 1.0]},
            "stages": [
                {"objective": "simcse", "schedule": {"epochs": 0.5}},
                {
                    "objective": {"layer_weight": 0.5},
                    "data": {
                        "mix": 0.5,
                        "sets": [
                            clicks(folder / "clicks.jsonl"),
                            {"pairs": scored(folder / "scored.jsonl"), "objective": "cosent"},
                            {"pairs": "train", "prompts": {"query": "query : "}},
                        ],
                    },
                },
                {
                    "distil": str(tiny_model(folder / "teacher", seed=5)),
                    "lora": {"rank": 2},
                    "objective": {"memory": 9},
                },
            ],
        }
    )


class Killed(Exception):
    """In place of kill -9."""


def test_killed_in_each_stage_it_ends_in_the_same_weights(
    tmp_path: Path, tiny: Path, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(tmp_path)

    def run(to: str) -> Any:
        return tune(str(tiny), collection, to=tmp_path / to, recipe=recipe, guards=())

    verdict, whole = run("whole"), tmp_path / "whole"
    counts = [
        sum(
            "loss" in line
            for line in (whole / "stages" / place / "training.jsonl").read_text().splitlines()
        )
        for place in "123"
    ]
    true, made = Trainer.step, [0]

    def step(self: Any, number: int, batch: Any) -> float:
        made[0] += 1
        if made[0] in (3, 3 + counts[0], 3 + counts[0] + counts[1]):
            raise Killed
        return true(self, number, batch)

    monkeypatch.setattr(Trainer, "step", step)
    for _ in counts:
        with pytest.raises(Killed):
            run("killed")
    assert run("killed") == verdict
    for place in ("model", "stages/1/model", "stages/2/model", "stages/3/model"):
        one, other = (tmp_path / to / place / "model.safetensors" for to in ("whole", "killed"))
        assert one.read_bytes() == other.read_bytes(), place
    assert read_run(whole).verdict == verdict
    assert Recipe.of(json.loads((whole / "recipe.json").read_text())).stages == recipe.stages


def test_the_command_line_compares_the_last_stage_with_the_first_model(
    tmp_path: Path, tiny: Path, collection: Collection, cli: Callable[..., Any]
) -> None:
    stages = [{"objective": "cropping"}, {"schedule": {"rate": 1e-3}}]
    facts = {"pool": 60, "schedule": SCHEDULE, "merge": {"ratios": [1.0]}, "stages": stages}
    collection.save(tmp_path / "data")
    (tmp_path / "recipe.toml").write_text(toml(facts))
    words = ["tune", tiny, "--on", tmp_path / "data", "--recipe", tmp_path / "recipe.toml"]
    run = tmp_path / "run"
    shown = cli(*words, "--guard", "none", "--device", "cpu", "--to", run, "--json")
    assert shown.exit_code == 0, shown.stderr
    assert (run / "report.html").is_file()
    found = json.loads(shown.stdout)["verdict"]
    assert (found["baseline"]["name"], found["tuned"]["name"]) == ("tiny-bert", "tiny-bert tuned")
    texts = list(collection.document_texts[:5])
    chosen = json.loads((run / "merge.json").read_text())[-1]["chosen"]
    last = run / "stages" / "2" / "model" if chosen else tiny
    first, left = (np.asarray(load(path).encode(texts)) for path in (last, run / "model"))
    np.testing.assert_allclose(first, left, atol=1e-6)


def test_a_stage_on_texts_alone_is_refused_before_any_begins(
    tmp_path: Path, tiny: Path, collection: Collection
) -> None:
    stages = [{}, {"objective": "cropping", "distil": "mpnet", "negatives": {"per_query": 1}}]
    with pytest.raises(RecipeError, match=r"distil\.teacher is set; wanted none"):
        tune(
            str(tiny),
            collection,
            to=tmp_path / "run",
            recipe=Recipe.of({"stages": stages}),
            guards=(),
        )
    assert not (tmp_path / "run").exists()


def test_a_batch_is_of_one_data_set_with_its_prompts_and_objective(
    tmp_path: Path, tiny: Path, collection: Collection
) -> None:
    recipe = recipe_of(tmp_path).stages[1]
    run = TuningRun(str(tiny), RunFolder(tmp_path / "run"), recipe, UNWATCHED)
    run.begin(collection, ())
    for do in (run.encode_documents, run.mine):
        do(silent)
    data, model = run.data, TextModel.open(tiny)
    sizes = data.pairs.sizes
    assert sizes == (24, 11, 60)
    ends, seen = np.cumsum(sizes), set()
    for rows in data.pairs.epoch(8, seed=0, epoch=0):
        (part,) = set(np.searchsorted(ends, rows, side="right").tolist())
        batch = data.prepare(rows, model)
        alone = data.parts[part].prepare(
            rows - int(ends[part] - sizes[part]), model, Asked(frozenset(batch.columns))
        )
        assert [one.ids.tolist() for one in batch.parts] == [
            one.ids.tolist() for one in alone.parts
        ]
        assert batch.objective.name == ("cosent" if part == 1 else "")
        assert ("score" in batch.columns) == (part == 1)
        seen.add(part)
    assert seen == {0, 1, 2}
    plain, prompted = (
        source.training_data(run.encoder, run.negatives, run.corpus.same).queries.tokens([0])
        for source in (run.sources[0], run.sources[2])
    )
    words = [run.encoder.tokeniser.id_of(word) for word in ("query", ":")]
    assert prompted.of(0).tolist()[1:3] == words
    assert plain.prompt_tokens < prompted.prompt_tokens


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"stages": 3}, r"stages is 3; wanted tables \[\[stages\]\]"),
        ({"stages": [{"schedule": {"batch": 1}}]}, r"stages\[0\]: schedule.batch is 1"),
        ({"stages": [{"epochs": 1}]}, r"stages\[0\]: there is no key epochs"),
        ({"stages": [{"stages": [{}]}]}, r"stages\[0\].stages: a stage has none of its own"),
        ({"data": {"mix": 2}}, "data.mix is 2.0; wanted 0 to 1"),
        ({"data": {"sets": [{"pair": "x"}]}}, r"no key data\.sets\[0\]\.pair; .*Did you mean"),
        ({"data": {"sets": [{"pairs": "x", "objective": "cosent"}]}}, "a data set alone takes"),
        ({"data": {"sets": ["x", {"objective": "softmax"}]}}, "learns no weights beside"),
        ({"data": {"sets": ["x", {"objective": "guided"}]}}, "one that asks no guide"),
        ({"data": {"sets": ["x", "y"]}, "distil": "z"}, "data.sets is 2; wanted at most one"),
    ],
)
def test_what_a_recipe_refuses(facts: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Recipe.of(facts)


def test_what_a_run_refuses(tmp_path: Path, tiny: Path, collection: Collection) -> None:
    def run(facts: dict[str, Any], **also: Any) -> None:
        asked = Recipe.of({"schedule": SCHEDULE, **facts})
        tune(str(tiny), collection, to=tmp_path / "run", recipe=asked, guards=(), **also)

    with pytest.raises(InputError, match="simcse learns from texts alone"):
        run({"objective": "simcse"})
    with pytest.raises(InputError, match=r"objective\.dims has 64"):
        run({"stages": [{}, {"objective": {"dims": [64]}}]})
    with pytest.raises(RecipeError, match=r"stages\[0\]\.lora\.per_role is true"):
        run({"stages": [{"lora": {"rank": 2, "per_role": True}}]})
    with pytest.raises(InputError, match="beside a recipe that names its data sets"):
        run({"stages": [{}]}, pairs="clicks.jsonl")
    with pytest.raises(InputError, match="cosent needs score"):
        run({"data": {"sets": [clicks(tmp_path / "clicks.jsonl"), {"objective": "cosent"}]}})
