"""A multi-vector encoder whose documents keep fewer vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nearfield.data.trained_on import TrainedOn
from nearfield.encoders.encoder import Encoder
from nearfield.errors import ContractError
from nearfield.similarity import EMBEDDINGS
from nearfield.similarity.multi_vector import MultiVector
from nearfield.types.progress import Progress, silent
from nearfield.types.role import QUERY, Role


class PooledTokens(Encoder[MultiVector]):
    """`encoder` with one vector for `factor` alike tokens of a text (see `MultiVector.pool`);
    queries keep all their tokens.

    Raises ContractError for an encoder of another kind and a factor below 1.
    """

    def __init__(self, encoder: Encoder[Any], factor: int) -> None:
        name, kind = encoder.contract.name, encoder.contract.kind
        if not EMBEDDINGS[kind].merges_tokens:
            raise ContractError(
                f"{name} makes {kind} embeddings, which have no tokens to pool; "
                "wanted a multi-vector model"
            )
        if factor < 1:
            raise ContractError(
                f"{name} cannot keep one vector for {factor} tokens; wanted at least 1"
            )
        self.encoder, self.factor, self.contract = encoder, factor, encoder.contract

    @property
    def trained_on(self) -> TrainedOn:
        """See Encoder.trained_on."""
        return self.encoder.trained_on

    def encode(
        self, items: Sequence[str], role: Role, *, progress: Progress = silent
    ) -> MultiVector:
        """See Encoder.encode."""
        made: MultiVector = self.encoder.encode(items, role, progress=progress)
        return made if role == QUERY else made.pool(self.factor)

    def read(self, item: str, role: Role) -> list[str] | None:
        """See Encoder.read: of a text whose tokens are pooled it cannot tell."""
        return self.encoder.read(item, role) if role == QUERY else None
