"""Objectives that spoil a text and have its words named again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nearfield.batch.late_tokens import MASKS
from nearfield.batch.packed import Packed, packed_batches
from nearfield.batch.sequences import laid_out
from nearfield.batch.tokens import Tokens
from nearfield.encoders.text import TextEncoder
from nearfield.errors import InputError, ModelError
from nearfield.models.heads.represented import Rows
from nearfield.models.model import TextModel
from nearfield.models.trainable import Trainable
from nearfield.similarity import EMBEDDINGS
from nearfield.train.data.batch import PLAIN, Asked, Batch
from nearfield.train.data.mini_batches import MINI_TOKENS
from nearfield.train.data.sampling import TrainingPairs
from nearfield.train.data.training_data import TokenSource
from nearfield.train.engine.trainer import LEARNED, LEARNED_RATE
from nearfield.train.objectives import POSITIVES
from nearfield.train.objectives.examples import Column, Examples, Marked
from nearfield.train.pretraining.decoder import Decoder, MaskedWords
from nearfield.train.pretraining.pretraining import Pretraining, one_of_each
from nearfield.train.recipe import ObjectiveChoice, Recipe
from nearfield.types.arrays import Mask, Positions
from nearfield.types.role import DOCUMENT

Random = np.random.Generator
Sees = Callable[[int, int, Random], Mask]
MASKED, CHANGED = 0.8, 0.9  # of the chosen tokens, up to which share: BERT, Devlin et al. 2019


def before(texts: int, longest: int, random: Random) -> Mask:
    """(texts, L, L) bool: each place sees those before it."""
    return np.broadcast_to(np.tri(longest, k=-1, dtype=bool), (texts, longest, longest))


def some(texts: int, longest: int, random: Random) -> Mask:
    """(texts, L, L) bool: each place sees half of the others, drawn for it."""
    drawn = random.random((texts, longest, longest)) < 0.5
    return drawn & ~np.eye(longest, dtype=bool)


@dataclass(frozen=True)
class Spoilt:
    """What goes through a model at once: n spoilt texts, and what they were.

    `chosen`: (m,) int64, the places in `given` of the tokens that the model is to name. `words`:
    (n, L) int64, the texts as they were, and `named` (n, L) bool, which of their tokens the decoder
    is to name, seeing what `sees` (n, L, L) allows. `targets`: the ids of the former, then of the
    latter.
    """

    given: Packed
    chosen: Tensor
    words: Tensor
    named: Tensor
    sees: Tensor
    targets: Tensor

    @property
    def ids(self) -> Any:
        """The ids of the spoilt texts."""
        return self.given.ids


class Named(Rows):
    """Rows that are multiplied in the precision that they have; the scores are float32."""

    def scores(self, documents: Rows) -> Tensor:
        return (self.vectors @ documents.vectors.T).float()


@dataclass(frozen=True)
class SpoiltBatch(Batch):
    """A batch of spoilt texts."""

    parts: Sequence[Any]
    words: int  # of the vocabulary

    def __len__(self) -> int:
        return sum(len(part.given) for part in self.parts)

    @property
    def negatives(self) -> int:
        """See Batch.negatives: the other words."""
        return sum(len(part.targets) for part in self.parts) * (self.words - 1)

    def examples(self, model: Any, outputs: Sequence[Tensor]) -> Examples:
        """See Batch.examples: a query is what was made of a token's place, and the documents are
        the embeddings of all words.
        """
        named = torch.cat(list(outputs))
        table = model.table
        targets = torch.cat([part.targets for part in self.parts]).to(named.device)
        # every other word is a negative
        nothing = Marked(np.zeros((2, 0), np.int64), len(named), len(table))
        columns: dict[str, Column] = {"positive": targets, "ignore": nothing}
        # (m, vocabulary): the largest product of a step
        kept = getattr(torch, model.precision)
        return Examples(Named(named.to(kept)), Named(table.to(kept)), columns)


class Restorer(Trainable):
    """`model`, with what names words again from its states and from its vectors, where these are.

    It makes no embeddings of its own: what is trained beside the model is dropped with it.
    """

    def __init__(self, model: TextModel, *, masked: bool, decoded: bool, places: int) -> None:
        self.model = model
        self.folder = model.folder
        self.backbone = model.backbone
        self.adapters = model.adapters
        self.device = model.device
        self.precision = model.precision
        self.packs = model.packs
        self.objective = model.objective
        self.unused = model.unused
        self.table: Tensor = model.backbone.get_input_embeddings().weight
        width = self.table.shape[1]
        contract = model.contract
        beside: dict[str, nn.Module] = {}
        # layers begin with torch's global random numbers: here the same for every run, whose own
        # are as if none had been drawn
        with torch.random.fork_rng(devices=[]):
            torch.random.manual_seed(0)
            if masked:
                hidden = int(model.backbone.config.hidden_size)
                beside["masked"] = MaskedWords(hidden, width)
            if decoded:
                beside["decoder"] = Decoder(contract.dim, width, places)
        self.beside = nn.ModuleDict(beside).to(model.device)
        self._own = {f"{LEARNED}{name}": w for name, w in self.beside.named_parameters()}
        self.rates = {**model.rates, **dict.fromkeys(self._own, LEARNED_RATE)}

    @property
    def layers(self) -> Any:
        """See Trainable.layers: the model's."""
        return self.model.layers

    @layers.setter
    def layers(self, layers: Any) -> None:
        self.model.layers = layers

    def parameters(self) -> dict[str, nn.Parameter]:
        return self.model.parameters() | self._own

    def embed(self, batch: Any) -> Tensor:
        """(m, width): what is made of each token that is to be named, of a `Spoilt`."""
        states = self.model.states(batch.given)
        made = []
        with torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16"
        ):
            if "masked" in self.beside:
                made.append(self.beside["masked"](states[batch.chosen.to(self.device)]))
            if "decoder" in self.beside:
                vectors = self.model.head.forward(states, batch.given)
                # the decoder learns from the words' embeddings and does not move them
                words = self.table.detach()[batch.words.to(self.device)]
                decoded = self.beside["decoder"](vectors, words, batch.sees.to(self.device))
                made.append(decoded[batch.named.to(self.device)])
        return torch.cat(made).float()

    def shown(self, batch: Any) -> Any:
        """See Trainable.shown: the vectors of the spoilt texts."""
        return self.model.embed(batch.given)


@dataclass(frozen=True)
class Texts:
    """Texts that are spoilt as `how` says, drawn again for each batch."""

    texts: TokenSource
    how: Reconstruction
    around: tuple[int, int]  # special tokens before and after a text
    mask: int
    words: int
    seed: int

    gives = POSITIVES
    guide_dim = 0

    @property
    def pairs(self) -> TrainingPairs:
        """See Material.pairs."""
        return one_of_each(len(self.texts.texts))

    def prepare(self, batch: Positions, model: Any, asked: Asked = PLAIN) -> SpoiltBatch:
        """See Material.prepare."""
        # a killed run spoils a batch again as it was
        random = np.random.default_rng([self.seed, *batch.tolist()])
        whole = self.texts.tokens(batch)
        own = self._own(whole)
        chosen = own & (random.random(len(own)) < self.how.masked)
        given = self._deleted(self._masked(whole, chosen, random), own, random)
        packed = packed_batches(given, min(asked.budget or MINI_TOKENS, MINI_TOKENS))
        parts = [self._part(whole, part, own, chosen, random) for part in packed]
        return SpoiltBatch(parts, self.words)

    def _own(self, whole: Tokens) -> Mask:
        """Which tokens are of the texts themselves, between prompt and special tokens."""
        ahead, behind = self.around
        place = np.arange(len(whole.ids)) - np.repeat(whole.offsets[:-1], whole.lengths)
        ends = np.repeat(whole.lengths, whole.lengths) - behind
        return (place >= max(ahead, whole.prompt_tokens)) & (place < ends)

    def _masked(self, whole: Tokens, chosen: Mask, random: Random) -> Tokens:
        """Eight in ten of the chosen tokens masked, one in ten another word."""
        ids = whole.ids.copy()
        drawn = random.random(len(chosen))
        ids[chosen & (drawn < MASKED)] = self.mask
        other = chosen & (drawn >= MASKED) & (drawn < CHANGED)
        ids[other] = random.integers(0, self.words, int(other.sum()))
        return replace(whole, ids=ids)

    def _deleted(self, tokens: Tokens, own: Mask, random: Random) -> Tokens:
        """Without as many of the texts' own tokens as are to be deleted."""
        if not self.how.deleted:
            return tokens
        kept = ~own | (random.random(len(own)) >= self.how.deleted)
        ends = np.concatenate([[0], np.cumsum(kept)])
        columns = dict(tokens.columns)
        for name, column in columns.items():
            if len(column) == len(kept):  # of each token, not of each text
                columns[name] = column[kept]
        return replace(tokens, ids=tokens.ids[kept], offsets=ends[tokens.offsets], columns=columns)

    def _part(self, whole: Tokens, part: Packed, own: Mask, chosen: Mask, random: Random) -> Spoilt:
        """What goes through the model of one packed mini-batch, and the texts as they were."""
        # packing has put the texts in another order: `source` are their tokens in that order
        source, offsets = laid_out(whole.offsets[part.items], whole.lengths[part.items])
        places = np.flatnonzero(chosen[source])
        lengths = np.diff(offsets)
        shape = len(lengths), int(lengths.max(initial=1))
        real = np.arange(shape[1]) < lengths[:, None]
        words = np.zeros(shape, np.int64)
        words[real] = whole.ids[source]
        named = np.zeros(shape, bool)
        named[real] = own[source]
        targets = [whole.ids[source][places].astype(np.int64)]
        sees = np.zeros((0, 0, 0), bool)
        if self.how.sees is not None:
            sees = self.how.sees(*shape, random) & real[:, None, :]
            targets.append(words[named])
        ids = np.concatenate(targets)
        return Spoilt(part, *map(torch.from_numpy, (places, words, named, sees, ids)))


@dataclass(frozen=True)
class Reconstruction(Pretraining):
    """The mean, over all tokens that are to be named, of the cross-entropy of the vocabulary.

    `masked`: the share of tokens that are masked and named from their states. `deleted`: the share
    that is deleted. `sees`: what a decoder may see when it names all of a text's tokens from its
    vector; None for no decoder.
    """

    masked: float = 0.0
    deleted: float = 0.0
    sees: Sees | None = None

    def recipe(self, recipe: Recipe) -> Recipe:
        return replace(recipe, objective=ObjectiveChoice("infonce", temperature=1.0))

    def learner(self, model: TextModel, max_tokens: int) -> Restorer:
        """See Pretraining.learner. Raises InputError for a model without one vector for a text."""
        contract = model.contract
        if not EMBEDDINGS[contract.kind].one_vector or model.folder.static:
            raise InputError(
                f"{contract.name}: words cannot be named from what it makes of a text; take "
                "another objective, such as cropping, or a transformer with one vector per text"
            )
        return Restorer(
            model,
            masked=self.masked > 0,
            decoded=self.sees is not None,
            places=min(max_tokens, contract.max_tokens),
        )

    def material(self, encoder: TextEncoder, texts: Sequence[str], recipe: Recipe) -> Texts:
        tokeniser = encoder.tokeniser
        found = [tokeniser.id_of(name) for name in MASKS]
        masks = [known for known in found if known is not None]
        if self.masked and not masks:
            raise ModelError(
                f"{encoder.contract.name}: the tokeniser has no mask token; take another "
                "objective, such as tsdae"
            )
        mask = masks[0] if masks else 0
        ahead, behind = tokeniser.around()
        around = (len(ahead), len(behind))
        source = TokenSource.of(encoder, texts, DOCUMENT, recipe.schedule.max_tokens)
        return Texts(source, self, around, mask, tokeniser.size, recipe.seed)


MLM = Reconstruction(masked=0.15)
RETROMAE = Reconstruction(masked=0.3, sees=some)
TSDAE = Reconstruction(deleted=0.6, sees=before)
