"""What a new head begins from: the states that a backbone gives its vocabulary's tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from nearfield.batch.packed import Packed
from nearfield.batch.tokens import Tokeniser
from nearfield.models.heads.arrays import to_numpy
from nearfield.models.heads.layer import Layer
from nearfield.models.model import TextModel
from nearfield.models.tokeniser import tokeniser_of
from nearfield.types.arrays import Integers, Mask
from nearfield.types.progress import Progress

TOKENS = 8192  # looked at to begin with: many times the dimensions of any backbone
WEIGHT = 0.3  # of a token: what some terms in common score is then about what two alike vectors do
_COMPANY = 16  # tokens of a text in which a token is among others
_TOGETHER = 64  # such texts run at once
_ALONE = 512  # texts of one token run at once
_UNUSED = re.compile(r"[\[<]/?unused_?\d+[\]>]")


def even_weights(hidden: int) -> Layer:
    """The layer that gives the state of every token the same weight: a text is the set of its
    terms.

    A layer of random weights gives most tokens none, or all, and finds half as much (see
    docs/log.md).
    """
    return Layer.of(np.zeros((1, hidden), np.float32), np.full(1, WEIGHT, np.float32))


def principal_layer(states: Tensor, dim: int) -> Layer:
    """The layer from `states: (n, hidden)` onto the `dim` directions in which they vary most, about
    their mean.

    The dot products of centred states are kept as well as `dim` numbers can keep them (Eckart and
    Young 1936).
    """
    mean = states.double().mean(0)
    # all directions, also where there are fewer states than dimensions
    _, _, directions = torch.linalg.svd(states.double() - mean, full_matrices=True)
    weight = directions[:dim]
    bias = -weight @ mean
    return Layer.of(to_numpy(weight), to_numpy(bias))


def usable_terms(tokeniser: Tokeniser, size: int) -> Mask:
    """(size,) bool: True at tokens that stand for text: no special ones, none that a vocabulary
    keeps for later.
    """
    usable = np.zeros(size, bool)
    special = tokeniser.special_ids
    for token, at in tokeniser.vocabulary.items():
        usable[at] = at not in special and not _UNUSED.fullmatch(token)
    return usable


def states_alone(model: TextModel, usable: Mask, progress: Progress) -> tuple[Tensor, Tensor]:
    """Up to `TOKENS` of the usable tokens, spread over the vocabulary, and the state (n, hidden) of
    each as a text of its own.
    """
    own = _spread(usable)
    states = _states(model, own, length=1, together=_ALONE, progress=progress)
    return torch.from_numpy(own), states


def states_in_company(model: TextModel, progress: Progress) -> Tensor:
    """The states (n, hidden) of some thousand of the vocabulary's tokens, each among others drawn
    at random.
    """
    tokeniser = tokeniser_of(model.folder)
    size = len(model.backbone.get_input_embeddings().weight)
    # always the same draw: the same model begins the same head
    own = np.random.default_rng(0).permutation(_spread(usable_terms(tokeniser, size)))
    around = sum(map(len, tokeniser.around()))
    length = max(1, min(_COMPANY, len(own), model.contract.max_tokens - around))
    return _states(model, own, length=length, together=_TOGETHER, progress=progress)


def _spread(usable: Mask) -> Integers:
    """Up to `TOKENS` of the usable tokens at equal steps through the vocabulary."""
    (terms,) = np.nonzero(usable)
    count = min(TOKENS, len(terms))
    places = np.linspace(0, len(terms) - 1, count).astype(np.int64)
    return terms[np.unique(places)]


def _states(
    model: TextModel, own: Integers, *, length: int, together: int, progress: Progress
) -> Tensor:
    """The states of the tokens `own` in texts of `length` of them."""
    before, after = tokeniser_of(model.folder).around()
    states = []
    with torch.inference_mode():
        for batch, token in _texts(own, before, after, length=length, together=together):
            states.append(model.states(batch)[torch.from_numpy(token)])
            progress(sum(map(len, states)), len(own))
    return torch.cat(states)


def _texts(
    own: Integers, before: list[int], after: list[int], *, length: int, together: int
) -> Iterator[tuple[Packed, Integers]]:
    """Batches of texts of so many of the tokens, with what is put around a text, and where in a
    batch these tokens are.
    """
    rows = own[: len(own) // length * length].reshape(-1, length)
    for start in range(0, len(rows), together):
        part = rows[start : start + together]
        count = len(part)
        own_columns = slice(len(before), len(before) + length)
        ids = np.empty((count, len(before) + length + len(after)), np.int32)
        ids[:, : own_columns.start] = before
        ids[:, own_columns] = part
        ids[:, own_columns.stop :] = after
        places = np.arange(ids.size).reshape(ids.shape)[:, own_columns]
        offsets = np.arange(count + 1) * ids.shape[1]
        yield Packed(ids.ravel(), offsets, np.arange(count)), places.ravel()
