"""The arrays of many shards as those of one vector folder, one shard at a time."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from nearfield.similarity.dense import Dense
from nearfield.similarity.embeddings import OFFSETS, RANGES, VECTORS, Embeddings
from nearfield.similarity.facts import write_checksums
from nearfield.types.arrays import Array, Floats


def write_joined(
    stage: Path, shards: Sequence[Path], rows: Mapping[str, int], empty: Embeddings
) -> None:
    """Write into `stage` the arrays of a vector folder, and their checksums: the items of all
    `shards`, .npz files with arrays of the same names, which have so many `rows` in all.

    `empty` is embeddings of no item, stored as the folder's are. Of what it has as int8 the shards
    hold float32, and the codes are those that `Dense.quantise` gives of all vectors at once.
    """
    checksums = {}
    kept = empty.arrays()
    for name, like in kept.items():
        place = Path(name)
        if place.name == RANGES:  # written with the vectors that they are of
            continue
        (stage / name).parent.mkdir(parents=True, exist_ok=True)
        parts = _parts(shards, name)
        ranges = place.with_name(RANGES).as_posix()
        if place.name == VECTORS and ranges in kept:
            # all shards are read twice: a code means something only by the ranges of all of them
            dim = like.shape[1]
            extremes = Dense(_extremes(parts, dim), dim)
            steps = extremes.quantise("int8").ranges
            assert steps is not None
            checksums[ranges] = _write(stage / ranges, [steps], steps.shape)
            parts = _codes(_parts(shards, name), extremes)
        checksums[name] = _write(stage / name, parts, (rows[name], *like.shape[1:]))
    write_checksums(stage, checksums)


def _codes(parts: Iterator[Array], extremes: Dense) -> Iterator[Array]:
    """The int8 codes of the parts, by the ranges of `extremes`."""
    for part in parts:
        yield Dense(part, extremes.dim).quantise("int8", like=extremes).vectors


def _parts(shards: Sequence[Path], name: str) -> Iterator[Array]:
    """The array called `name` of each shard; offsets counted from the first shard's on."""
    end = 0
    for number, shard in enumerate(shards):
        with np.load(shard) as arrays:
            part: Array = arrays[name]
        if Path(name).name == OFFSETS:
            if number:  # each begins with a 0, which is the end of the shard before
                part = part[1:] + end
            if len(part):
                end = int(part[-1])
        yield part


def _extremes(parts: Iterable[Array], dim: int) -> Floats:
    """(2, dim) the least and the greatest value of each dimension, (0, dim) of no vectors."""
    found = np.empty((0, dim), np.float32)
    for part in parts:
        both = np.concatenate([found, part])
        if len(both):
            found = np.stack([both.min(0), both.max(0)])
    return found


def _write(path: Path, parts: Iterable[Array], shape: tuple[int, ...]) -> int:
    """Write the parts as a NumPy file of this shape, and give the checksum of its values."""
    checksum = 0
    with open(path, "wb") as file:
        for number, part in enumerate(parts):
            if not number:
                # the marks have told the number of rows, so that the header can stand before the
                # first of them
                facts = {"descr": part.dtype.str, "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, facts)
            if part.size:  # memory of no bytes cannot be cast
                data = np.ascontiguousarray(part).data.cast("B")
                checksum = zlib.crc32(data, checksum)
                file.write(data)
    return checksum
