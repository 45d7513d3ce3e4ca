"""A checkpoint of two towers, such as CLIP's and SigLIP's, in training."""

from __future__ import annotations

from functools import partial

from nearfield.encoders.image.two_tower import TwoTowerEncoder
from nearfield.formats.towers.towers import IMAGE_TOWER, TEXT_TOWER, Towers
from nearfield.models.image.trainable_towers import TrainableTowers
from nearfield.models.saving.save_towers import save_towers
from nearfield.models.two_tower import NETWORKS, TwoTower
from nearfield.train.engine.lora import tower_lora
from nearfield.train.fields import need
from nearfield.train.images.kind import ImageTraining
from nearfield.train.images.vectors import AsItStands, vectors_of
from nearfield.train.recipe import Negatives, ObjectiveChoice, Recipe, Schedule


def start(folder: Towers) -> Recipe:
    """The text tower learns beside the locked image tower, by the loss that the model was trained
    with, from its temperature and bias on.
    """
    model = TwoTower(folder)
    temperature = 1 / model.logits.scale
    objective = ObjectiveChoice("symmetric", temperature, learn_temperature=True)
    if model.has_bias:  # SigLIP's kin, which were trained to tell each pair apart by itself
        bias = {"bias": model.logits.bias}
        objective = ObjectiveChoice("sigmoid", temperature, learn_temperature=True, parameters=bias)
    return Recipe(
        objective=objective,
        negatives=Negatives(per_query=0),
        schedule=Schedule(epochs=5.0, batch=128, rate=1e-5, image_rate=1e-5, towers=(TEXT_TOWER,)),
    )


def begin(folder: Towers, recipe: Recipe, *, precision: str, device: str) -> AsItStands:
    """The model, in float32, with what the recipe trains of it. Raises ModelError where it cannot
    be opened, RecipeError where nothing of it would learn.
    """
    schedule = recipe.schedule
    need(bool(schedule.towers), "schedule.towers", "empty", "text, image or both")
    model = TrainableTowers(folder, device=device, towers=schedule.towers)
    for tower in schedule.towers:
        network = model.backbone.get_submodule(NETWORKS[tower])
        adapters = tower_lora(network, recipe, where=folder.path)
        if adapters is not None:
            model.tower.adapters[tower] = adapters
    if IMAGE_TOWER in schedule.towers:
        # times the schedule's rate, this is the image tower's
        scale = schedule.image_rate / schedule.rate
        model.rates |= dict.fromkeys(model.weights_of(IMAGE_TOWER), scale)
    encoder = TwoTowerEncoder(model.tower)
    return AsItStands(model, encoder, vectors_of(encoder, recipe), partial(save_towers, model))


KIND = ImageTraining(start, begin)
