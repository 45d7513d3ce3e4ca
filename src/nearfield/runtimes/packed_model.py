"""A checkpoint's weights, laid out for the kernels."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield.batch.packed import Packed
from nearfield.errors import ModelError
from nearfield.formats.weights import Weights
from nearfield.kernels.layout import LayerLayout, ModelLayout
from nearfield.kernels.library import Kernels
from nearfield.kernels.matrix import Floats
from nearfield.models.backbones.architectures import ACTIVATIONS, Architecture
from nearfield.models.backbones.relative_bucket import relative_bucket
from nearfield.runtimes.packed_weights import PackedWeights
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
        architecture: Architecture,
        pooling: str,
        precision: str = "float32",
        typed: bool = False,
    ) -> None:
        self.kernels, self.read = (
            kernels,
            PackedWeights(kernels, weights, prefix=architecture.prefix, precision=precision),
        )
        self.typed, self._architecture = typed, architecture
        hidden, heads, inner, count = (
            int(architecture.fact(config, key))
            for key in (
                "hidden_size",
                "num_attention_heads",
                "intermediate_size",
                "num_hidden_layers",
            )
        )
        self.layout = model = ModelLayout()
        model.hidden, model.heads, model.intermediate, model.layer_count = (
            hidden,
            heads,
            inner,
            count,
        )
        model.activation, model.pooling = (
            ACTIVATIONS[architecture.fact(config, "hidden_act")],
            POOLINGS.index(pooling),
        )
        model.epsilon = float(architecture.fact(config, "layer_norm_eps"))
        model.padding = (
            int(architecture.fact(config, "pad_token_id")) if architecture.padded_positions else -1
        )
        self._embeddings(model, hidden, config)
        if architecture.distances:
            model.distances = self.read.keep(
                self._by_distance(self.read.floats(architecture.distances, 32, heads), model.reach)
            )
        layers = (LayerLayout * count)(
            *[self._layer(architecture.layer.format(at), hidden, inner) for at in range(count)]
        )
        self.read.kept.append(layers)
        model.layers = ctypes.cast(layers, ctypes.POINTER(LayerLayout))

    def ids(self, batch: Packed) -> npt.NDArray[np.int32]:
        """The ids of the batch's tokens among the words that the kernels hold: (T,)."""
        if not self.typed:
            return batch.ids
        words = np.int32(self.layout.vocabulary // 2)
        return batch.ids + words * (batch.filled("types") > 0)

    def _embeddings(self, model: ModelLayout, hidden: int, config: Mapping[str, Any]) -> None:
        wide = None if "embedding_size" in config and config["model_type"] == "electra" else hidden
        words = self.read.floats(
            "embeddings.word_embeddings.weight", config.get("vocab_size"), wide
        )
        if self.typed and self._architecture.types:
            first, second = self.read.floats(self._architecture.types, 2, words.shape[1])
            words = np.concatenate([words, words + (second - first)])  # the first's is added to all
        model.vocabulary, model.embedded = words.shape
        positions = self.read.floats(
            "embeddings.position_embeddings.weight",
            config.get("max_position_embeddings"),
            model.embedded,
        )
        model.reach = len(positions)
        model.words, model.positions = self.read.keep(words), self.read.keep(positions)
        if self._architecture.types:
            types = self.read.floats(
                self._architecture.types, config.get("type_vocab_size"), model.embedded
            )
            if not len(types):
                raise ModelError(
                    "the weights do not fit the architecture: there is no row for "
                    "the type of a token"
                )
            model.type = self.read.keep(np.ascontiguousarray(types[0]))
        model.embedding = self.read.norm("embeddings.LayerNorm", model.embedded)
        if model.embedded != hidden:
            model.enlarge = self.read.matrix(["embeddings_project"], hidden, model.embedded)

    def _layer(self, prefix: str, hidden: int, inner: int) -> LayerLayout:
        layer = LayerLayout()
        names = {part: prefix + name for part, name in self._architecture.parts.items()}
        layer.projected = self.read.matrix(
            [names["query"], names["key"], names["value"]], hidden, hidden
        )
        layer.out = self.read.matrix([names["out"]], hidden, hidden)
        layer.up = self.read.matrix([names["up"]], inner, hidden)
        layer.down = self.read.matrix([names["down"]], hidden, inner)
        layer.attended, layer.finished = (
            self.read.norm(names["attended"], hidden),
            self.read.norm(names["finished"], hidden),
        )
        return layer

    def _by_distance(self, buckets: Floats, reach: int) -> Floats:
        """What is added to a head's scores by key place - query place, from 1 - reach: (heads x (2
        reach - 1) and a panel,).
        """
        distances = np.arange(1 - reach, reach)
        by_distance = buckets[relative_bucket(distances)].T
        return np.concatenate([by_distance.ravel(), np.zeros(self.kernels.panel, np.float32)])
