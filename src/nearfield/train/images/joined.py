"""A model that was joined of two, in training."""

from __future__ import annotations

from functools import partial

from nearfield.encoders.image.images import ImageEncoder
from nearfield.encoders.text import TextEncoder
from nearfield.formats.towers.joined import JoinedFolder
from nearfield.formats.towers.towers import IMAGE_TOWER, TEXT_TOWER
from nearfield.models.image.trainable import TrainableJoined
from nearfield.models.saving.save_joined import save_joined
from nearfield.runtimes.torch_runtime import TorchRuntime
from nearfield.train.engine.lora import add_lora, tower_lora
from nearfield.train.images.kind import ImageTraining
from nearfield.train.images.vectors import AsItStands, vectors_of
from nearfield.train.recipe import Negatives, ObjectiveChoice, Recipe, Schedule

DEFAULT = Recipe(
    objective=ObjectiveChoice("symmetric", temperature=0.07, learn_temperature=True),
    negatives=Negatives(per_query=0),
    schedule=Schedule(epochs=30.0, batch=128, evaluations=10),
)


def start(folder: JoinedFolder) -> Recipe:
    """CLIP's loss at CLIP's first temperature. Both towers are locked, so that epochs cost
    little.
    """
    return DEFAULT


def begin(folder: JoinedFolder, recipe: Recipe, *, precision: str, device: str) -> AsItStands:
    """The model with what the recipe trains of it. Raises ModelError where it cannot be opened, or
    has no layer for the adapters.
    """
    schedule = recipe.schedule
    model = TrainableJoined(folder, precision=precision, device=device, towers=schedule.towers)
    if TEXT_TOWER in schedule.towers:
        add_lora(model.text, recipe)
    if IMAGE_TOWER in schedule.towers:
        network = model.tower.network
        model.tower.adapters = tower_lora(network, recipe, where=folder.image.path)
    # times the schedule's rate, this is the image tower's
    scale = schedule.image_rate / schedule.rate
    model.rates = {**model.rates, **dict.fromkeys(model.image_weights(), scale)}
    text = TextEncoder(folder.text, TorchRuntime(model.text))
    images = vectors_of(ImageEncoder(model.tower), recipe)
    return AsItStands(model, text, images, partial(save_joined, model))


KIND = ImageTraining(start, begin)
