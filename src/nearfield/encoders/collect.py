"""What the batches of one encode call give, put together in the order of the items."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield.batch.packed import Packed
from nearfield.errors import InputError, ModelError
from nearfield.runtimes.runtime import Runtime
from nearfield.similarity import EMBEDDINGS
from nearfield.similarity.dense import Dense, checked_finite
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.contract import Contract
from nearfield.types.usage import Usage

Positions = npt.NDArray[np.int64]


class Collector(ABC):
    """Takes the parts of n items, in any order."""

    @abstractmethod
    def make(self, runtime: Runtime, batch: Packed) -> Any:
        """What the runtime makes of a batch; may be called from several threads."""

    @abstractmethod
    def put(self, items: Positions, made: Any) -> None:
        """Keep what `make` gave for the items at these positions."""

    @abstractmethod
    def embeddings(self, usage: Usage, counts: npt.NDArray[np.int64]) -> Embeddings:
        """All items' embeddings, with `counts` (n, 2), the tokens read and lost of each.

        Raises ModelError where some are not finite.
        """


class Rows(Collector):
    """One vector an item, into an array that is there from the start."""

    def __init__(self, contract: Contract, n: int) -> None:
        self._contract = contract
        self._vectors = np.empty((n, contract.dim), np.float32)

    def make(self, runtime: Runtime, batch: Packed) -> npt.NDArray[np.float32]:
        """See Collector.make."""
        return runtime.embed(batch)

    def put(self, items: Positions, made: npt.NDArray[np.float32]) -> None:
        """See Collector.put."""
        self._vectors[items] = made

    def embeddings(self, usage: Usage, counts: npt.NDArray[np.int64]) -> Dense:
        """See Collector.embeddings."""
        vectors = checked_finite(self._vectors, self._contract.name)
        return Dense.under(self._contract, vectors, usage=usage, counts=counts)


class Parts(Collector):
    """Embeddings of any other kind, joined at the end."""

    def __init__(self, contract: Contract, empty: Embeddings) -> None:
        self._contract = contract
        self._parts: list[Embeddings] = [empty]
        self._items: list[Positions] = [np.empty(0, np.int64)]

    def make(self, runtime: Runtime, batch: Packed) -> Embeddings:
        """See Collector.make."""
        try:
            return runtime.represent(batch)
        except InputError as error:  # weights that are not finite have no place in a sparse vector
            raise ModelError(
                f"{self._contract.name}: {error}; its weights or precision are not usable"
            ) from error

    def put(self, items: Positions, made: Embeddings) -> None:
        """See Collector.put."""
        self._items.append(items)
        self._parts.append(made)

    def embeddings(self, usage: Usage, counts: npt.NDArray[np.int64]) -> Embeddings:
        """See Collector.embeddings."""
        joined = type(self._parts[0]).join(self._parts)
        # vectors of tokens take much room, and putting them in order takes as much again
        self._parts.clear()
        checked_finite(joined.peaks()[:, None], self._contract.name)
        ordered: Any = joined[np.argsort(np.concatenate(self._items))]
        found: Embeddings = replace(ordered, usage=usage, counts=counts)
        return found


def collector(contract: Contract, n: int, runtime: Runtime) -> Collector:
    """What collects n items' embeddings of the contract's kind."""
    if EMBEDDINGS[contract.kind].one_vector:
        return Rows(contract, n)
    nothing = Packed(np.empty(0, np.int32), np.zeros(1, np.int64), np.empty(0, np.int64))
    return Parts(contract, runtime.represent(nothing))
