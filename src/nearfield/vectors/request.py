"""What a run over many rows is asked for."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from nearfield.errors import ContractError, MatryoshkaWarning
from nearfield.similarity.embeddings import Embeddings
from nearfield.similarity.storages import STORAGES
from nearfield.types.contract import Contract
from nearfield.types.role import DOCUMENT, QUERY, Role


@dataclass(frozen=True)
class Request:
    """What the texts are, and how their vectors are stored.

    `dim` keeps the first so many dimensions; `pool_tokens` keeps one vector for so many tokens of a
    multi-vector document (see `MultiVector.pool`). `strict` ends the run at the first row that
    cannot be encoded. `source` is what opens the model again, for whoever searches the vectors
    later.
    """

    role: Role = DOCUMENT
    dim: int | None = None
    storage: str = "float32"
    strict: bool = False
    source: str = ""
    pool_tokens: int | None = None

    def check(self, contract: Contract, empty: Embeddings) -> None:
        """Raise ContractError for what `contract` forbids, before anything is encoded; warn of a
        dim that it does not list.

        `empty` is embeddings of no text, as its model makes them.
        """
        # raises for a role that the contract does not know
        contract.prompt(self.role)
        if self.pool_tokens is not None and self.role == QUERY:
            raise ContractError(
                f"pool_tokens is {self.pool_tokens} and the role is {QUERY}: "
                "queries keep all their tokens; leave it out"
            )
        self.stored(empty)
        # a warning and no error: other cuts work, and cost more than those that were trained
        if self.dim not in (None, contract.dim, *contract.matryoshka_dims):
            trained = ", ".join(map(str, contract.matryoshka_dims)) or "none"
            message = (
                f"{contract.name} is cut to {self.dim} dimensions and was trained for "
                f"{trained}; measure what that costs on your own "
            )
            message += f"data: nearfield evaluate {contract.name} --dims {contract.dim},{self.dim}"
            warnings.warn(message, MatryoshkaWarning, stacklevel=3)

    @property
    def first_storage(self) -> str:
        """As what vectors are written at first: codes of a storage type that is ranged can be made
        only when the ranges of all of them are known.
        """
        if STORAGES[self.storage].ranged:
            return "float32"
        return self.storage

    def stored(self, vectors: Embeddings) -> Embeddings:
        """`vectors` cut and stored as asked for."""
        return self.cut(vectors).quantise(self.storage)

    def cut(self, vectors: Embeddings) -> Embeddings:
        """`vectors` with as many dimensions, and tokens, as asked for. Raises ContractError for a
        kind that has none.
        """
        if self.dim is not None:
            if not vectors.one_vector:
                raise ContractError(
                    f"{self.dim} dimensions were asked for, and {vectors.kind} "
                    "embeddings are not cut; leave that out"
                )
            vectors = vectors.as_dense("a cut").truncate(self.dim)
        if self.pool_tokens is not None:
            vectors = vectors.pool(self.pool_tokens)
        return vectors
