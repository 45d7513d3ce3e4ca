"""A checkpoint's weights, laid out for the kernels."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield.batch.packed import Packed
from nearfield.errors import ModelError
from nearfield.formats.architectures import ARCHITECTURES, NATIVE
from nearfield.formats.weights import Weights
from nearfield.kernels.layout import LayerLayout, ModelLayout
from nearfield.kernels.library import Kernels
from nearfield.models.backbones.native_config import model_facts
from nearfield.models.backbones.relative_bucket import relative_bucket
from nearfield.runtimes.packed_weights import PackedWeights
from nearfield.types.arrays import Floats
from nearfield.types.contract import POOLINGS


class PackedModel:
    """The structure that the kernels run; `read` holds the memory that it points at.

    Where `typed`, each word is there twice: as it is in a pair's first text, and, as many ids on,
    in its second. Raises ModelError where a weight is missing, of another shape than config.json
    asks for, or not finite.
    """

    def __init__(
        self,
        kernels: Kernels,
        weights: Weights,
        config: Mapping[str, Any],
        *,
        pooling: str,
        precision: str,
        typed: bool,
    ) -> None:
        kind = config["model_type"]
        names = NATIVE[kind]
        self.kernels = kernels
        self.read = PackedWeights(kernels, weights, prefix=names.prefix, precision=precision)
        self.typed = typed
        self.names = names
        self.layout = model = ModelLayout(**model_facts(config))
        model.pooling = POOLINGS.index(pooling)
        model.padding = -1  # positions count from 0
        if ARCHITECTURES[kind].after_padding:
            model.padding = names.fact(config, "pad_token_id")
        self._embeddings(model, config)
        if names.distances:
            buckets = self.read.floats(names.distances, 32, model.heads)
            model.distances = self.read.keep(self._by_distance(buckets, model.reach))
        layers = (LayerLayout * model.layer_count)()
        for at in range(model.layer_count):
            layers[at] = self._layer(names.layer.format(at), model.hidden, model.intermediate)
        self.read.kept.append(layers)
        model.layers = ctypes.cast(layers, ctypes.POINTER(LayerLayout))

    def ids(self, batch: Packed) -> npt.NDArray[np.int32]:
        """The ids of the batch's tokens among the words that the kernels hold: (T,)."""
        if not self.typed:
            return batch.ids
        words = np.int32(self.layout.vocabulary // 2)
        return batch.ids + words * (batch.filled("types") > 0)

    def _embeddings(self, model: ModelLayout, config: Mapping[str, Any]) -> None:
        read = self.read
        hidden = model.hidden
        # where they may have another width than the states, as ELECTRA's, the file says which
        wide = None if self.names.narrower and "embedding_size" in config else hidden
        words = read.floats("embeddings.word_embeddings.weight", config.get("vocab_size"), wide)
        embedded = words.shape[1]
        if self.names.types:
            types = read.floats(self.names.types, config.get("type_vocab_size"), embedded)
            if not len(types):
                raise ModelError(
                    "the weights do not fit the architecture: there is no row for "
                    "the type of a token"
                )
            model.type = read.keep(np.ascontiguousarray(types[0]))
            # The kernels know one type, and add it to all words. Those of the second text are words
            # of their own, with the difference of the two types in them.
            if self.typed:
                words = np.concatenate([words, words + (types[1] - types[0])])
        places = config.get("max_position_embeddings")
        positions = read.floats("embeddings.position_embeddings.weight", places, embedded)
        model.vocabulary, model.embedded = words.shape
        model.words = read.keep(words)
        model.reach = len(positions)
        model.positions = read.keep(positions)
        model.embedding = read.norm("embeddings.LayerNorm", embedded)
        if embedded != hidden:
            model.enlarge = read.matrix(["embeddings_project"], hidden, embedded)

    def _layer(self, prefix: str, hidden: int, inner: int) -> LayerLayout:
        layer = LayerLayout()
        names = {part: prefix + name for part, name in self.names.parts.items()}
        layer.projected = self.read.matrix(
            [names["query"], names["key"], names["value"]], hidden, hidden
        )
        layer.out = self.read.matrix([names["out"]], hidden, hidden)
        layer.up = self.read.matrix([names["up"]], inner, hidden)
        layer.down = self.read.matrix([names["down"]], hidden, inner)
        layer.attended = self.read.norm(names["attended"], hidden)
        layer.finished = self.read.norm(names["finished"], hidden)
        return layer

    def _by_distance(self, buckets: Floats, reach: int) -> Floats:
        """What is added to a head's scores by key place - query place, from 1 - reach: (heads x (2
        reach - 1) and a panel,).
        """
        distances = np.arange(1 - reach, reach)
        by_distance = buckets[relative_bucket(distances)].T  # (heads, 2 reach - 1)
        # the kernels read whole registers, past the last of them
        return np.concatenate([by_distance.ravel(), np.zeros(self.kernels.panel, np.float32)])
