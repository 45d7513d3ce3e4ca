"""An encoder whose vectors of some roles go through a small map; the other roles' stay what they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nearfield.encoders.encoder import Encoder
from nearfield.errors import ContractError
from nearfield.heads.vector_map import VectorMap
from nearfield.similarity.dense import Dense
from nearfield.types.progress import Progress, silent
from nearfield.types.role import QUERY, Role


class Adapted(Encoder):
    """`encoder` with `vector_map` behind it for `roles`: with queries alone, an index of its documents stays as it is.

    Raises ContractError for a map between other dims than the encoder's.
    """

    def __init__(self, encoder: Encoder, vector_map: VectorMap, *, roles: Sequence[Role] = (QUERY,)) -> None:
        config, dim = vector_map.config, encoder.contract.dim
        if config.from_dim != dim or config.to_dim != dim:
            what = f"{config.from_dim} to {config.to_dim}"
            raise ContractError(f"{encoder.contract.name} has {dim} dimensions and the map goes from {what}; both sides need the same")
        self.encoder, self.map, self.roles = encoder, vector_map, tuple(roles)
        self.contract = replace(encoder.contract, name=f"{encoder.contract.name} adapted")

    def encode(self, items: Sequence[str], role: Role, *, progress: Progress = silent) -> Dense:
        """See Encoder.encode."""
        vectors = self.encoder.encode(items, role, progress=progress)
        if role not in self.roles:
            return vectors
        return replace(vectors, vectors=self.map.apply_to(vectors.floats()), storage="float32", ranges=None)
