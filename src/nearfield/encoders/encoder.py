"""What turns items into embeddings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from nearfield.similarity.dense import Dense
from nearfield.types.contract import Contract
from nearfield.types.progress import Progress, silent
from nearfield.types.role import Role


class Encoder(ABC):
    """A model under its contract.

    `encode` returns embeddings in the order of the items, whatever the batches were.
    """

    contract: Contract

    @abstractmethod
    def encode(self, items: Sequence[str], role: Role, *, progress: Progress = silent) -> Dense:
        """Embeddings of `items` in `role`: (len(items), dim) float32.

        Warns with TruncationWarning where items were cut to the contract's max_tokens; the counts are in `.usage`.
        Raises ContractError for a role that the contract does not know.
        """
