"""The ids of a tokeniser's tokens that stand for no text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nearfield.batch.open_tokenizer import named_tokens
from nearfield.batch.tokens import Tokeniser
from nearfield.store.foreign import foreign

_NAMES = ("cls_token", "sep_token", "eos_token", "pad_token", "unk_token")


def special_ids(transformer: Path) -> tuple[int, ...]:
    """The ids of the tokens at a text's start and end, in padded places and for what is unknown,
    ascending.

    FlagEmbedding leaves out these but for the one between texts, which ends a text where there is
    none of its own for that (BERT).
    """
    known = named_tokens(transformer)
    if known is None:
        return _as_transformers_says(transformer)
    tokeniser = Tokeniser.open(transformer, max_tokens=8)
    named = [known.get(name) for name in _NAMES]
    ids = {tokeniser.id_of(token) for token in named if token}
    return tuple(sorted(id_ for id_ in ids if id_ is not None))


def _as_transformers_says(transformer: Path) -> tuple[int, ...]:
    from transformers import AutoTokenizer

    with foreign(transformer, "the tokeniser could not be read"):
        tokenizer: Any = AutoTokenizer.from_pretrained(transformer, local_files_only=True)
    ids = (getattr(tokenizer, f"{name}_id") for name in _NAMES)
    return tuple(sorted({int(id_) for id_ in ids if id_ is not None}))
