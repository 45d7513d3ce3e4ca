"""The tokens of a multi-vector model: queries filled up, and what gets a vector."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from nearfield.batch.sequences import laid_out, offsets_of
from nearfield.batch.tokens import Tokeniser, Tokens
from nearfield.errors import ModelError
from nearfield.formats.late_interaction import Expansion, LateInteraction
from nearfield.store.fields import read_optional
from nearfield.types.role import DOCUMENT, QUERY, Role

# what transformers' own tokenisers call it where a folder doesn't say
MASKS = ("[MASK]", "<mask>")


class LateTokens:
    """`settings` with the ids that a tokeniser gives the tokens that they name.

    Raises ModelError where queries are to be filled up with a token that the vocabulary lacks.
    """

    def __init__(self, settings: LateInteraction, tokeniser: Tokeniser, folder: Path) -> None:
        self.settings = settings
        known = [tokeniser.id_of(word) for word in settings.skipped]
        self._skipped = np.array([at for at in known if at is not None], np.int64)
        self._filler = 0
        if settings.expansion is not None:
            self._filler = _filler(settings.expansion.token, tokeniser, folder)

    def limit(self, role: Role, most: int) -> int:
        """The most tokens of a text of this role, of a model or a caller that allows for `most`."""
        own = self.settings.query_tokens if role == QUERY else self.settings.document_tokens
        return min(most, own or most)

    def marked(self, tokens: Tokens, role: Role) -> Tokens:
        """`tokens` of texts of this role with their columns, queries filled up where the settings
        ask for it.

        Every token counts but those that the settings skip; the added ones are unseen where they
        are not attended. A query without a token would have nothing to look at, so that its added
        ones look at each other.
        """
        if role == QUERY and self.settings.expansion is not None:
            tokens = self._filled(tokens, self.settings.expansion)
        skipping = (QUERY if role == QUERY else DOCUMENT) in self.settings.skipped_in
        if not skipping or not len(self._skipped):
            return tokens
        counted = ~np.isin(tokens.ids, self._skipped)
        return replace(tokens, columns={**tokens.columns, "counted": counted})

    def _filled(self, tokens: Tokens, asked: Expansion) -> Tokens:
        before = tokens.lengths
        lengths = np.maximum(before, self.limit(QUERY, asked.length))
        offsets = offsets_of(lengths)
        ids = np.full(int(offsets[-1]), self._filler, np.int32)
        # where a query's own tokens come to lie: before the added ones
        place, _ = laid_out(offsets[:-1], before)
        ids[place] = tokens.ids
        filled = replace(tokens, ids=ids, offsets=offsets)
        if asked.attended:
            return filled
        # a query of no token has only added ones, which would then look at nothing
        unseen = np.where(before > 0, lengths - before, 0)
        return replace(filled, columns={"unseen": unseen})


def _filler(token: str | None, tokeniser: Tokeniser, folder: Path) -> int:
    """The id of what fills queries up: the token named, else the tokeniser's mask token, else the
    one that ends its texts.
    """
    if token is not None:
        names = [token]
    else:
        names = [*_named(folder, "mask_token"), *MASKS, *_named(folder, "eos_token")]
    for name in names:
        found = tokeniser.id_of(name)
        if found is not None:
            return found
    lacking = "a mask token, and its tokeniser has none"
    if token is not None:
        lacking = f"{token!r}, which its tokeniser lacks"
    raise ModelError(
        f"{folder}: queries are filled up with {lacking}; state one as "
        "query_expansion's token in sentence_bert_config.json"
    )


def _named(folder: Path, key: str) -> list[str]:
    """What the tokeniser's files call this special token."""
    found = []
    for file in ("tokenizer_config.json", "special_tokens_map.json"):
        stated = read_optional(folder / file)
        if isinstance(stated.get(key), dict):
            found.append(stated.object(key).text("content"))
        elif stated.get(key):
            found.append(stated.text(key))
    return found
