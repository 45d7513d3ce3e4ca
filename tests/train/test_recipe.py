"""Recipes: defaults, TOML, and what is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from nearfield.errors import RecipeError
from nearfield.report.reproduce import toml
from nearfield.train.data.sources import Source
from nearfield.train.objectives.compose import objective_of
from nearfield.train.pretraining import PRETRAINING
from nearfield.train.recipe import Recipe, default_recipe
from tiny_data import tiny_collection


def test_a_file_changes_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text("seed = 7\n[schedule]\nepochs = 1\n[objective]\ndims = [32, 16]\n")
    recipe = Recipe.open(path)
    assert (recipe.seed, recipe.schedule.epochs, recipe.objective.dims) == (7, 1.0, (32, 16))
    assert recipe.schedule.batch == Recipe().schedule.batch


def test_a_recipe_in_a_run_folder_is_read_back_the_same() -> None:
    recipe = Recipe.of({"seed": 3, "merge": {"ratios": [0.5, 1.0]}})
    assert Recipe.of(json.loads(json.dumps(dataclasses.asdict(recipe)))) == recipe


def test_the_toml_that_a_report_shows_gives_the_same_recipe(tmp_path: Path) -> None:
    recipe = Recipe.of({"negatives": {"per_query": 2, "sources": ["bm25"]}})
    path = tmp_path / "recipe.toml"
    path.write_text(toml(json.loads(json.dumps(dataclasses.asdict(recipe)))))
    assert Recipe.open(path) == recipe


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"sead": 1}, "there is no key sead; a recipe has .*Did you mean 'seed'"),
        (
            {"schedule": {"epoch": 1}},
            r"there is no key schedule\.epoch; schedule has .*Did you "
            r"mean 'epochs'",
        ),
        ({"schedule": 3}, r"schedule is 3; wanted a table \[schedule\]"),
        ({"schedule": {"batch": "64"}}, "schedule.batch is '64'; wanted int"),
        ({"schedule": {"batch": 1}}, "schedule.batch is 1; wanted at least 2"),
        ({"schedule": {"rate": 0.0}}, "schedule.rate is 0.0; wanted more than 0"),
        ({"schedule": {"table_rate": 0.0}}, "schedule.table_rate is 0.0; wanted more than 0"),
        (
            {"schedule": {"precision": "int4"}},
            "schedule.precision is int4; wanted auto, float32 or bfloat16",
        ),
        ({"objective": {"temperature": -1.0}}, "objective.temperature is -1.0"),
        (
            {"negatives": {"sources": ["google"]}},
            "negatives.sources is .*; wanted some of bm25, model",
        ),
        ({"negatives": {"skip": 30}}, "negatives.skip is 30"),
        ({"merge": {"ratios": []}}, "merge.ratios is "),
        ({"merge": {"ratios": [1.5]}}, "merge.ratios is "),
        ({"objective": {"dims": ["64"]}}, r"objective\.dims\[0\] is '64'; wanted int"),
        ({"objective": {"dims": [0]}}, "objective.dims is "),
        ({"objective": {"rotate": True}, "lora": {"rank": 4}}, "rotate is true; wanted false"),
        ({"stages": [{"objective": {"rotate": True}}]}, "rotate is true; wanted false beside lora"),
        ({"objective": {"dims": 64}}, r"dims is 64; wanted list, as in dims = \[\]"),
        ({"objective": {"dims": [True]}}, r"objective\.dims\[0\] is True"),
        ({"objective": {"dims": [8], "dims_per_step": 1}}, "dims_per_step is 1; wanted 0 for all"),
        ({"distil": {"whole": 1.0}}, "distil.whole is 1.0; wanted 0 without objective.dims"),
        (
            {"negatives": {"margin": float("nan")}},
            "negatives.margin is nan; wanted a finite number",
        ),
        ({"schedule": {"rate": float("inf")}}, "schedule.rate is inf"),
        ({"schedule": {"clip": 0.0}}, "schedule.clip is 0.0"),
        ({"merge": {"ratios": ["a"]}}, r"merge\.ratios\[0\] is 'a'; wanted float"),
        ({"measure": "R@110"}, "measure is R@110; wanted a cutoff of at most 100"),
        ({"measure": "nDGC@10"}, "there is no measure 'nDGC@10'"),
        ({"seed": -1}, "seed is -1; wanted 0 or more"),
        ({"seed": 1 << 32}, "seed is 4294967296; wanted 0 or more, and below 2"),
        ({"negatives": {"sources": []}}, r"negatives.sources is \[\]; wanted some of bm25, model"),
        (
            {"objective": {"name": "softmax", "parameters": {"classes": 1e12}}},
            "objective: parameters.classes is 1000000000000.0; wanted a whole number from 2 to 10,000",
        ),
        (
            {"objective": {"name": "infonce", "parameters": {"temperature": -1}}},
            "objective: infonce has no temperature; it has filter_above, hardness",
        ),
        (
            {"objective": {"name": "triplet", "parameters": {"margin": -1}}},
            "objective: parameters.margin is -1.0; wanted 0 or more",
        ),
        (
            {"objective": {"name": "softmax", "parameters": {"classes": 2.5}}},
            "objective: parameters.classes is 2.5; wanted a whole number from 2 to 10,000",
        ),
        (
            {"data": {"sets": [{"pairs": "x", "prompts": {"qeury": "search: "}}]}},
            r"data.sets\[0\].prompts is \['qeury'\]; wanted query and document alone",
        ),
        (
            {"data": {"sets": ["x", {"objective": {"name": "infonce", "memory": 9}}]}},
            r"data.sets\[1\].objective.memory is 9; wanted left out: \[objective\] states it",
        ),
        (
            {"data": {"sets": ["x", {"objective": {"name": "infonce", "layer_weight": 0.5}}]}},
            r"data.sets\[1\].objective.layer_weight is 0.5; wanted left out",
        ),
        (
            {"data": {"sets": ["x", {"objective": {"name": "infonce", "dims": [8]}}]}},
            r"data.sets\[1\].objective.dims is \[8\]; wanted left out",
        ),
    ],
)
def test_what_is_refused(facts: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Recipe.of(facts)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="could not be read"):
        Recipe.open(tmp_path / "none.toml")
    (tmp_path / "broken.toml").write_text("seed = \n")
    with pytest.raises(RecipeError, match=r"broken\.toml: is not TOML"):
        Recipe.open(tmp_path / "broken.toml")


def test_an_objective_is_named_by_its_table_or_alone() -> None:
    named = Recipe.of({"objective": {"name": "infonce"}})
    assert Recipe.of({"objective": "infonce"}) == named
    with pytest.raises(
        RecipeError, match=r"objective: there is no objective .infonse.; .*'infonce'"
    ):
        Recipe.of({"objective": "infonse"})
    with pytest.raises(RecipeError, match="objective: infonce has no margin; it has filter_above"):
        Recipe.of({"objective": {"name": "infonce", "parameters": {"margin": 1}}})
    with pytest.raises(RecipeError, match="there is no objective ''"):
        Recipe.of({"objective": {"parameters": {"margin": 1}}})


def test_a_data_set_has_the_temperature_of_its_kind_unless_it_states_one() -> None:
    collection = tiny_collection(queries=8)
    stated = {"pairs": "train", "objective": {"name": "own-candidates", "temperature": 0.5}}
    sets = [{"pairs": "train", "objective": "own-candidates"}, stated]
    recipe = Recipe.of({"data": {"sets": sets}}, start=default_recipe("sparse"))
    opened = [Source.open(each, recipe, collection) for each in recipe.data.sets]
    assert [each.recipe.objective.temperature for each in opened] == [1.0, 0.5]


RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))
KINDS = {"splade": "sparse", "colbert": "multi-vector", "three-heads": "several"}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_shipped_recipe_opens_and_begins_with_its_command(path: Path) -> None:
    recipe = Recipe.open(path, kind=KINDS.get(path.stem, "dense"))
    for stage in (recipe, *recipe.stages):
        if stage.objective.name not in PRETRAINING:
            objective_of(stage)
    assert path.read_text(encoding="utf-8").startswith("# nearfield ")
