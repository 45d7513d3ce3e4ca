"""A static model's runtime: each text's mean of its tokens' vectors, by one sparse product."""

from __future__ import annotations

import numpy as np

from nearfield.batch.packed import Packed
from nearfield.errors import ModelError
from nearfield.formats.static_folder import checked_table
from nearfield.runtimes.options import ON_CPU, OpenOptions
from nearfield.runtimes.runtime import Folder, Runtime
from nearfield.similarity.dense import Dense
from nearfield.similarity.functions import unit
from nearfield.types.arrays import Floats
from nearfield.types.contract import Contract


class StaticRuntime(Runtime):
    """A table of vectors, one per token. A float32 table stays on disk and is read where a text
    needs it.
    """

    name = "static"
    precisions = ("float32",)
    precision = "float32"
    streams = 1
    # ids and offsets of 256,000 tokens stay in the processor's cache beside the rows that are read
    batch_tokens = 1 << 18

    def __init__(self, table: Floats, contract: Contract) -> None:
        self.table = table
        self._contract = contract

    @classmethod
    def why_not(cls, folder: Folder) -> str | None:
        return None if folder.static else "this model is not static"

    @classmethod
    def open(cls, folder: Folder, options: OpenOptions = ON_CPU) -> StaticRuntime:
        """Raises ModelError where the table is damaged or does not fit the vocabulary."""
        return cls(checked_table(folder.transformer), folder.contract)

    def run(self, batch: Packed) -> Dense:
        """With a prompt, its tokens are pooled too, as sentence-transformers does with static
        models.
        """
        from scipy.sparse import csr_array  # not at the top: other models are not to wait for it

        size = len(self.table)
        # the product below would read beyond the table
        if len(batch.ids) and batch.ids.max() >= size:
            raise ModelError(
                f"a token has the number {batch.ids.max()} and there are {size} vectors; is the "
                "tokeniser this model's?"
            )
        ones = np.ones(len(batch.ids), np.float32)
        # of the ids' type, so that scipy converts neither
        offsets = batch.offsets.astype(np.int32)
        which = csr_array((ones, batch.ids, offsets), shape=(len(batch), size))
        counts = np.maximum(batch.lengths, 1).astype(np.float32)
        vectors: Floats = (which @ self.table) / counts[:, None]
        if self._contract.normalise:
            vectors = unit(vectors).astype(np.float32, copy=False)
        return Dense.under(self._contract, vectors)
