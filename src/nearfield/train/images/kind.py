"""How models of one layout are trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from nearfield.train.images.vectors import AsItStands
from nearfield.train.recipe import Recipe


class ImageTraining(NamedTuple):
    """`start` gives the recipe of a folder where none is given, and `begin` (folder, recipe,
    precision=, device=) the model before its first step. Both take what the layout read.
    """

    start: Callable[[Any], Recipe]
    begin: Callable[..., AsItStands]
