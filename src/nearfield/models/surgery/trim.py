"""A model without the tokens that given texts do not use."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn

from nearfield.errors import InputError, ModelError
from nearfield.models.find import model_path
from nearfield.models.model import TextModel
from nearfield.models.saving.written import Made, check_target, write_made
from nearfield.models.surgery.vocabulary import Facts, kept_ids, with_only
from nearfield.models.tokeniser import tokeniser_of
from nearfield.similarity import EMBEDDINGS
from nearfield.store.atomic import write_json, write_text
from nearfield.store.fields import read_optional
from nearfield.types.progress import Progress, silent

_CHUNK = 4096  # texts tokenised at once
_SPECIAL_IDS = ("pad", "bos", "eos", "cls", "sep", "mask", "unk", "decoder_start")
_STALE = (
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "sentencepiece.bpe.model",
    "spiece.model",
    "tokenizer.model",
)


def trim(
    model: str | Path, *, to: str | Path, texts: Sequence[str], progress: Progress = silent
) -> Made:
    """Write `model` with only the tokens that `texts` use, under any of its prompts, and those that
    keep other texts spellable (see kept_ids): the texts' vectors stay exactly what they were.

    Each text is tokenised both ways, and a difference is an error. Raises InputError without texts,
    ModelError for a sparse model, whose dimensions are its vocabulary, and for a tokeniser or
    architecture that cannot be trimmed.
    """
    if not len(texts):
        raise InputError(
            "a vocabulary is trimmed to what texts use, and there are none; give --texts"
        )
    check_target(to)
    opened = TextModel.open(model_path(model))
    name = opened.contract.name
    if EMBEDDINGS[opened.contract.kind].has_terms:
        raise ModelError(
            f"{name}: a sparse model's dimensions are its vocabulary; trimming would "
            "change every vector"
        )
    tokeniser = tokeniser_of(opened.folder)
    # uncut: a token counts as used wherever in a text it stands
    facts: Facts = json.loads(tokeniser.json()) | {"truncation": None, "padding": None}
    whole = Tokenizer.from_str(json.dumps(facts))
    prompts = ["", *dict.fromkeys(filter(None, opened.contract.prompts.values()))]
    # under each prompt, which a tokeniser may join with the text's first letters
    used = _used(whole, texts, prompts, progress)
    kept = kept_ids(facts, {*used, *_special_ids(opened)})
    left = with_only(facts, kept)
    # the rules of kept_ids are checked on every text rather than trusted
    _check_same(whole, Tokenizer.from_str(json.dumps(left)), kept, texts, prompts)
    before = _keep_rows(opened, kept)
    about = {
        "how": "trim",
        "models": [name],
        "texts": len(texts),
        "tokens": len(kept),
        "of": before,
    }
    inner = opened.folder.transformer.relative_to(opened.folder.path)
    return write_made(
        opened,
        to,
        name=f"{name}-trimmed",
        about=about,
        amend=lambda stage: _write_tokeniser(stage / inner, left, kept),
    )


def _used(
    tokenizer: Tokenizer, texts: Sequence[str], prompts: Sequence[str], progress: Progress
) -> list[int]:
    counts = np.zeros(tokenizer.get_vocab_size(), np.int64)
    for start in range(0, len(texts), _CHUNK):
        for ids in _encoded(tokenizer, texts[start : start + _CHUNK], prompts):
            counts[ids] += 1
        said = f"{np.count_nonzero(counts):,} tokens in use"
        progress(min(start + _CHUNK, len(texts)), len(texts), said)
    found: list[int] = np.flatnonzero(counts).tolist()
    return found


def _encoded(tokenizer: Tokenizer, texts: Sequence[str], prompts: Sequence[str]) -> list[list[int]]:
    asked = []
    for prompt in prompts:
        asked += [prompt + text for text in texts]
    encodings = tokenizer.encode_batch_fast(asked, add_special_tokens=True)
    return [encoding.ids for encoding in encodings]


def _check_same(
    whole: Tokenizer,
    left: Tokenizer,
    kept: Sequence[int],
    texts: Sequence[str],
    prompts: Sequence[str],
) -> None:
    for start in range(0, len(texts), _CHUNK):
        some = texts[start : start + _CHUNK]
        ours = _encoded(whole, some, prompts)
        theirs = _encoded(left, some, prompts)
        for at, (before, after) in enumerate(zip(ours, theirs, strict=True)):
            # kept[new id] is the old one
            if before != [kept[id_] for id_ in after]:
                text = some[at % len(some)]
                raise ModelError(
                    f"the trimmed tokeniser cuts {text[:60]!r} otherwise than the "
                    "whole one; this kind cannot be trimmed"
                )


def _special_ids(model: TextModel) -> list[int]:
    """The ids that the config names; and where positions are counted from the padding's id, all up
    to it, so that it stays.
    """
    if model.folder.static:
        return []
    config = model.backbone.config
    named = [getattr(config, f"{name}_token_id", None) for name in _SPECIAL_IDS]
    found = [id_ for id_ in named if isinstance(id_, int) and 0 <= id_ < config.vocab_size]
    words = model.backbone.get_input_embeddings()
    for part in model.backbone.modules():
        if isinstance(part, nn.Embedding) and part is not words and part.padding_idx is not None:
            found += range(part.padding_idx + 1)  # a table of positions, which begins after it
    return found


def _keep_rows(model: TextModel, kept: Sequence[int]) -> int:
    """Leave the rows `kept` in the opened model's table, and return how many it had."""
    rows = torch.tensor(kept)
    if model.folder.static:
        table = model.backbone.embeddings
        model.backbone.embeddings = nn.Parameter(table.detach()[rows])
        return len(table)
    old = model.backbone.get_input_embeddings()
    config = model.backbone.config
    size = len(old.weight)
    for name, weight in model.whole.named_parameters():
        # such as an output layer that is not tied: it would have to lose the same rows
        if weight.shape[:1] == (size,) and weight is not old.weight:
            raise ModelError(
                f"{model.contract.name}: {name} too has a row per token; only a model "
                "with one table can be trimmed"
            )
    new = {id_: at for at, id_ in enumerate(kept)}
    table = nn.Embedding.from_pretrained(
        old.weight.detach()[rows], freeze=False, padding_idx=new.get(old.padding_idx)
    )  # type: ignore[no-untyped-call]
    model.backbone.set_input_embeddings(table)
    config.vocab_size = len(kept)
    for name in _SPECIAL_IDS:  # one that was no token's becomes None
        id_ = getattr(config, f"{name}_token_id", None)
        if isinstance(id_, int):
            setattr(config, f"{name}_token_id", new.get(id_))
    return size


def _write_tokeniser(folder: Path, facts: Facts, kept: Sequence[int]) -> None:
    """Put the new tokenizer.json in place, renumber what tokenizer_config.json says of added
    tokens, and remove files of the old one.
    """
    write_text(folder / "tokenizer.json", json.dumps(facts, ensure_ascii=False))
    for name in _STALE:
        (folder / name).unlink(missing_ok=True)
    settings = folder / "tokenizer_config.json"
    stated = read_optional(settings)
    added = stated.object("added_tokens_decoder", None)
    if added is not None:
        new = {str(id_): str(at) for at, id_ in enumerate(kept)}
        decoder = {new[id_]: token for id_, token in added.items() if id_ in new}
        write_json(settings, {**stated} | {"added_tokens_decoder": decoder})
