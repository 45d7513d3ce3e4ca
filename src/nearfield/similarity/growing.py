"""The arrays of a vector folder, written a part at a time, of whatever kind the embeddings are."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nearfield.similarity.array_file import HEADER, ArrayFile, quantise_file, row_bytes
from nearfield.similarity.dense import RANGES
from nearfield.similarity.embeddings import OFFSETS, VECTORS, Embeddings
from nearfield.similarity.facts import write_checksums
from nearfield.store.array import checksum
from nearfield.store.growing import unchanged

Bounds = Mapping[str, npt.NDArray[np.float32]]
"""The least and the greatest value of each dimension, (2, dim), of each array of vectors by its
file's name.
"""


class GrowingEmbeddings:
    """The files in `folder` that parts of embeddings are added to.

    `empty` is embeddings of no item, of the kind and storage of all the parts; `rows` and
    `checksums` say of each file how many rows of it are there already and whole, and what their
    checksum is, and nothing of a folder that is begun.
    """

    def __init__(
        self,
        folder: Path,
        empty: Embeddings,
        *,
        rows: Mapping[str, int] | None = None,
        checksums: Mapping[str, int] | None = None,
    ) -> None:
        self._files: dict[str, ArrayFile] = {}
        for name, array in empty.arrays().items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            known = checksums[name] if checksums else 0
            self._files[name] = ArrayFile(
                folder / name, array, rows=rows[name] if rows else 0, checksum=known
            )
            if Path(name).name == OFFSETS and not rows:
                self._files[name].append(array)
        self._ends = {
            name: int(file.last())
            for name, file in self._files.items()
            if Path(name).name == OFFSETS
        }

    @property
    def rows(self) -> dict[str, int]:
        """How many rows each file holds."""
        return {name: file.rows for name, file in self._files.items()}

    @property
    def checksums(self) -> dict[str, int]:
        """CRC-32 of what each file holds."""
        return {name: file.checksum for name, file in self._files.items()}

    def append(self, part: Embeddings) -> None:
        """Add the items of `part`."""
        for name, array in part.arrays().items():
            if name in self._ends:
                array = array[1:] + self._ends[name]
                self._ends[name] = int(array[-1]) if len(array) else self._ends[name]
            self._files[name].append(array)

    def sync(self) -> None:
        """All parts added so far are on the disk when this returns."""
        for file in self._files.values():
            file.sync()

    def close(self) -> None:
        """Finish the files and let go of them."""
        for file in self._files.values():
            file.close()

    def release(self) -> None:
        """Let go of the files as they are."""
        for file in self._files.values():
            file.release()

    def move(self, stage: Path, bounds: Bounds) -> None:
        """Put the finished files into the folder `stage`, with their checksums; vectors that have
        `bounds` as int8 codes, with their ranges.

        The files stay where they are, too, until their folder is removed.
        """
        checksums = self.checksums
        for name, file in self._files.items():
            (stage / name).parent.mkdir(parents=True, exist_ok=True)
            if name in bounds:
                ranges, checksums[name] = quantise_file(file.path, stage / name, bounds[name])
                place = Path(name).with_name(RANGES)
                np.save(stage / place, ranges)
                checksums[place.as_posix()] = checksum(ranges)
            else:
                link(file.path, stage / name)
        write_checksums(stage, checksums)


def whole_parts(
    folder: Path,
    empty: Embeddings,
    rows: Sequence[Mapping[str, int]],
    checksums: Sequence[Mapping[str, int]],
) -> int:
    """How many of the parts that were added to the files in `folder` are as they were written.

    `rows` and `checksums` are those of `GrowingEmbeddings` after each part.
    """
    whole = len(rows)
    for name, array in empty.arrays().items():
        ends = [HEADER + each[name] * row_bytes(array) for each in rows[:whole]]
        whole = unchanged(
            folder / name, ends, [each[name] for each in checksums[:whole]], start=HEADER
        )
    return whole


def bounds_of(part: Embeddings) -> Bounds:
    """The bounds of the float vectors in `part`; infinite ones, that any other's lie within, of a
    part without vectors.
    """
    found = {name: array for name, array in part.arrays().items() if Path(name).name == VECTORS}
    return {
        name: np.stack([array.min(0, initial=np.inf), array.max(0, initial=-np.inf)]).astype(
            np.float32
        )
        for name, array in found.items()
    }


def link(source: Path, target: Path) -> None:
    """The same file at `target`, without a copy where the file system can."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
