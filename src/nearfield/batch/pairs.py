"""Pairs of texts to token ids, as a cross-encoder reads them: one sequence per pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from nearfield.batch.sequences import laid_out
from nearfield.batch.tokens import Tokeniser, Tokens, refuse_repeats
from nearfield.errors import ModelError
from nearfield.types.arrays import Positions

Parts = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""What comes before, between and after two texts."""


@dataclass(frozen=True)
class PairTemplate:
    """The special tokens before, between and after a pair's texts, the type of each, and the type
    of each text's tokens.
    """

    specials: Parts
    special_types: Parts
    text_types: tuple[int, int]

    @property
    def size(self) -> int:
        """How many special tokens a pair has."""
        return sum(map(len, self.specials))

    @property
    def types(self) -> set[int]:
        """All types of its tokens."""
        return {*self.text_types, *chain.from_iterable(self.special_types)}

    @property
    def typed(self) -> bool:
        """Whether the types tell the two texts apart."""
        return any(self.types)


def pair_template(tokeniser: Tokeniser) -> PairTemplate:
    """How `tokeniser` puts two texts together. Raises ModelError where the first does not come
    first, or one of them is left out.
    """
    encoding = tokeniser.pair()
    ids = encoding.ids
    types = encoding.type_ids
    first = [at for at, owner in enumerate(encoding.sequence_ids) if owner == 0]
    second = [at for at, owner in enumerate(encoding.sequence_ids) if owner == 1]
    if not first or not second or first[-1] > second[0]:
        raise ModelError(
            "the tokeniser does not put a pair's first text before its second, so it is not "
            "that of a cross-encoder"
        )
    refuse_repeats(encoding)
    before = slice(0, first[0])
    between = slice(first[-1] + 1, second[0])
    after = slice(second[-1] + 1, None)
    specials = (tuple(ids[before]), tuple(ids[between]), tuple(ids[after]))
    special_types = (tuple(types[before]), tuple(types[between]), tuple(types[after]))
    return PairTemplate(specials, special_types, (types[first[0]], types[second[0]]))


class PairTokeniser:
    """Joins texts that were tokenised alone, each once however many pairs it is in, to pairs of at
    most the model's limit.

    `typed` says whether the model is told which text a token belongs to. Truncation is
    transformers' longest_first: the longer text gives way until both are equally long.
    """

    def __init__(self, tokeniser: Tokeniser, *, typed: bool) -> None:
        self.tokeniser = tokeniser
        self.template = pair_template(tokeniser)
        self.typed = typed and self.template.typed
        if self.typed and not self.template.types <= {0, 1}:
            types = ", ".join(map(str, sorted(self.template.types)))
            raise ModelError(
                f"the tokeniser tells a pair's texts apart by the types {types}; wanted 0 and 1"
            )
        if self.template.size >= tokeniser.max_tokens:
            raise ModelError(
                f"the model reads {tokeniser.max_tokens} tokens, and a pair has "
                f"{self.template.size} special ones alone"
            )

    def texts(self, texts: Sequence[str], prompt: str = "") -> Tokens:
        """The token ids of `prompt + text` for each text, without special tokens and uncut."""
        return self.tokeniser.bare([prompt + text for text in texts])

    def join(
        self,
        first: Tokens,
        second: Tokens,
        pairs: tuple[Positions, Positions],
        *,
        max_tokens: int | None = None,
    ) -> Tokens:
        """The pairs of `first` and `second` at the positions `pairs`, (n,) each, at most
        `max_tokens` (the model's by default) each.
        """
        most = self.tokeniser.max_tokens
        limit = min(max_tokens or most, most) - self.template.size
        at = [np.asarray(part, np.int64) for part in pairs]
        whole = [first.lengths[at[0]], second.lengths[at[1]]]
        kept = longest_first(whole[0], whole[1], limit)
        pool, types, places = self._pool(first, second)
        # Every pair is five pieces of that pool: specials, the first text, specials, the second
        # text, specials. Laying the pieces of all pairs end to end takes no loop over pairs.
        begins = np.empty((len(at[0]), 5), np.int64)  # (n, 5), as `lengths`
        lengths = np.empty_like(begins)
        begins[:, ::2] = places[:3]
        lengths[:, ::2] = [len(part) for part in self.template.specials]
        for text, tokens in enumerate((first, second)):
            begins[:, 2 * text + 1] = places[3 + text] + tokens.offsets[at[text]]
            lengths[:, 2 * text + 1] = kept[text]
            if self.tokeniser.cuts_start:
                begins[:, 2 * text + 1] += whole[text] - kept[text]
        source, offsets = laid_out(begins.ravel(), lengths.ravel())
        lost = whole[0] + whole[1] - kept[0] - kept[1]
        columns = {"types": types[source]} if self.typed else {}
        # every fifth piece begins a pair
        return Tokens(pool[source], offsets[::5], lost, 0, columns=columns)

    def _pool(
        self, first: Tokens, second: Tokens
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], list[int]]:
        """All tokens that pairs are made of end to end, the type of each, and where the five parts
        begin: specials, then texts.
        """
        parts = [np.array(part, np.int32) for part in self.template.specials]
        types = [np.array(part, np.int32) for part in self.template.special_types]
        for tokens, type_ in zip((first, second), self.template.text_types, strict=True):
            parts.append(tokens.ids)
            types.append(np.full(len(tokens.ids), type_, np.int32))
        places = np.cumsum([0, *map(len, parts)])[:5].tolist()
        return np.concatenate(parts), np.concatenate(types), places


def longest_first(first: Positions, second: Positions, limit: int) -> tuple[Positions, Positions]:
    """How many tokens are kept of texts of `first` and `second` (n,) tokens so that a pair has at
    most `limit`.

    As `truncate_encodings` of the tokenizers library: the longer text is cut to what the shorter
    leaves, and where that is not enough both to half, the longer to the half that is rounded up.
    """
    short = np.minimum(first, second)
    # what the shorter leaves to the longer, which is never cut below the shorter
    room = np.where(short > limit, short, np.maximum(short, limit - short))
    halved = short + room > limit
    less = np.where(halved, limit // 2, short)
    more = np.where(halved, limit - limit // 2, room)
    swapped = first > second
    cut_first = np.where(swapped, more, less)
    cut_second = np.where(swapped, less, more)
    fits = first + second <= limit
    return np.where(fits, first, cut_first), np.where(fits, second, cut_second)
