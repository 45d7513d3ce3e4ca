"""What runs a model: packed token ids to vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from nearfield.batch.packed import Packed
from nearfield.similarity.embeddings import Embeddings


class Runtime(ABC):
    """A model folder's weights, ready to run under its contract.

    `precision` is that of the matrix products, one of `precisions`; what comes out is float32.
    `batch_tokens` is the number of tokens in one call at which it is fastest. `streams` is how many
    threads may call `embed` at the same time and be faster for it (1 where the runtime itself uses
    all cores). `kinds` are the kinds of embeddings that it makes. `adapts`: it runs LoRA adapters
    beside the weights. `places`: how many tokens of a text it has positions for, None for no bound
    of its own.
    """

    name: ClassVar[str]
    precisions: ClassVar[tuple[str, ...]]
    kinds: ClassVar[tuple[str, ...]] = ("dense",)
    adapts: ClassVar[bool] = False
    precision: str
    batch_tokens: int
    streams: int
    places: int | None = None

    @abstractmethod
    def embed(self, batch: Packed) -> npt.NDArray[np.float32]:
        """Vectors of the sequences in the batch's order: (n, dim) float32, pooled, projected and
        normalised as the contract says.

        A sequence without a token to pool gives zeros. Safe to call from `streams` threads at once.
        """

    def represent(self, batch: Packed) -> Embeddings:
        """The embeddings of the sequences, in the batch's order, of the model's kind: for the
        `kinds` other than dense.
        """
        raise NotImplementedError(f"{self.name} makes vectors alone")
