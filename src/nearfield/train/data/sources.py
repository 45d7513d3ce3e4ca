"""The data sets of a recipe, opened for a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from nearfield.data.collection import Collection
from nearfield.data.open import open_pairs
from nearfield.encoders.text import TextEncoder
from nearfield.train.data.batch import PLAIN, Asked, TextBatch
from nearfield.train.data.leakage import train_positives
from nearfield.train.data.prepare import training_data
from nearfield.train.data.sampling import MixedPairs, TrainingPairs
from nearfield.train.data.streamed import StreamedPairs
from nearfield.train.data.training_data import TrainingData
from nearfield.train.objectives.compose import objective_of
from nearfield.train.recipe import TRAIN, DataSet, ObjectiveChoice, Recipe
from nearfield.types.arrays import Positions


@dataclass(frozen=True)
class Source:
    """The data set `asked` of a run on `collection`; `recipe` is the run's with what batches of
    this data set minimise. `pairs`: None for the train split.
    """

    asked: DataSet
    recipe: Recipe
    collection: Collection
    pairs: StreamedPairs | None

    @classmethod
    def open(cls, asked: DataSet, recipe: Recipe, collection: Collection) -> Source:
        """Raises InputError as `open_pairs` and `StreamedPairs.check` do."""
        own = asked.objective
        if own != ObjectiveChoice():
            # the model's dims are the same whatever its batches minimise
            around = recipe.objective
            if own.temperature == ObjectiveChoice.temperature:  # where none is stated
                own = replace(own, temperature=around.temperature)
            own = replace(
                own,
                dims=around.dims,
                dim_weights=around.dim_weights,
                dims_per_step=around.dims_per_step,
            )
            recipe = replace(recipe, objective=own)
        if asked.pairs == TRAIN:
            return cls(asked, recipe, collection, None)
        most = recipe.negatives.per_query
        pairs = StreamedPairs.of(open_pairs(asked.pairs), collection, negatives=most)
        pairs.check(recipe)
        return cls(asked, recipe, collection, pairs)

    def __len__(self) -> int:
        if self.pairs is not None:
            return len(self.pairs.training)
        return sum(map(len, self.collection.split(TRAIN).relevance.values()))

    @property
    def queries(self) -> Sequence[str]:
        """The texts of the queries that are learned from."""
        if self.pairs is not None:
            return self.pairs.trained_queries()
        return self.collection.split(TRAIN).query_texts

    @property
    def documents(self) -> Sequence[str]:
        """The texts of the documents that are learned from, of any number."""
        if self.pairs is not None:
            return self.pairs.pairs.positives
        return self.collection.document_texts[sorted(train_positives(self.collection))]

    def training_data(
        self, encoder: TextEncoder, mined: TrainingPairs | None, same: Positions
    ) -> TrainingData:
        """What a run reads: of the train split the `mined` pairs; `same` is as in `Corpus`."""
        if self.asked.prompts:
            contract = encoder.contract
            prompts = {**contract.prompts, **self.asked.prompts}
            encoder = encoder.under(replace(contract, prompts=prompts))
        if self.pairs is not None:
            return self.pairs.training_data(encoder, max_tokens=self.recipe.schedule.max_tokens)
        assert mined is not None
        return training_data(encoder, self.collection, mined, self.recipe, same)


@dataclass(frozen=True)
class Mixed:
    """`parts`, each with the recipe that says what its batches minimise; `mix` as in `Data`."""

    parts: Sequence[TrainingData]
    recipes: Sequence[Recipe]
    mix: float

    guide_dim = 0

    @cached_property
    def pairs(self) -> MixedPairs:
        """The pairs of all parts, their queries and documents numbered on from part to part."""
        sizes = tuple(len(part.pairs) for part in self.parts)
        # queries and documents of the parts before, as all are numbered on
        texts = np.array([(len(one.queries.texts), len(one.documents.texts)) for one in self.parts])
        before = np.cumsum(texts, 0) - texts
        query = np.concatenate([part.pairs.query for part in self.parts])
        query += np.repeat(before[:, 0], sizes)
        positive = np.concatenate([part.pairs.positive for part in self.parts])
        positive += np.repeat(before[:, 1], sizes)
        # a part's own negatives are read where it prepares a batch
        none = np.empty((len(query), 0), np.int64)
        return MixedPairs(query, positive, none, sizes, self.mix)

    @property
    def gives(self) -> frozenset[str]:
        """See Material.gives."""
        given: set[str] = set()
        for part in self.parts:
            given |= part.gives
        return frozenset(given)

    def prepare(self, batch: Positions, model: Any, asked: Asked = PLAIN) -> TextBatch:
        """See Material.prepare: the columns are those that the part's own objective needs."""
        # a batch is of one part, which its first pair tells
        starts = np.cumsum([0, *self.pairs.sizes])
        at = int(np.searchsorted(starts, batch[0], side="right")) - 1
        recipe = self.recipes[at]
        needs = objective_of(recipe, model.objective, model.contract).needs
        made = self.parts[at].prepare(batch - starts[at], model, replace(asked, needs=needs))
        return replace(made, objective=recipe.objective)
