"""What `vectors.json` says of a vector folder, and what its arrays have to be."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nearfield.errors import InputError
from nearfield.store.array import checksum, read_array
from nearfield.store.atomic import write_json
from nearfield.store.fields import Fields, read_fields
from nearfield.store.inside import inside
from nearfield.types.arrays import Array, Integers
from nearfield.types.usage import Usage

OFFSETS = "offsets.npy"
FACTS, CHECKSUMS = "vectors.json", "checksums.json"
MOST_ITEMS = 2**48  # more than any file holds
_ROWS = 1 << 22  # offsets looked at at a time


def read_facts(folder: Path) -> Fields:
    """What the folder's `vectors.json` says. Raises InputError where there is none or it is of
    another format.
    """
    facts = read_fields(folder / FACTS)
    facts.integer("format", 1, low=1, high=1)
    return facts


def items_of(facts: Fields) -> int:
    """How many items the folder says that it holds."""
    return int(facts.integer("items", high=MOST_ITEMS))


def usage_of(facts: Fields) -> Usage:
    """What the encode call read that made the vectors."""
    given = facts.object("usage")
    counts = {
        field.name: given.integer(field.name, 0, high=2**62)
        for field in dataclasses.fields(Usage)
        if field.name != "seconds"
    }
    return Usage(**counts, seconds=given.number("seconds", 0.0, low=0))


def part_of(folder: Path, name: str) -> Path:
    """The vector folder `name` in `folder`. Raises InputError where it is a link that leads out."""
    return inside(folder, f"{name}/{FACTS}", path=folder / FACTS).parent


def read_offsets(folder: Path, items: int, values: int) -> Integers:
    """(items + 1,) int64, where the values of each item begin in an array of so many. Raises
    InputError where they cannot.
    """
    path = folder / OFFSETS
    offsets = read_array(path, ["int64"], (items + 1,))
    falls = False
    for start in range(0, items, _ROWS):
        # blocks share an offset, so that the step between two of them is looked at as well
        if (np.diff(offsets[start : start + _ROWS + 1]) < 0).any():
            falls = True
    if offsets[0] != 0 or offsets[-1] != values or falls:
        said = f"runs from {offsets[0]:,} to {offsets[-1]:,}"
        if falls:
            said += " and back in between"
        raise InputError(
            f"{said}; wanted offsets that rise from 0 to {values:,}, the values there are",
            path=path,
        )
    return offsets


def write_checksums(folder: Path, checksums: Mapping[str, int]) -> None:
    """Note the checksum of each array, by the name of its file in the folder."""
    write_json(folder / CHECKSUMS, dict(checksums))


def check_whole(folder: Path, arrays: Mapping[str, Array]) -> None:
    """Raise InputError where an array is not as it was written. A folder from before checksums were
    kept is taken as it is.
    """
    path = folder / CHECKSUMS
    if not os.path.lexists(path):  # a link that leads nowhere is damage, too
        return
    noted = read_fields(path)
    for name, array in arrays.items():
        if checksum(array) != noted.integer(name, high=2**32 - 1):
            raise InputError(
                "is damaged: its checksum is not the one that was noted; encode the texts again",
                path=folder / name,
            )
