"""A static model's runtime: each text's mean of its tokens' vectors, by one sparse product."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nearfield.batch.packed import Packed
from nearfield.errors import ModelError
from nearfield.formats.model_folder import ModelFolder
from nearfield.formats.static_folder import checked_table
from nearfield.runtimes.runtime import Runtime
from nearfield.similarity.functions import unit


class StaticRuntime(Runtime):
    """A table of vectors, one row a token. A float32 table stays on disk and is read where a text
    needs it.
    """

    name = "static"
    precisions = ("float32",)
    precision = "float32"
    streams = 1
    # ids and offsets of 256,000 tokens stay in the processor's cache beside the rows that are read
    batch_tokens = 1 << 18

    def __init__(self, table: npt.NDArray[np.float32], *, normalise: bool) -> None:
        self.table, self.normalise = table, normalise

    @classmethod
    def open(cls, folder: ModelFolder, *, precision: str = "float32") -> StaticRuntime:
        """The runtime of a static folder. Raises ModelError where its table is damaged or does not
        fit the tokeniser's vocabulary.
        """
        return cls(checked_table(folder.transformer), normalise=folder.contract.normalise)

    def embed(self, batch: Packed) -> npt.NDArray[np.float32]:
        """See Runtime.embed; with a prompt, its tokens are pooled too, as sentence-transformers
        does with static models.
        """
        from scipy.sparse import csr_array  # not at the top: other models are not to wait for it

        lengths = batch.lengths
        # the product below would read beyond the table
        if len(batch.ids) and batch.ids.max() >= len(self.table):
            raise ModelError(
                f"a token has the number {batch.ids.max()} and there are {len(self.table)} "
                "vectors; is the tokeniser this model's?"
            )
        ones = np.ones(len(batch.ids), np.float32)
        which = csr_array(
            (ones, batch.ids, batch.offsets.astype(np.int32)), shape=(len(batch), len(self.table))
        )
        means: npt.NDArray[np.float32] = (which @ self.table) / np.maximum(lengths, 1).astype(
            np.float32
        )[:, None]
        return unit(means).astype(np.float32, copy=False) if self.normalise else means


def why_not(folder: ModelFolder) -> str | None:
    """What keeps this runtime from a folder: that its model is not static."""
    return None if folder.static else "this model is not static"
