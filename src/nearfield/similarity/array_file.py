"""An array of a vector folder, written a part at a time and never held whole."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nearfield.errors import InputError
from nearfield.similarity.dense import Dense
from nearfield.similarity.embeddings import Array
from nearfield.store.atomic import staged_file
from nearfield.store.growing import GrowingFile

# bytes, whatever the number of rows, so that it can be written again over the first one
HEADER = 128
_BLOCK = 32 << 20  # bytes read at a time


class ArrayFile:
    """A `.npy` file that grows at its end; `rows` of it are there already, whose CRC-32 is
    `checksum`.

    What is added has the type of `like`, and rows as wide as its. It is a NumPy file once `close`
    has written the final number of rows.
    """

    def __init__(self, path: Path, like: Array, *, rows: int = 0, checksum: int = 0) -> None:
        self.path, self.dtype, self.shape, self.checksum = (
            path,
            like.dtype,
            like.shape[1:],
            checksum,
        )
        self._row_bytes = row_bytes(like)
        self._file = GrowingFile(path, size=HEADER + rows * self._row_bytes if rows else 0)
        if not rows:
            self._file.append(header(self.dtype, (0, *self.shape)))

    @property
    def rows(self) -> int:
        """How many rows it holds."""
        return (self._file.size - HEADER) // self._row_bytes

    def append(self, rows: Array) -> None:
        """Add rows of the file's own type and width."""
        assert rows.dtype == self.dtype
        assert rows.shape[1:] == self.shape
        data = np.ascontiguousarray(rows).data.cast("B") if rows.size else b""
        self.checksum = zlib.crc32(data, self.checksum)
        self._file.append(data)

    def last(self) -> Array:
        """The last row, read from the disk."""
        return np.fromfile(self.path, self.dtype, offset=self._file.size - self._row_bytes).reshape(
            self.shape
        )

    def sync(self) -> None:
        """All rows added so far are on the disk when this returns."""
        self._file.sync()

    def close(self) -> None:
        """Write the final number of rows into the header, and let go of the file."""
        self._file.overwrite_start(header(self.dtype, (self.rows, *self.shape)))
        self._file.sync()
        self.release()

    def release(self) -> None:
        """Let go of the file as it is."""
        self._file.close()


def row_bytes(like: Array) -> int:
    """Bytes of a row of such an array."""
    return like.dtype.itemsize * math.prod(like.shape[1:])


def header(dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> bytes:
    """The first 128 bytes of a NumPy file (format 1.0) of this shape."""
    facts = repr({"descr": dtype.str, "fortran_order": False, "shape": shape})
    magic = b"\x93NUMPY\x01\x00" + (HEADER - 10).to_bytes(2, "little")
    return magic + facts.ljust(HEADER - 11).encode("ascii") + b"\n"


def quantise_file(
    source: Path, target: Path, bounds: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float32], int]:
    """Write the float32 vectors in the file `source` as int8 codes to `target`, whole or not at
    all; the ranges and the checksum of the codes.

    `bounds`: (2, dim) float32, the least and the greatest value of each dimension over all the
    vectors; the codes are those that `Dense.quantise` gives of all of them at once. Memory does not
    grow with their number.
    """
    like = Dense(bounds, bounds.shape[1])
    ranges = like.quantise("int8").ranges
    assert ranges is not None
    with staged_file(target) as stage:
        codes = ArrayFile(stage, np.empty((0, like.dim), np.uint8))
        for block in read_blocks(source):
            codes.append(Dense(block, like.dim).quantise("int8", like=like).vectors)
        codes.close()
    return ranges, codes.checksum


def read_blocks(path: Path) -> Iterator[Array]:
    """The rows of a NumPy file of two dimensions, some tens of megabytes at a time, read and not
    mapped.

    Raises InputError where it is cut off.
    """
    with open(path, "rb") as file:
        np.lib.format.read_magic(file)
        (rows, width), _, dtype = np.lib.format.read_array_header_1_0(file)
        step = max(1, _BLOCK // (dtype.itemsize * width))
        for start in range(0, rows, step):
            wanted = min(step, rows - start)
            flat = np.fromfile(file, dtype, wanted * width)
            if len(flat) < wanted * width:
                raise InputError(
                    f"ends after {start + len(flat) // width:,} of {rows:,} vectors", path=path
                )
            yield flat.reshape(wanted, width)
