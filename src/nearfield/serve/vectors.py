"""Vectors as the vendors' answers hold them: cut, as small integers, as bits, in base64."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from nearfield.serve.call import Call
from nearfield.serve.kept_rows import Row
from nearfield.serve.refusal import INVALID, Refusal
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.arrays import Array, Floats

FULL_SCALE = 5.0
"""The value that an int8 of 127 stands for, in standard deviations of the values of a vector of
unit length: 1 / sqrt(dim). Vendors' own ranges are not published.
"""


def joined(rows: Sequence[Row]) -> Embeddings:
    """The embeddings of all rows."""
    made = [row.embeddings for row in rows]
    return type(made[0]).join(made)


def part(embeddings: Embeddings, ability: str) -> Any:
    """The embeddings themselves, or the part of fused ones, that have an ability such as
    `one_vector`, `has_terms`, `merges_tokens`; None where there are none.
    """
    every = (embeddings, *embeddings.by_part.values())
    return next((each for each in every if getattr(each, ability)), None)


def vectors(call: Call, rows: Sequence[Row], dim: int | None = None) -> Floats:
    """(n, dim) float32, cut to the first `dim` dimensions where asked.

    Raises Refusal for a model without one vector per text and a dim that it does not have; a dim
    that it was not trained for is said in the call's warnings.
    """
    dense = part(joined(rows), "one_vector")
    if dense is None:
        raise Refusal(INVALID, f"{call.contract} does not make one vector per text")
    if dim is not None and dim != dense.dim:
        if not 0 < dim < dense.dim:
            message = f"{call.contract} has {dense.dim} dimensions; {dim} were asked for"
            raise Refusal(INVALID, message)
        trained = call.models.by_name[call.model].encoder().contract.matryoshka_dims
        if dim not in trained:
            known = ", ".join(map(str, trained)) or "all of them alone"
            call.warn(f"{call.contract} was not trained for {dim} dimensions, but for {known}")
        dense = dense.truncate(dim)
    # orjson writes contiguous arrays alone
    return np.ascontiguousarray(dense.floats())


def token_vectors(call: Call, rows: Sequence[Row]) -> list[Floats]:
    """For each text (t, dim) float32, a vector per token. Raises Refusal for a model without."""
    found = []
    for row in rows:
        tokens = part(row.embeddings, "merges_tokens")
        if tokens is None:
            raise Refusal(INVALID, f"{call.contract} does not make a vector per token")
        found.append(tokens.tokens.floats())
    return found


def as_int8(floats: Floats) -> Array:
    """(n, dim) int8; 127 stands for FULL_SCALE standard deviations."""
    scale = 127 * np.sqrt(floats.shape[1]) / FULL_SCALE
    lengths = np.linalg.norm(floats, axis=1, keepdims=True)
    unit = floats / np.maximum(lengths, 1e-12)
    codes: Array = np.clip(np.rint(unit * scale), -128, 127).astype(np.int8)
    return codes


def stored(floats: Floats, storage: str) -> Array:
    """The vectors as `float`, `int8`, `uint8` (int8 + 128), `ubinary` (8 signs a byte, the first
    the highest bit) or `binary` (ubinary - 128, as int8).
    """
    if storage == "float":
        return floats
    if storage == "int8":
        return as_int8(floats)
    if storage == "uint8":
        # int8 cannot hold the sum
        return (as_int8(floats).astype(np.int16) + 128).astype(np.uint8)
    # (n, dim / 8), rounded up
    bits = np.packbits(floats > 0, axis=1)
    if storage == "ubinary":
        return bits
    return (bits.astype(np.int16) - 128).astype(np.int8)


def as_base64(vector: Array) -> str:
    """The bytes of the numbers, little-endian."""
    return base64.b64encode(vector.astype(vector.dtype.newbyteorder("<")).tobytes()).decode()


def embedded(stored: Array, *, in_base64: bool) -> list[dict[str, Any]]:
    """OpenAI's `data`: one object per vector."""
    rows = []
    for at, vector in enumerate(stored):
        value = as_base64(vector) if in_base64 else vector
        rows.append({"object": "embedding", "index": at, "embedding": value})
    return rows
