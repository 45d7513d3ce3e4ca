"""What each token adds to a vector that is the mean over tokens."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from nearfield.batch.packed import pack
from nearfield.batch.tokens import Tokens
from nearfield.formats.model_folder import ModelFolder
from nearfield.models.heads.layer import IDENTITY
from nearfield.runtimes.choose import open_runtime
from nearfield.runtimes.options import OpenOptions
from nearfield.runtimes.runtime import Runtime
from nearfield.similarity import EMBEDDINGS
from nearfield.types.arrays import Floats


class TokenParts:
    """The model of `folder`, run by torch, its vectors left at their own length."""

    def __init__(self, folder: ModelFolder) -> None:
        contract = replace(folder.contract, normalise=False)
        self._folder = replace(folder, contract=contract)

    @cached_property
    def _runtime(self) -> Runtime:
        # only torch gives the states of tokens
        return open_runtime(self._folder, OpenOptions(runtime="torch"))[0]

    @property
    def linear(self) -> bool:
        """Whether a text's vector is a mean over its tokens: pooled so, with no layer behind the
        pooling that bends it.
        """
        contract = self._folder.contract
        if not EMBEDDINGS[contract.kind].one_vector or self._folder.adapters:
            return False
        if contract.pooling != "mean":
            return False
        running: Any = self._runtime
        bends = {layer.config.activation_function for layer in running.model.head.projections}
        return bends <= {IDENTITY}

    def of(self, tokens: Tokens) -> tuple[list[int], Floats]:
        """The ids of the k tokens that count of one text, and (k, dim) float32 that sum up to its
        vector.
        """
        batch = pack(tokens, np.arange(1))
        first = 0 if self._folder.contract.include_prompt else tokens.prompt_tokens
        counted = np.arange(first, len(batch.ids))
        if not len(counted):
            return [], np.empty((0, self._folder.contract.dim), np.float32)
        # the mean over one token is that token's state, through all layers behind the pooling
        spans = list(counted[:, None])
        vectors = self._runtime.run_spans(batch, spans).as_dense("attribution")
        # the sum of k states is k times their mean
        return batch.ids[counted].tolist(), vectors.floats() / np.float32(len(counted))
