"""The models of a comparison, opened under the names of their rows."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nearfield.encoders.encoder import Encoder
from nearfield.encoders.load import load
from nearfield.encoders.pooled import PooledTokens
from nearfield.encoders.spec import ModelSpec
from nearfield.errors import ContractError, NearfieldWarning
from nearfield.evaluate.systems import cuts_of
from nearfield.evaluate.task import Options
from nearfield.runtimes.proof import Proof
from nearfield.similarity import EMBEDDINGS

Encoders = dict[str, Encoder[Any]]
BM25, TFIDF = "bm25", "tfidf"
LEXICAL = (BM25, TFIDF)  # names that stand for a bag of words fitted on the data


def open_encoders(models: Sequence[Any], texts: Sequence[str], options: Options) -> Encoders:
    """The encoders of `models` (specs, folders or encoders) by the names of their rows.

    Each is checked against the options before any of them encodes. One that is converted for its
    runtime is calibrated and proven on some of `texts`, those that it is about to encode.
    """
    named = row_names(models)
    proof = Proof.on(texts)
    trust = options.trust_remote_code
    encoders: Encoders = {}
    for name, model in named.items():
        if isinstance(model, Encoder):
            encoders[name] = model
        else:
            encoders[name] = load(str(model), proof=proof, trust_remote_code=trust)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NearfieldWarning)  # given again when the model is used
        for encoder in encoders.values():
            own = fitting(options, encoder, encoders)
            cuts_of(encoder.contract, own.dims, own.storages, own.similarity)
    return encoders


def row_names(models: Sequence[Any]) -> dict[str, Any]:
    """The models by the names of their rows: the short name; the whole spec where two specs share
    one; and where an open encoder's name is taken, the name with its position: "minilm (2)".
    """
    found: dict[str, Any] = {}
    named: dict[str, object] = {}
    specs = [str(model) for model in models if isinstance(model, str | Path)]
    # two folders may have the same last part: those keep their whole specs
    short = [ModelSpec.parse(spec).short for spec in dict.fromkeys(specs)]
    for model in models:
        who: object = id(model)
        if isinstance(model, str | Path):
            name = ModelSpec.parse(model).short
            who = str(model)
            # a folder called bm25 must not take the name of the baseline's row
            if short.count(name) > 1 or name in LEXICAL:
                name = str(model)
        else:
            name = model.contract.name
        if named.setdefault(name, who) != who:
            name += f" ({len(found) + 1})"
        found[name] = model
    return found


def fitting(options: Options, encoder: Encoder[Any], encoders: Encoders) -> Options:
    """Of what is asked of all the encoders, what fits the kind of one of them.

    Another similarity is for embeddings with one vector per text. Where no encoder makes those, it
    is kept, and so are storage types of which none fits, so that what has no meaning is an error.
    """
    own = EMBEDDINGS[encoder.contract.kind]
    if own.one_vector:
        return options
    kept = tuple(storage for storage in options.storages if storage in own.storages)
    if not any(EMBEDDINGS[each.contract.kind].one_vector for each in encoders.values()):
        return replace(options, storages=kept or options.storages)
    # float32 is a storage type of every kind
    return replace(options, storages=kept or ("float32",), similarity=None)


def pooled(encoders: Encoders, factors: Sequence[int]) -> Encoders:
    """The same encoders, those of multi-vector models once for each of `factors`.

    Raises ContractError where there are none.
    """
    if not factors:
        return encoders
    rows: Encoders = {}
    merged = False
    for name, encoder in encoders.items():
        if not EMBEDDINGS[encoder.contract.kind].merges_tokens:
            rows[name] = encoder
            continue
        merged = True
        for factor in factors:
            if factor == 1:
                rows[name] = encoder
            else:
                rows[f"{name} pooled {factor}"] = PooledTokens(encoder, factor)
    if not merged:
        raise ContractError(
            "merging tokens (--pool-tokens) is for multi-vector models, and none is named; "
            "leave it out"
        )
    return rows
