"""A storage type: the upper half of each float32."""

from __future__ import annotations

import numpy as np

from nearfield.similarity.storages import Storage
from nearfield.types.arrays import Array, Floats


class BFloat16(Storage):
    """8 bits of exponent and 7 of fraction, cut off and not rounded."""

    dtype = "uint16"

    def encode(self, floats: Floats, ranges: Floats | None) -> Array:
        upper: Array = (floats.view(np.uint32) >> 16).astype(np.uint16)
        return upper

    def decode(self, stored: Array, dim: int, ranges: Floats | None) -> Floats:
        return (stored.astype(np.uint32) << 16).view(np.float32)


STORAGE = BFloat16()
