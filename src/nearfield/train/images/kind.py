"""How models of one layout are trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from nearfield.train.images.vectors import AsItStands
from nearfield.train.recipe import Recipe


class Begin(Protocol):
    """What opens a folder for training."""

    def __call__(self, folder: Any, recipe: Recipe, *, precision: str, device: str) -> AsItStands:
        """The model with what the recipe trains of it, before the first step."""


class ImageTraining(NamedTuple):
    """`start` gives the recipe of a folder where none is given, `begin` the model in training.
    Both take what the layout read.
    """

    start: Callable[[Any], Recipe]
    begin: Begin
