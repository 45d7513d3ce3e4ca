"""A static model's folder: a vector for each token, and nothing that looks at the others.

Two libraries write such folders: model2vec (config.json with model_type model2vec, tensors
`embeddings` and sometimes `weights` and `mapping`) and sentence-transformers (modules.json with
StaticEmbedding, tensor `embedding.weight`). What is written here opens in both, with the same
vectors.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from nearfield.errors import ContractError, ModelError
from nearfield.formats.layout import Files, Layout
from nearfield.formats.model_folder import ModelFolder
from nearfield.formats.modules import write_modules
from nearfield.formats.stated import whole_contract
from nearfield.store.atomic import write_json
from nearfield.store.fields import Fields, read_optional
from nearfield.store.mapped import map_tensors
from nearfield.types.arrays import Array, Floats
from nearfield.types.contract import Contract

UNLIMITED = 1_000_000  # tokens: a mean has no last position
UNKNOWN = "[UNK]"
STATIC = "StaticEmbedding"  # sentence-transformers' name of the module
# what model2vec reads of a text where its config states no max_length (DEFAULT_MAX_LENGTH of its
# model.py)
_MODEL2VEC_TOKENS = 512
_ROWS = 65_536  # vectors looked at at a time
_TABLES = ("embeddings", "embedding.weight")


class Static(Layout):
    """Both libraries' folders: one StaticEmbedding, then Normalize where used, or model2vec's
    config.json.
    """

    def recognises(self, files: Files) -> bool:
        """See Layout."""
        if files.modules:
            return files.kinds[0] == STATIC
        return _config(files).get("model_type") == "model2vec"

    def read(self, files: Files) -> ModelFolder:
        """See Layout. Raises ModelError where there is no table of vectors, ContractError where two
        files contradict each other.
        """
        kinds = files.kinds
        wanted = f"{STATIC}, then Normalize where used"
        files.refuse_modules(
            (STATIC, "Normalize"), wanted, fit=kinds in ([], [STATIC], [STATIC, "Normalize"])
        )
        folder = files.modules[0].folder if files.modules else files.path
        config = _config(files)
        said = config.flag("normalize", None)
        normalises = "Normalize" in kinds if files.modules else bool(said)
        if said not in (None, normalises):
            raise ContractError(
                f"{folder}: modules.json {'normalises' if normalises else 'does not normalise'}"
                f" and config.json says normalize: {said}; correct the one that is wrong"
            )
        tensors = map_tensors(folder / "model.safetensors")
        dim = _table(folder, tensors).shape[1]
        drops_unknown = "embeddings" in tensors  # model2vec's name of them
        if not drops_unknown:
            limit = _truncation(folder / "tokenizer.json")
        elif "max_length" in config:  # at null, model2vec cuts nothing
            limit = config.integer("max_length", None)
        else:
            limit = _MODEL2VEC_TOKENS
        limit = limit or UNLIMITED
        facts = {
            "kind": "dense",
            "dim": dim,
            "pooling": "mean",
            "include_prompt": True,
            "normalise": normalises,
            "max_tokens": min(limit, files.stated.get("max_tokens", limit)),
        }
        contract = whole_contract(facts, files.stated, files.own, similarity="cosine")
        return ModelFolder(files.path, "static", contract, folder, drops_unknown=drops_unknown)


LAYOUT = Static()


def _config(files: Files) -> Fields:
    """config.json, or nothing: sentence-transformers' own static folders have none."""
    return read_optional(files.path / "config.json")


def _truncation(file: Path) -> int | None:
    """To how many tokens a tokenizer.json cuts texts, as sentence-transformers lets it; None where
    it does not.
    """
    stated = read_optional(file).object("truncation", None)
    if stated is None:
        return None
    # the third that there is cuts the second of two texts
    stated.one_of("strategy", ("LongestFirst", "OnlyFirst"))
    limit: int = stated.integer("max_length", low=1)
    return limit


def read_table(folder: Path) -> Array:
    """The vectors of a static folder, one row per token: (tokens, dim), memory-mapped unless rows
    are shared or weighted.

    model2vec's `mapping` says which row is a token's, its `weights` what it is multiplied by.
    Raises ModelError where they do not fit.
    """
    tensors = map_tensors(folder / "model.safetensors")
    table = _table(folder, tensors)
    mapping = tensors.get("mapping")
    weights = tensors.get("weights")
    if mapping is not None:
        fits = mapping.ndim == 1 and mapping.dtype.kind in "iu"
        if fits and len(mapping):
            fits = mapping.min() >= 0 and mapping.max() < len(table)
        if not fits:
            raise ModelError(
                f"{folder / 'model.safetensors'}: mapping does not point into the "
                f"{len(table)} rows of the vectors"
            )
        # a copy: several tokens may share a row
        table = table[mapping]
    if weights is not None:
        if weights.shape != (len(table),):
            raise ModelError(
                f"{folder / 'model.safetensors'}: weights has the shape "
                f"{weights.shape}; wanted ({len(table)},)"
            )
        table = table.astype("float32") * weights[:, None].astype("float32")
    return table


def checked_table(folder: Path) -> Floats:
    """`read_table` as float32, still memory-mapped where it is stored so. Raises ModelError for a
    value that is not finite.
    """
    table = read_table(folder)
    for start in range(0, len(table), _ROWS):
        finite = np.isfinite(table[start : start + _ROWS]).all(1)
        if not finite.all():
            bad = start + int(np.flatnonzero(~finite)[0])
            raise ModelError(
                f"{folder / 'model.safetensors'}: the vector of token {bad} holds "
                "NaN or infinite values; the file is damaged"
            )
    if table.dtype == np.float32:
        return np.asarray(table)
    return table.astype(np.float32)


def table_rows(folder: Path) -> int:
    """How many tokens a static folder has vectors for."""
    tensors = map_tensors(folder / "model.safetensors")
    return len(tensors.get("mapping", _table(folder, tensors)))


def _table(folder: Path, tensors: dict[str, Array]) -> Array:
    found = [tensors[name] for name in _TABLES if name in tensors]
    if len(found) != 1 or found[0].ndim != 2 or not found[0].size:
        names = ", ".join(tensors)
        raise ModelError(
            f"{folder / 'model.safetensors'}: has {names}; wanted one array (tokens, "
            f"dim) called {' or '.join(_TABLES)}"
        )
    return found[0]


def write_static_config(
    stage: Path, contract: Contract, *, made_from: str, drops_unknown: bool = True
) -> None:
    """The JSON files of a static folder but for tokenizer.json: what model2vec,
    sentence-transformers and nearfield each read.

    Where tokens that the vocabulary lacks are not to be left out, the folder is one of
    sentence-transformers alone.
    """
    length = None if contract.max_tokens >= UNLIMITED else contract.max_tokens
    if drops_unknown:
        write_json(
            stage / "config.json",
            {
                "model_type": "model2vec",
                "architectures": ["StaticModel"],
                "tokenizer_name": made_from,
                "hidden_dim": contract.dim,
                "seq_length": UNLIMITED,
                "max_length": length,
                "normalize": contract.normalise,
            },
        )
    modules = [(".", f"models.{STATIC}")]
    if contract.normalise:
        modules.append(("1_Normalize", "models.Normalize"))
    write_modules(stage, modules)
    write_json(
        stage / "config_sentence_transformers.json",
        {
            "prompts": dict(contract.prompts),
            "default_prompt_name": None,
            "similarity_fn_name": contract.similarity,
        },
    )


def write_word_tokeniser(
    path: Path, words: Iterable[str], *, lower_case: bool, unknown: str
) -> None:
    """A tokenizer.json that splits at white space and around punctuation and knows whole words,
    numbered in order, `unknown` the last.
    """
    head: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": {"type": "Lowercase"} if lower_case else None,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
    }
    # a word at a time, into an object that is left open: the whole is never in memory
    with open(path, "w", encoding="utf-8") as file:
        file.write(
            json.dumps(head)[:-1] + f', "model": {{"type": "WordLevel", "unk_token": '
            f'{json.dumps(unknown)}, "vocab": {{'
        )
        number = 0
        for word in words:
            file.write(f"{json.dumps(word, ensure_ascii=False)}: {number},\n")
            number += 1
        file.write(f"{json.dumps(unknown)}: {number}}}}}}}\n")
