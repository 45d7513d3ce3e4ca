"""What a run over many rows is asked for."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from nearfield.errors import ContractError, MatryoshkaWarning
from nearfield.similarity.dense import Dense
from nearfield.types.contract import Contract
from nearfield.types.role import DOCUMENT, Role


@dataclass(frozen=True)
class Request:
    """What the texts are, and how their vectors are stored.

    `dim` keeps the first so many dimensions. `strict` ends the run at the first row that cannot be encoded. `source` is what opens
    the model again, for whoever searches the vectors later.
    """

    role: Role = DOCUMENT
    dim: int | None = None
    storage: str = "float32"
    strict: bool = False
    source: str = ""

    def check(self, contract: Contract) -> None:
        """Raise ContractError for what `contract` forbids, before anything is encoded; warn of a dim that it does not list."""
        if contract.kind != Dense.kind:
            message = f"{contract.name} makes {contract.kind} embeddings, and only those of one vector a text are written a shard at a time"
            raise ContractError(f"{message}; in Python, load_encoder(...).encode(texts, role).save(folder) writes them at once")
        contract.prompt(self.role)
        self.stored(Dense(np.empty((0, contract.dim), np.float32), contract.dim))
        if self.dim not in (None, contract.dim, *contract.matryoshka_dims):
            trained = ", ".join(map(str, contract.matryoshka_dims)) or "none"
            message = f"{contract.name} is cut to {self.dim} dimensions and was trained for {trained}; measure what that costs on your own "
            message += f"data: nearfield evaluate {contract.name} --dims {contract.dim},{self.dim}"
            warnings.warn(message, MatryoshkaWarning, stacklevel=3)

    @property
    def first_storage(self) -> str:
        """As what vectors are written at first: codes of int8 can be made only when the ranges of all of them are known."""
        return "float32" if self.storage == "int8" else self.storage

    def stored(self, vectors: Dense) -> Dense:
        """`vectors` cut and stored as asked for."""
        return self.cut(vectors).quantise(self.storage)

    def cut(self, vectors: Dense) -> Dense:
        """`vectors` with as many dimensions as asked for."""
        return vectors if self.dim is None else vectors.truncate(self.dim)
