"""A folder of images, each of which is a document: its text is its data URL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from nearfield.data.cache import files_key
from nearfield.data.collection import Collection
from nearfield.data.readers.image import SUFFIXES, image_url
from nearfield.data.sources.source import Kind, Source, converted, name_of
from nearfield.data.stream import Row, Stream
from nearfield.data.writer import CollectionWriter
from nearfield.errors import InputError
from nearfield.types.data_options import DataOptions


class ImageFolder(Source):
    """Image files at any depth as documents, whose id is their path in the folder.

    In an encode one that cannot be opened is a row that fails; a collection needs all of them.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(name_of(folder), folder)
        self.folder = folder

    def collection(self) -> Collection:
        """The images, without queries. Raises InputError for the first that cannot be opened."""
        files = list(image_files(self.folder))
        return converted(self.name, self._write, key=lambda: files_key("images", files), ids={})

    def stream(self, role: str) -> Stream:
        """The images in any role, one at a time."""
        return Stream(self.name, self._rows, lambda: sum(1 for _ in image_files(self.folder)))

    def _rows(self) -> Iterator[Row]:
        for number, path in enumerate(image_files(self.folder), 1):
            key = path.relative_to(self.folder).as_posix()
            try:
                yield Row(number, key, image_url(path))
            except InputError as error:
                yield Row(number, key, "", str(error))

    def _write(self, writer: CollectionWriter) -> bool:
        for path in image_files(self.folder):
            writer.document(path.relative_to(self.folder).as_posix(), image_url(path))
        return True


def image_files(folder: Path) -> Iterator[Path]:
    """The image files at any depth, by name; hidden files and folders are left out."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield Path(place, name)


def _recognise(given: object, options: DataOptions) -> ImageFolder | None:
    if not isinstance(given, Path) or not given.is_dir():
        return None
    return ImageFolder(given) if next(image_files(given), None) is not None else None


IMAGES = Kind(f"a folder of {', '.join(SUFFIXES)} images", _recognise)
