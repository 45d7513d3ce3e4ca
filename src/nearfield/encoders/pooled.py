"""A multi-vector encoder whose documents keep fewer vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nearfield.data.trained_on import TrainedOn
from nearfield.encoders.encoded import encoded
from nearfield.encoders.encoder import Encoder
from nearfield.errors import ContractError
from nearfield.similarity import EMBEDDINGS
from nearfield.similarity.multi_vector import MultiVector
from nearfield.types.progress import Progress, silent
from nearfield.types.role import QUERY, Role


class PooledTokens(Encoder[MultiVector]):
    """`encoder` with every `factor` similar tokens of a text merged into one vector (see
    `MultiVector.pool`); queries keep all their tokens.

    Raises ContractError for an encoder of another kind and a factor below 1.
    """

    roles_differ = True
    worth_caching = False  # the whole ones are kept, from which every factor is pooled

    def __init__(self, encoder: Encoder[Any], factor: int) -> None:
        name = encoder.contract.name
        kind = encoder.contract.kind
        if not EMBEDDINGS[kind].merges_tokens:
            raise ContractError(
                f"{name} makes {kind} embeddings, which have no tokens to pool; "
                "wanted a multi-vector model"
            )
        if factor < 1:
            raise ContractError(
                f"{name} cannot merge every {factor} tokens into one vector; wanted at least 1"
            )
        self.encoder = encoder
        self.factor = factor
        self.contract = encoder.contract

    @property
    def trained_on(self) -> TrainedOn:
        return self.encoder.trained_on

    def encode_as(
        self, role: Role, items: Sequence[str], *, progress: Progress = silent
    ) -> MultiVector:
        whole: Any = encoded(self.encoder, items, role, progress=progress)
        made: MultiVector = whole if role == QUERY else whole.pool(self.factor)
        return made

    def read(self, item: str, role: Role) -> list[str] | None:
        """It cannot tell of a text whose tokens are pooled."""
        if role == QUERY:
            return self.encoder.read(item, role)
        return None
