"""Any source as a collection, as pairs, or as texts to encode."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from nearfield.data.collection import Collection
from nearfield.data.columns import query_column
from nearfield.data.kept_split import with_kept_split
from nearfield.data.labelled import Labelled
from nearfield.data.pairs import Pairs
from nearfield.data.readers.column_names import NAMES
from nearfield.data.readers.lines import reading, refuse_known
from nearfield.data.sources import EMBEDDED, SOURCES
from nearfield.data.sources.hub import SCHEME
from nearfield.data.sources.row_files import rows_of
from nearfield.data.sources.source import Source
from nearfield.data.sources.stored import WholeCollection
from nearfield.data.stream import Stream, field_stream
from nearfield.errors import ForeignDataError, InputError, nearest
from nearfield.store.atomic import recover
from nearfield.types.data_options import DataOptions, stated
from nearfield.types.role import QUERY

log = logging.getLogger(__name__)
_SHOWN = 7  # names of a column in an error: the English ones


def open_collection(source: object, options: DataOptions | None = None) -> Collection:
    """The collection that `source` is: the name of an embedded one, a folder that nearfield wrote,
    a BEIR folder, a folder of texts, a file of rows (JSONL, CSV, TSV, Parquet), a folder of such
    files called train, dev, test, or data in memory (a list of strings or dicts, a table of pandas,
    polars, Arrow or Hugging Face datasets, or a dict of these by split).

    With `options`, columns are what these say, and files are read as these say; else they are
    recognised by the columns' names, and what that leaves open is an error that says what to state.
    Files of another format than nearfield's own are converted once, into the cache, and
    memory-mapped from there. Data without splits of its own has those that nearfield cut of it
    before. Raises InputError that names the file and line that is not what was wanted,
    CollectionError when the whole cannot be used.
    """
    return with_kept_split(recognise(source, options).collection())


def open_pairs(source: object, options: DataOptions | None = None) -> Pairs:
    """The pairs that `source` is: a folder that nearfield wrote, a file of rows or a table in
    memory, scored or not, or a folder of scored files called train, dev, test, of which the test
    file is taken.

    Raises InputError and CollectionError as `open_collection` does.
    """
    return recognise(source, options).pairs()


def open_data(source: object, options: DataOptions | None = None) -> Collection | Pairs:
    """Pairs where `source` has scored rows or is a folder of pairs that nearfield wrote, else a
    collection.
    """
    found = recognise(source, options)
    if found.scored():
        return found.pairs()
    return with_kept_split(found.collection())


def open_labelled(source: object, options: DataOptions | None = None) -> Labelled:
    """The texts with labels that `source` is: a file of rows or a table in memory, or a folder of
    files called train and test, with a column of texts and one of labels.

    Raises InputError as `open_collection` does, and where there are no labels.
    """
    found = recognise(source, options)
    labelled = found.labelled()
    if labelled is None:
        labels = ", ".join(NAMES["label"][:_SHOWN])
        raise InputError(
            f"holds no texts with labels; wanted a column `text` and one of {labels}, or images "
            "that lie in folders called as their labels, two at least",
            path=found.place,
        )
    return labelled


def open_stream(
    source: object, role: str, *, field: str | None = None, options: DataOptions | None = None
) -> Stream:
    """The texts of a source for an encode in `role`, in bounded memory where the source allows it.

    A .txt file gives its lines and a list its strings. With `field`, rows give that field, with
    the row's id (its number where it has none). All else is read as the collection that
    `open_collection` makes of it: its queries in the role query, else its documents. Folders by
    nearfield, BEIR folders and rows of documents with ids are streamed; other collections are
    converted first. Raises InputError as `open_collection` does; what is wrong with a single row
    that can be told from the others is in its `fault`.
    """
    found = recognise(source, options)
    if field is None:
        return found.stream(role)
    return found.field(field)


def open_queries(source: object) -> Stream:
    """The texts of `source` that are asked for: the lines of a .txt file, the queries of a
    collection, and of a table the column called as queries are, else `text` or the only one.

    Raises InputError where there are none.
    """
    found = recognise(source)
    tables = found.tables_read()
    if len(tables) != 1:
        return found.stream(QUERY)
    return field_stream(tables[0], query_column(tables[0].names(), found.place), name=found.name)


def recognise(given: object, options: DataOptions | None = None) -> Source:
    """The source that `given` is, not read yet. Raises InputError, which says what is accepted, for
    anything else, and for options where there are no columns.
    """
    if options is None:
        options = stated(given)
    found = _source(given, options)
    # options that nothing reads would be taken for obeyed
    if options.given() and not (found.tables_read() or found.read_as):
        names = ", ".join(f"--{name}" for name in options.given())
        raise InputError(f"is not a table, and {names} say how one is read", path=found.place)
    return found


def _source(given: object, options: DataOptions) -> Source:
    if isinstance(given, str) and given in EMBEDDED:
        if Path(given).exists():
            log.info(f"{given} is the embedded collection; say ./{given} for what lies here")
        return WholeCollection(given, EMBEDDED[given])
    if isinstance(given, Path) or (isinstance(given, str) and not given.startswith(SCHEME)):
        given = _existing(Path(given))
    # the table's order matters: a folder may be of several kinds, and is of the first
    kinds = [SOURCES[name] for name in SOURCES]
    for kind in kinds:
        found = kind.recognise(given, options)
        if found is not None:
            return found
    takes = "object"
    if isinstance(given, Path):
        takes = "folder" if given.is_dir() else "file"
    wanted = "; ".join(kind.wanted for kind in kinds if takes in kind.takes)
    if isinstance(given, Path):
        raise _unknown(given, wanted)
    what = "an empty list" if given == [] else f"of type {type(given).__name__}"
    raise ForeignDataError(f"the data is {what}; wanted a path of, or {wanted}")


def _existing(path: Path) -> Path:
    """The path of a file or folder. Raises InputError where it is not there, or is neither."""
    with reading(path):
        recover(path)  # a folder that a killed process took away to replace it
        there = path.exists()
    if not there:
        raise InputError(
            "does not exist; wanted a path, or an embedded collection's name: embedded collections "
            f"are {', '.join(EMBEDDED)}.{nearest(str(path), [*EMBEDDED, *_beside(path)])}",
            path=path,
        )
    if not path.is_file() and not path.is_dir():
        raise InputError(
            "is not a regular file or a folder, but a pipe or a device; save what it holds to a "
            "file",
            path=path,
        )
    return path


def _beside(path: Path) -> list[str]:
    """What lies in the folder that `path` names, under such paths."""
    try:
        return [str(path.with_name(each)) for each in os.listdir(path.parent)]
    except (OSError, ValueError):
        return []


def _unknown(path: Path, wanted: str) -> InputError:
    if not path.is_dir():
        with reading(path), path.open("rb") as file:
            refuse_known(file.read(16), path)
        ending = path.suffix or "its name has no ending"
        return InputError(f"is a file of an unknown kind ({ending}); wanted {wanted}", path=path)
    names = sorted(file.name for file in path.iterdir())
    found = ", ".join(names[:6]) or "nothing"
    if len(names) > 6:
        found += f" and {len(names) - 6} more"
    message = f"is a folder of {found}; wanted {wanted}"
    files = [name for name in names if rows_of(path / name) is not None]
    if files:
        message += f". Open one of its files, as {path / files[0]}"
    return InputError(message, path=path)
