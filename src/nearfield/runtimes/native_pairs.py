"""A cross-encoder's classification head in the native runtime."""

from __future__ import annotations

import numpy as np

from nearfield.batch.open_tokenizer import told_types
from nearfield.batch.packed import Packed
from nearfield.formats.architectures import ARCHITECTURES, NATIVE
from nearfield.formats.reranker_folder import CLASSIFIER, RerankerFolder
from nearfield.formats.weights import Weights
from nearfield.models.heads.arrays import activated, linear
from nearfield.runtimes.native_heads import NativeHead, Run
from nearfield.runtimes.packed_model import PackedModel
from nearfield.similarity.dense import Dense
from nearfield.store.fields import Fields
from nearfield.types.arrays import Floats

LAYERS = {kind: known.scores for kind, known in ARCHITECTURES.items() if known.scores}


def _logits(folder: RerankerFolder, model: PackedModel, config: Fields) -> Run:
    layers = LAYERS[config["model_type"]]
    weights = Weights(folder.transformer)

    def read(name: str) -> tuple[Floats, Floats]:
        return weights.float32(f"{name}.weight"), weights.float32(f"{name}.bias")

    first = read(layers.first)
    second = read(layers.second)

    def head(pooled: Floats, batch: Packed) -> Dense:
        hidden = activated(linear(pooled, *first), layers.activation)
        logits = linear(hidden, *second)
        # a pair without a token has no state, and the biases would give it a score
        logits = np.where(batch.lengths[:, None] > 0, logits, np.float32(0))
        return Dense.under(folder.contract, logits.astype(np.float32, copy=False))

    return head


def _types(config: Fields) -> int:
    """How many types of token there are: one where the architecture has no types, whatever
    config.json says.
    """
    if not NATIVE[config["model_type"]].types:
        return 1
    types: int = config.integer("type_vocab_size", 2)
    return types


def _typed(folder: RerankerFolder, config: Fields) -> bool:
    # a tokeniser that does not give types has the model see type 0 in both texts
    return _types(config) == 2 and told_types(folder.transformer)


def _why_not(folder: RerankerFolder, config: Fields) -> str | None:
    kind = str(config.get("model_type"))
    if folder.task != CLASSIFIER or kind not in LAYERS:
        return f"does not run a cross-encoder of the architecture {kind}, only {', '.join(LAYERS)}"
    if _types(config) in (1, 2):
        return None
    return "tells one or two types of token apart"


PAIRS = NativeHead(_logits, pooling=lambda folder: "cls", why_not=_why_not, typed=_typed)
