"""Tune an embedding model: from data to a better model and its verdict."""

from __future__ import annotations

from collections.abc import Collection as Names
from collections.abc import Sequence
from pathlib import Path

from nearfield.errors import InputError
from nearfield.formats.model_folder import read_model_folder
from nearfield.formats.towers.find import image_layout
from nearfield.models.find import image_model_path, model_path
from nearfield.train.recipe import Recipe, default_recipe
from nearfield.train.runs.joined import JoinedRun, image_training, refuse_for_images
from nearfield.train.runs.run import data_of, locked_run
from nearfield.train.setting import UNWATCHED, Setting
from nearfield.train.tuning.staged import StagedRun
from nearfield.train.tuning.tuning_run import TuningRun, learning_from
from nearfield.types.verdict import Verdict


def tune(
    model: str,
    data: object,
    *,
    to: str | Path,
    recipe: Recipe | None = None,
    guards: Sequence[str] | None = None,
    allow: Names[str] = (),
    pairs: str = "",
    setting: Setting = UNWATCHED,
) -> Verdict:
    """Tune `model` on `data`, which `open_collection` takes, and say whether that made it better on
    the test split, which nothing before the end has seen.

    Without a `recipe` it is the default one of the model's kind. `to` is the run folder: a run that
    was interrupted goes on where it was, to the same result; a finished one is read. `guards` are
    collections or scored pairs (paths or embedded names) that the tuned model must not lose more
    than the recipe's margin on: pydoc-topics, which every machine has, where None, and () for none.
    `allow` names doctor's errors to go on with, and "trained-on" for a model that was trained on
    queries that this run measures. `pairs` are what `open_pairs` takes, of any size, and are
    learned from instead of the collection's train split, with their own negatives and none mined
    (see `StreamedPairs`): they are the recipe's one data set. A model of images and text learns
    from a collection of images whose queries are captions. `setting` says who watches.
    Raises DoctorRefusal, RecipeError, CollectionError, ModelError, and InputError when the folder
    holds another run.
    """
    folder = image_model_path(model)
    joined = image_layout(folder) is not None
    if joined:
        model = str(folder)  # a name of the catalog becomes its folder
    if joined and pairs:
        raise InputError("pairs are texts; a model of images and text learns from the images")
    if not isinstance(recipe, Recipe | None):
        raise InputError(
            f"recipe is {recipe!r}; wanted a Recipe, such as Recipe.open makes of a file and "
            "Recipe.of of a dict"
        )
    recipe = learning_from(pairs, recipe or tuning_recipe(model))
    if joined:
        refuse_for_images(recipe, setting)
    collection = data_of(data)
    setting = setting.with_source(data)
    made: type[JoinedRun | TuningRun] = TuningRun
    if joined:
        made = JoinedRun
    elif recipe.stages:
        made = StagedRun
    with locked_run(to, model) as place:
        run = made(model, place, recipe, setting)
        run.begin(collection, guards)
        return run.verdict(f"tune {run.encoder.contract.name}", allow)


def tuning_recipe(model: str, path: Path | None = None) -> Recipe:
    """The model's default recipe, or what a TOML file makes of it. Raises as Recipe.open does."""
    folder = image_model_path(model)
    if image_layout(folder) is not None:
        kind, facts = image_training(folder)
        start = kind.start(facts)
    else:
        start = default_recipe(read_model_folder(model_path(model)).contract.kind)
    return start if path is None else Recipe.open(path, start=start)
