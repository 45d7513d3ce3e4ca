"""The rows of a file, with what is wrong in the place of a row that is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from nearfield.data.readers import ROW_FORMATS, TolerantRecord


def tolerant_records(path: Path) -> Iterator[TolerantRecord]:
    """The rows of the file at `path`, whose name ends in one of ROW_FORMATS, one at a time.

    Raises InputError for what concerns the whole file: it is empty or damaged, or lacks a header.
    """
    module, function = ROW_FORMATS[path.suffix.lower()].split(":")
    reader: Callable[[Path], Iterator[TolerantRecord]] = getattr(import_module(module), function)
    return reader(path)
