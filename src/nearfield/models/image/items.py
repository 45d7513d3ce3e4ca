"""What goes through a model of images and text in training, in place of packed tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from torch import Tensor

from nearfield.types.arrays import Integers

PATCH = 16 * 16 * 3  # numbers that are as much work as a token: a patch of a usual transformer


@dataclass(frozen=True)
class Made:
    """What a locked model made of n items: `vectors` (n, width). `ids` and `items` (n,) are as in
    Packed; `image`: they are yet to be projected.
    """

    ids: Integers
    items: Integers
    vectors: Tensor
    image: bool

    def parts(self) -> list[Made]:
        """Mini-batches: this one, which is little work."""
        return [self]


@dataclass(frozen=True)
class Prepared:
    """n items as the tower that learns takes them: `given` are its arguments by name. `items` (n,)
    are as in Packed; `part` go through it at once.
    """

    items: Integers
    given: Mapping[str, Tensor]
    argument: ClassVar[str]
    numbers: ClassVar[int]
    part: ClassVar[int]

    @property
    def ids(self) -> Integers:
        """As many as there are tokens, or what is as much work."""
        # their number alone is looked at, where batches are cut and speeds are said
        return np.zeros(self.given[self.argument].numel() // self.numbers, np.int64)

    def parts(self) -> list[Self]:
        """Mini-batches."""
        found = []
        for start in range(0, len(self.items), self.part):
            some = slice(start, start + self.part)
            given = {name: values[some] for name, values in self.given.items()}
            found.append(type(self)(self.items[some], given))
        return found


class Shown(Prepared):
    """Images."""

    argument = "pixel_values"
    numbers = PATCH
    part = 16


class Written(Prepared):
    """Texts, padded to one length."""

    argument = "input_ids"
    numbers = 1
    part = 32
