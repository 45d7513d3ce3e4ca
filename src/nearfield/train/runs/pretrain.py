"""Pre-train a model on texts alone, before it is tuned on pairs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from nearfield.data.collection import Collection
from nearfield.encoders.text import TextEncoder
from nearfield.errors import CollectionError
from nearfield.formats.model_folder import read_model_folder
from nearfield.models.find import model_path
from nearfield.models.model import TextModel
from nearfield.models.saving.save import save_encoder
from nearfield.runtimes.torch_runtime import TorchRuntime
from nearfield.store.fingerprint import model_hash
from nearfield.store.run import RunFolder
from nearfield.train.engine.environment import device_here, environment, same_environment
from nearfield.train.engine.loop import train
from nearfield.train.engine.lora import add_lora
from nearfield.train.pretraining import PRETRAINING
from nearfield.train.recipe import Recipe, default_recipe, refuse_beyond_texts
from nearfield.train.runs.candidate import ByVectors
from nearfield.train.runs.conclude import forgotten
from nearfield.train.runs.guard import GuardRule, guard_values, guards_of
from nearfield.train.runs.run import data_of, locked_run
from nearfield.train.setting import UNWATCHED, Setting

GUARDS = "guards.json"


def pretrain(
    model: str,
    data: object,
    *,
    objective: str,
    to: str | Path,
    recipe: Recipe | None = None,
    guards: Sequence[str] | None = None,
    setting: Setting = UNWATCHED,
) -> Path:
    """Train `model` on the documents of `data`, which `open_collection` takes, by the pre-training
    `objective`, and return the folder of the result, `to`/model.

    No query and no judgement is looked at. `to` is the run folder: an interrupted run goes on where
    it was, to the same weights. What each of the `guards` (see `tune`) lost is in guards.json: it
    decides nothing. Raises InputError for an unknown objective and where the folder holds another
    run, and ModelError where the model cannot be trained by the objective.
    """
    kind = PRETRAINING[objective]
    collection = _readable(data)
    base = model_path(model)
    known = read_model_folder(base).contract
    asked = kind.recipe(recipe or default_recipe(known.kind))
    refuse_beyond_texts(asked, known)
    texts = collection.document_texts
    with locked_run(to, model) as folder:
        folder.told = setting.rows
        device = device_here(setting.device)
        precision = _precision(folder, asked, device)
        folder.identify("recipe.json", dataclasses.asdict(asked))
        held, _ = guards_of(guards, GuardRule(asked.measure, asked.pool, learned=texts))
        facts = {
            "model": model,
            "files": model_hash(base),
            "objective": objective,
            "collection": collection.name,
            "fingerprint": collection.fingerprint,
            "guards": {guard.name: guard.fingerprint for guard in held},
        }
        folder.identify("data.json", facts)
        made = folder.path / "model"
        if made.exists():
            return made
        trained = TextModel.open(base, precision=precision, device=device)
        add_lora(trained, asked)
        encoder = TextEncoder(trained.folder, TorchRuntime(trained))
        learner = kind.learner(trained, asked.schedule.max_tokens)
        # of the weights as they stand: before training, and again after it
        values = partial(guard_values, held, ByVectors(encoder), reporting=True)
        before = folder.once("baseline.json", values)
        with setting.watch(f"pretrain {known.name} by {objective}") as progress:
            material = kind.material(encoder, texts, asked)
            # no query says which step was the best one: the last weights are kept
            train(learner, material, asked, run=folder, measure=None, progress=progress)
        folder.write(GUARDS, forgotten(held, before, values(), asked.merge.margin))
        save_encoder(trained, made, name=f"{known.name}-{collection.name}-{objective}")
        return made


def _readable(data: object) -> Collection:
    """The data. Raises CollectionError for less than two texts: of one, nothing can be told
    apart.
    """
    collection = data_of(data)
    count = len(collection.documents)
    if count < 2:
        raise CollectionError(f"{collection.name}: has {count} texts; wanted at least 2")
    return collection


def _precision(folder: RunFolder, recipe: Recipe, device: str) -> str:
    """The precision that the run was begun with; `folder` keeps in what environment that was."""
    here = environment(recipe.schedule.precision, device)
    return same_environment(folder.once("environment.json", lambda: here), here)
