"""What a way to learn from texts alone states of itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from nearfield.encoders.text import TextEncoder
from nearfield.models.model import TextModel
from nearfield.models.trainable import Trainable
from nearfield.train.data.batch import Material
from nearfield.train.data.sampling import TrainingPairs
from nearfield.train.recipe import Recipe


class Pretraining(ABC):
    """A pre-training objective: what is learned from texts, and by which model."""

    def recipe(self, recipe: Recipe) -> Recipe:
        """The recipe with what this objective decides. Raises InputError for what it cannot be
        given.
        """
        return recipe

    def learner(self, model: TextModel, max_tokens: int) -> Trainable:
        """What is trained: the model as it stands, or with what is dropped after training."""
        return model

    @abstractmethod
    def material(self, encoder: TextEncoder, texts: Sequence[str], recipe: Recipe) -> Material:
        """What a step sees of the texts, which may be memory-mapped."""


def one_of_each(count: int) -> TrainingPairs:
    """`count` rows, each of which is its own query and positive."""
    rows = np.arange(count)
    return TrainingPairs(rows, rows, np.empty((count, 0), np.int64))
