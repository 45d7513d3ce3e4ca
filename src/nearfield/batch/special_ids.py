"""The ids of a tokeniser's tokens that stand for no text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nearfield.batch.tokens import Tokeniser
from nearfield.store.fields import read_optional
from nearfield.store.foreign import foreign

_NAMES = ("cls_token", "sep_token", "eos_token", "pad_token", "unk_token")
_USUAL = {
    "BertTokenizer": ("[CLS]", "[SEP]", None, "[PAD]", "[UNK]"),
    "MPNetTokenizer": ("<s>", "</s>", "</s>", "<pad>", "[UNK]"),
}


def special_ids(transformer: Path) -> tuple[int, ...]:
    """The ids of the tokens at a text's start and end, in padded places and for what is unknown,
    ascending.

    FlagEmbedding leaves out these but for the one between texts, which ends a text where there is
    none of its own for that (BERT).
    """
    also, stated = (
        _read(transformer / file) for file in ("special_tokens_map.json", "tokenizer_config.json")
    )
    usual = _USUAL.get(str(stated.get("tokenizer_class", "")).removesuffix("Fast"))
    if usual is None or not (transformer / "tokenizer.json").is_file():
        return _as_transformers_says(transformer)
    # which of the two files counts is for transformers to say
    for name, otherwise in zip(_NAMES, usual, strict=True):
        if name in also and _content(also[name]) != _content(stated.get(name, otherwise)):
            return _as_transformers_says(transformer)
    tokeniser, found = Tokeniser.open(transformer, max_tokens=8), set()
    for name, otherwise in zip(_NAMES, usual, strict=True):
        content = _content(stated.get(name, otherwise))
        found.add(None if content is None else tokeniser.id_of(content))
    return tuple(sorted(id_ for id_ in found if id_ is not None))


def _read(file: Path) -> dict[str, Any]:
    return dict(read_optional(file))


def _content(token: Any) -> str | None:
    return None if token is None else str(token["content"] if isinstance(token, dict) else token)


def _as_transformers_says(transformer: Path) -> tuple[int, ...]:
    from transformers import AutoTokenizer

    with foreign(transformer, "the tokeniser could not be read"):
        tokenizer: Any = AutoTokenizer.from_pretrained(transformer, local_files_only=True)
    ids = (getattr(tokenizer, f"{name}_id") for name in _NAMES)
    return tuple(sorted({int(id_) for id_ in ids if id_ is not None}))
