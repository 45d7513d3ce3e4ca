"""A folder of images, each of which is a document: its text is its data URL."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from nearfield.data.cache import files_key
from nearfield.data.collection import ALL, Collection
from nearfield.data.columns import shortened
from nearfield.data.labelled import Labelled
from nearfield.data.pairs import Pairs
from nearfield.data.printed_list import printed_list
from nearfield.data.readers.column_names import by_plain_name, first_called, plain
from nearfield.data.readers.image import SUFFIXES, image_url
from nearfield.data.readers.rows import Rows
from nearfield.data.record import SPLIT_NAMES, Record
from nearfield.data.sources.row_files import rows_of
from nearfield.data.sources.source import Kind, Source, converted, name_of
from nearfield.data.sources.texts import document_files
from nearfield.data.stream import Row, Stream
from nearfield.data.writer import CollectionWriter, PairsWriter, made_id
from nearfield.errors import InputError
from nearfield.store.inside import inside
from nearfield.types.data_options import DataOptions

STEMS = ("captions", "metadata")
ENDINGS = (".jsonl", ".json", ".csv", ".tsv", ".parquet")
ABOUT = ("readme", "license", "licence", "changelog")
FILES = ("file", "file_name", "image", "path")
CAPTIONS = ("caption", "captions", "text", "label")


class ImageFolder(Source):
    """Image files at any depth as documents, whose id is their path in the folder.

    In an encode one that cannot be opened is a row that fails; a collection needs all of them.
    Captions lie beside them in a file of rows called captions or metadata: the name of an image
    (`FILES`; in the folder or in its folder images), its captions (`CAPTIONS`; one or a list),
    which are queries, and `split` ("all" where it is left out). Without one, the folders that the
    images lie in are their labels. Texts in a file called texts are documents, too, by their `id`,
    which captions may name in place of an image. `foils` of a row are wrong captions of its image.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(name_of(folder), folder)
        self.folder = folder
        self._captions = _beside(folder, STEMS)
        self._texts = _beside(folder, ("texts",))

    def collection(self) -> Collection:
        """The images, with their captions as queries where there are any. Raises InputError for the
        first image that cannot be opened, and for a row that names none.
        """
        files = list(image_files(self.folder))
        beside = (self._captions, self._texts)
        files += [Path(rows.place) for rows in beside if rows is not None]
        return converted(self.name, self._write, key=lambda: files_key("images", files), ids={})

    def pairs(self) -> Pairs:
        """Each image with its captions and its foils, which are negatives: captions that are wrong,
        such as those with two words swapped. Raises InputError where there are no captions.
        """
        if self._captions is None:
            raise InputError("has no captions, and so no pairs", path=self.folder)
        writer = PairsWriter(self.name, None, source=str(self.folder))
        for row in self._captions:
            image = image_url(self.folder / self._named(row, _file(row)))
            foils = _texts(row, "foils")
            for caption in _texts(row, *CAPTIONS):
                writer.pair(image, caption, negatives=foils)
        return writer.finish()

    def labelled(self) -> Labelled | None:
        """The images and the name of the folder that each lies in; a folder above it called train,
        dev or test is its split. A file templates has the templates for zero-shot.
        None where they have captions, or lie in one folder.
        """
        places = {path: path.relative_to(self.folder).parent for path in image_files(self.folder)}
        labels = {place.name for place in places.values()}
        if self._captions is not None or len(labels) < 2 or "" in labels:
            return None
        rows = []
        for path, place in places.items():
            split = SPLIT_NAMES.get(place.parts[0].lower(), "")
            rows.append((image_url(path), place.name, split))
        found = Labelled.of(rows, name=self.name, place=self.place)
        return replace(found, templates=self._templates())

    def _templates(self) -> tuple[str, ...]:
        """The column template of the file templates, where there is one."""
        found = []
        for row in _beside(self.folder, ("templates",)) or ():
            found.append(row.text("template"))
            if "{}" not in found[-1]:
                message = f"template {found[-1]!r} has no {{}}, where a label is put"
                raise row.error(message)
        return tuple(found)

    def stream(self, role: str) -> Stream:
        """The images, and the texts beside them, in any role, one at a time."""
        return Stream(self.name, self._rows, self._count)

    def _count(self) -> int:
        images = sum(1 for _ in image_files(self.folder))
        if self._texts is None:
            return images
        return images + sum(1 for _ in self._texts)

    def _rows(self) -> Iterator[Row]:
        number = 0
        for path in image_files(self.folder):
            number += 1
            key = path.relative_to(self.folder).as_posix()
            try:
                yield Row(number, key, image_url(path))
            except InputError as error:
                yield Row(number, key, "", str(error))
        for row in self._texts or ():
            number += 1
            yield Row(number, row.text("id"), row.text("text"))

    def _write(self, writer: CollectionWriter) -> bool:
        for path in image_files(self.folder):
            writer.document(path.relative_to(self.folder).as_posix(), image_url(path))
        texts = set[str]()
        for row in self._texts or ():
            texts.add(row.text("id"))
            writer.document(row.text("id"), row.text("text"))
        if self._captions is None:
            return True
        queries: set[str] = set()
        for row in self._captions:
            # of the documents both texts and images may be named
            key = _file(row)
            if key not in texts:
                key = self._named(row, key)
            for caption in _texts(row, *CAPTIONS):
                query = made_id(caption)
                if query not in queries:
                    queries.add(query)
                    writer.query(query, caption)
                writer.judgement(query, key, 1, row.split("split") or ALL)
        if not queries:
            wanted = f"has no captions; wanted a column called one of {', '.join(CAPTIONS)}"
            raise InputError(wanted, path=self._captions.place)
        return False

    def _named(self, row: Record, name: str) -> str:
        """The id of the image that a row names. Raises InputError where there is none."""
        for place in (name, f"images/{name}"):
            file = inside(self.folder, place, path=Path(row.place))
            if file.is_file() and file.name.lower().endswith(SUFFIXES):
                return Path(place).as_posix()
        raise row.error(f"image {name!r} is not a file of {self.folder} that is read as an image")


def _beside(folder: Path, stems: Iterable[str]) -> Rows | None:
    """The first file of rows of one of these names in the folder."""
    for stem in stems:
        for ending in ENDINGS:
            path = folder / f"{stem}{ending}"
            if path.is_file():
                return rows_of(path)
    return None


def _texts(row: Record, *names: str) -> list[str]:
    """The texts in the first of the columns `names`, whatever their case and underscores, that a
    row has, also of a list that was printed into its cell; none where it has none.
    """
    column = first_called(by_plain_name(list(row.values)), map(plain, names))
    if column is None:
        return []
    value = row.values[column]
    printed = printed_list(value) if isinstance(value, str) else None
    if printed is None:
        return row.texts(column)
    return [row.checked(text, column) for text in printed]


def _file(row: Record) -> str:
    """What a row names. Raises InputError where that is nothing."""
    for name in _texts(row, *FILES):
        return name
    raise row.error(
        f"has columns {shortened(row.values)}; wanted the name of an image in one of "
        f"{', '.join(FILES)}"
    )


def image_files(folder: Path) -> Iterator[Path]:
    """The image files at any depth, by name; hidden files and folders are left out."""
    for place, folders, files in os.walk(folder):
        # in place: what is left in the list is walked, in its order
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield Path(place, name)


def _recognise(given: object, options: DataOptions) -> ImageFolder | None:
    if not isinstance(given, Path) or not given.is_dir():
        return None
    about = (path.name.lower().startswith(ABOUT) for path in document_files(given))
    if next(image_files(given), None) and (_beside(given, STEMS) or all(about)):
        return ImageFolder(given)
    return None  # a folder of texts may have pictures beside them


IMAGES = Kind(f"a folder of {', '.join(SUFFIXES)} images", _recognise)
