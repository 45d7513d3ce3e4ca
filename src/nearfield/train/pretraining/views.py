"""Objectives that take two views of a text as query and positive, and those of the other texts of a
batch as negatives.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import nn

from nearfield.data.chunk.plain import SENTENCE
from nearfield.data.doctor.subject import first_of_each
from nearfield.data.doctor.words import digests, normalised
from nearfield.encoders.text import TextEncoder
from nearfield.errors import ModelError
from nearfield.models.model import TextModel
from nearfield.train.data.batch import PLAIN, Asked, TextBatch
from nearfield.train.data.sampling import TrainingPairs
from nearfield.train.data.training_data import TokenSource, TrainingData
from nearfield.train.objectives import POSITIVES
from nearfield.train.pretraining.pretraining import Pretraining, one_of_each
from nearfield.train.recipe import Recipe
from nearfield.types.arrays import Positions
from nearfield.types.role import DOCUMENT, QUERY, Role

Two = Callable[[str, np.random.Generator], tuple[str, str]]
KEPT = 0.1  # how often the sentence stays in its text: Lee et al. 2019 (arXiv 1906.00300)
LEAST, MOST = 0.1, 0.5  # of a text's words, how many a crop has: Izacard et al. 2021, Contriever
_WORD = re.compile(r"\s*\S+")


def itself(text: str, random: np.random.Generator) -> tuple[str, str]:
    """The text and the text."""
    return text, text


def crops(text: str, random: np.random.Generator) -> tuple[str, str]:
    """Two spans of the text's words, drawn one independently of the other; of its characters where
    it has no blanks.
    """
    words = _WORD.findall(text)
    if len(words) < 2:
        words = list(text)
    return _span(words, random), _span(words, random)


def inverse_cloze(text: str, random: np.random.Generator) -> tuple[str, str]:
    """A sentence of the text, and the text without it, mostly; of a single sentence, two crops."""
    ends = [found.end() for found in SENTENCE.finditer(text) if found.end() < len(text)]
    if not ends:
        return crops(text, random)
    cuts = [0, *ends, len(text)]
    at = int(random.integers(len(cuts) - 1))
    start = cuts[at]
    end = cuts[at + 1]
    rest = text
    if random.random() >= KEPT:
        rest = text[:start] + text[end:]
    return text[start:end].strip(), rest.strip()


def _span(words: list[str], random: np.random.Generator) -> str:
    size = min(len(words), max(1, round(len(words) * random.uniform(LEAST, MOST))))
    start = int(random.integers(len(words) - size + 1))
    return "".join(words[start : start + size]).strip()


@dataclass(frozen=True)
class TwoViews(Pretraining):
    """InfoNCE over the `views` of each text, the first as `role`. With `dropout`, the model's own
    dropout makes one view differ from the other: Gao et al. 2021 (arXiv 2104.08821).
    """

    views: Two
    role: Role = DOCUMENT
    dropout: bool = False

    def recipe(self, recipe: Recipe) -> Recipe:
        if not self.dropout:
            return recipe
        # the kernels know no dropout
        return replace(recipe, schedule=replace(recipe.schedule, engine="torch"))

    def learner(self, model: TextModel, max_tokens: int) -> TextModel:
        """The model; with `dropout`, from here on with its own. Raises ModelError where it has
        none.
        """
        if self.dropout:
            model.backbone.train()
            layers = [each for each in model.backbone.modules() if isinstance(each, nn.Dropout)]
            if not any(layer.p for layer in layers):
                raise ModelError(
                    f"{model.contract.name}: has no dropout, by which alone the two views of a "
                    "text differ; take another objective, such as cropping"
                )
        return model

    def material(self, encoder: TextEncoder, texts: Sequence[str], recipe: Recipe) -> Views:
        limit = recipe.schedule.max_tokens
        first = TokenSource.of(encoder, (), self.role, limit)
        second = TokenSource.of(encoder, (), DOCUMENT, limit)
        same = first_of_each(digests(map(normalised, texts)))
        return Views(texts, self.views, (first, second), same, recipe.seed)


@dataclass(frozen=True)
class Views:
    """Two views of each of `texts`, drawn again for each batch; `sides` tokenise the first and the
    second. `same[i]` is equal for texts that are.
    """

    texts: Sequence[str]
    views: Two
    sides: tuple[TokenSource, TokenSource]
    same: Positions
    seed: int

    gives = POSITIVES
    guide_dim = 0

    @property
    def pairs(self) -> TrainingPairs:
        """See Material.pairs."""
        return one_of_each(len(self.texts))

    def prepare(self, batch: Positions, model: Any, asked: Asked = PLAIN) -> TextBatch:
        """See Material.prepare."""
        # a killed run draws a batch again as it was
        random = np.random.default_rng([self.seed, *batch.tolist()])
        made = [self.views(self.texts[int(at)], random) for at in batch]
        first = replace(self.sides[0], texts=[one for one, _ in made])
        second = replace(self.sides[1], texts=[other for _, other in made])
        rows = one_of_each(len(batch))
        relevant = [{at} for at in range(len(batch))]  # the other view of its own text
        data = TrainingData(first, second, rows, self.same[batch], relevant)
        return data.prepare(rows.query, model, asked)


SIMCSE = TwoViews(itself, dropout=True)
CROPPING = TwoViews(crops)
INVERSE_CLOZE = TwoViews(inverse_cloze, role=QUERY)
