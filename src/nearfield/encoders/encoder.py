"""What turns items into embeddings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Generic

from typing_extensions import TypeVar

from nearfield.data.trained_on import UNKNOWN, TrainedOn
from nearfield.similarity.dense import Dense
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.contract import Contract
from nearfield.types.progress import Progress, silent
from nearfield.types.role import Role

E = TypeVar("E", bound=Embeddings, default=Dense, covariant=True)


class Encoder(ABC, Generic[E]):
    """A model under its contract; `Encoder[Sparse]` makes `Sparse` embeddings, and `Encoder` alone
    `Dense` ones.

    `encode` returns embeddings in the order of the items, whatever the batches were.

    `worth_caching` says whether looking a vector up is quicker than making it again.
    """

    contract: Contract
    worth_caching: ClassVar[bool] = True

    @property
    def identity(self) -> dict[str, str] | None:
        """What its vectors depend on beside texts and prompts: the hash of the model's `files`,
        precision, runtime.

        None where it cannot tell, which is the default: its vectors are then not kept for later.
        """
        return None

    @property
    def trained_on(self) -> TrainedOn:
        """The queries that it was trained on, as far as it knows."""
        return UNKNOWN

    @abstractmethod
    def encode(self, items: Sequence[str], role: Role, *, progress: Progress = silent) -> E:
        """Embeddings of `items` in `role`, of the contract's kind.

        Warns with TruncationWarning where items were cut to the contract's max_tokens; the counts
        are in `.usage`. Raises ContractError for a role that the contract does not know.
        """

    def names(self, terms: Sequence[int]) -> list[str]:
        """What the dimensions `terms` of sparse embeddings stand for; their numbers where the
        encoder has no words for them.
        """
        return [str(term) for term in terms]

    def rarest_first(self, terms: list[int]) -> list[int]:
        """The dimensions `terms` by how rare they are, where the encoder knows that; else as they
        are.
        """
        return terms

    def unknown(self, text: str) -> list[str]:
        """The words of `text` that the encoder has no term for, and leaves out; none where it has
        one for all.
        """
        return []

    def stopped(self, text: str) -> list[str]:
        """The words of `text` that the encoder leaves out as stop words; none where it has no stop
        list.
        """
        return []

    def read(self, item: str, role: Role) -> list[str] | None:
        """What each vector of the multi-vector embedding of `item` stands for, in order; None where
        the encoder cannot tell.
        """
        return None
