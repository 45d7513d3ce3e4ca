"""An adapter's folder: a small map behind a model's query vectors, so that its documents' stay what
they are.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nearfield.data.trained_on import UNKNOWN, TrainedOn
from nearfield.errors import ContractError, InputError
from nearfield.similarity import EMBEDDINGS
from nearfield.similarity.dense import Dense
from nearfield.store.fields import read_fields
from nearfield.store.fingerprint import model_hash
from nearfield.types.arrays import Integers
from nearfield.types.contract import Contract
from nearfield.types.role import QUERY, Role

if TYPE_CHECKING:
    from nearfield.models.vector_map import VectorMap

FILE = "adapter.json"


@dataclass(frozen=True)
class Adapter:
    """`map` goes behind the vectors of `role`; those of other roles stay. `files` is the hash of
    the folder that it was read from.
    """

    map: VectorMap
    files: str = ""
    role: Role = QUERY
    trained_on: TrainedOn = UNKNOWN

    def check(self, contract: Contract) -> None:
        """Raise ContractError where a model's vectors do not go through the map and stay in their
        space.
        """
        config = self.map.config
        mapped = EMBEDDINGS[contract.kind].one_vector
        if not mapped or {config.from_dim, config.to_dim} != {contract.dim}:
            what = (
                f"makes {contract.kind} vectors of {contract.dim} dimensions and the map goes "
                f"from {config.from_dim} to {config.to_dim}"
            )
            raise ContractError(
                f"{contract.name} {what}; an adapter wants dense vectors and one dim on both sides"
            )

    def behind_each(self, vectors: Dense, roles: Mapping[Role, Integers]) -> Dense:
        """The vectors, with those mapped that are of the adapter's role; `roles` says which are of
        each.
        """
        # `floats` may be the very array of `vectors`, which may be the cache's or the caller's
        mapped = vectors.floats().copy()
        if self.role in roles:
            at = roles[self.role]
            mapped[at] = self.map.apply_to(mapped[at])
        return replace(vectors, vectors=mapped, storage="float32", ranges=None)


def is_adapter(path: str | Path) -> bool:
    """Whether `nearfield adapt` wrote what lies at `path`."""
    return os.path.isfile(os.path.join(path, FILE))


def read_adapter(path: str | Path) -> tuple[Adapter, str, str]:
    """The adapter in a folder, what opens the model that it belongs to, and the hash of that
    model's files.

    Raises InputError where the folder is not whole, or where the adapter was trained on vectors
    from files and names no model.
    """
    from nearfield.models.vector_map import VectorMap  # with torch

    path = Path(path)
    about = read_fields(path / FILE)
    if not about.text("source", None):
        advice = (
            "its map takes query vectors of that origin: VectorMap.open(FOLDER / "
            "'map').apply_to(vectors)"
        )
        raise InputError(
            f"was trained on vectors from files and names no model to open; {advice}", path=path
        )
    adapter = Adapter(
        VectorMap.open(path / "map"), model_hash(path), trained_on=TrainedOn.read(path)
    )
    return adapter, about.text("source"), about.text("files")
