"""The vectors of a vector folder, written a part at a time and never held whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nearfield.errors import InputError
from nearfield.similarity.dense import STORAGES, Dense
from nearfield.similarity.embeddings import Array
from nearfield.store.atomic import staged_file
from nearfield.store.growing import GrowingFile

_HEADER = 128  # bytes, whatever the number of rows, so that it can be written again over the first one
_BLOCK = 32 << 20  # bytes read at a time


class VectorFile:
    """A `vectors.npy` that grows at its end; `rows` of it are there already.

    `dim` dimensions are stored as `storage`. It is a NumPy file once `close` has written the final number of rows.
    """

    def __init__(self, path: Path, *, dim: int, storage: str, rows: int = 0) -> None:
        self.dtype, self.width = layout(dim, storage)
        self._row_bytes = self.dtype.itemsize * self.width
        self._file = GrowingFile(path, size=_HEADER + rows * self._row_bytes if rows else 0)
        if not rows:
            self._file.append(header(self.dtype, 0, self.width))

    @property
    def rows(self) -> int:
        """How many vectors it holds."""
        return (self._file.size - _HEADER) // self._row_bytes

    def append(self, vectors: Array) -> None:
        """Add `vectors`: (n, width) of the storage's own type."""
        assert vectors.dtype == self.dtype
        assert vectors.shape[1] == self.width
        self._file.append(np.ascontiguousarray(vectors).data.cast("B") if vectors.size else b"")

    def sync(self) -> None:
        """All vectors added so far are on the disk when this returns."""
        self._file.sync()

    def close(self) -> None:
        """Write the final number of rows into the header, and let go of the file."""
        self._file.overwrite_start(header(self.dtype, self.rows, self.width))
        self._file.sync()
        self.release()

    def release(self) -> None:
        """Let go of the file as it is."""
        self._file.close()


def layout(dim: int, storage: str) -> tuple[np.dtype[np.generic], int]:
    """The type and the number of columns of a vector file for `dim` dimensions stored as `storage`."""
    assert storage in STORAGES
    if storage == "binary":
        return np.dtype(np.uint8), (dim + 7) // 8
    return np.dtype(np.uint8 if storage == "int8" else storage), dim


def header(dtype: np.dtype[np.generic], rows: int, width: int) -> bytes:
    """The first 128 bytes of a NumPy file (format 1.0) of shape (rows, width)."""
    facts = repr({"descr": dtype.str, "fortran_order": False, "shape": (rows, width)})
    magic = b"\x93NUMPY\x01\x00" + (_HEADER - 10).to_bytes(2, "little")
    return magic + facts.ljust(_HEADER - 11).encode("ascii") + b"\n"


def quantise_file(source: Path, target: Path, bounds: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Write the float32 vectors in the file `source` as int8 codes to `target`, whole or not at all; the ranges of the codes.

    `bounds`: (2, dim) float32, the least and the greatest value of each dimension over all the vectors; the codes are those
    that `Dense.quantise` gives of all of them at once. Memory does not grow with their number.
    """
    like = Dense(bounds, bounds.shape[1])
    ranges = like.quantise("int8").ranges
    assert ranges is not None
    rows = 0
    with staged_file(target) as stage:
        codes = VectorFile(stage, dim=like.dim, storage="int8")
        for block in read_blocks(source):
            codes.append(Dense(block, like.dim).quantise("int8", like=like).vectors)
            rows += len(block)
        codes.close()
    return ranges


def read_blocks(path: Path) -> Iterator[Array]:
    """The rows of a NumPy file of two dimensions, some tens of megabytes at a time, read and not mapped.

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
                raise InputError(f"ends after {start + len(flat) // width:,} of {rows:,} vectors", path=path)
            yield flat.reshape(wanted, width)
