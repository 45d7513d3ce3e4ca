"""A measure's value for each query, never only its mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Scores:
    """`values`: (n,) float64, one per query in the order of `query_ids`; `measure` is written as
    ir-measures writes it (`nDCG@10`).
    """

    measure: str
    query_ids: tuple[str, ...]
    values: npt.NDArray[np.float64]

    @property
    def mean(self) -> float:
        """The mean over queries."""
        return float(self.values.mean())
