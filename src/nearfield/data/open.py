"""Any source as a collection or as pairs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Final

from nearfield.data import collection, pairs
from nearfield.data.cache import files_key, through_cache
from nearfield.data.collection import Collection, RepeatedId
from nearfield.data.kept_split import with_kept_split
from nearfield.data.pairs import Pairs
from nearfield.data.readers import ROW_FORMATS, beir, records, rows, texts
from nearfield.data.readers.lines import reading
from nearfield.data.writer import CollectionWriter, PairsWriter
from nearfield.errors import CollectionError, InputError, nearest
from nearfield.store.atomic import recover

log = logging.getLogger(__name__)
EMBEDDED: Final[Mapping[str, str]] = {
    "stdlib": "nearfield.data.stdlib:open_stdlib",
    "pydoc-topics": "nearfield.data.pydoc_topics:open_pydoc_topics",
}
"""Collections that need no file; a folder of the same name is opened as ./NAME."""
_WANTED = (
    f"a folder that nearfield wrote, a BEIR folder ({beir.CORPUS}, {beir.QUERIES}, {beir.QRELS}/), "
    f"a folder of {', '.join(texts.SUFFIXES)} files, a file or train/dev/test files ending in "
    f"{', '.join(ROW_FORMATS)}"
)

_PACKED = tuple(f"{ending}.gz" for ending in ROW_FORMATS)
_MENDS: Final[Mapping[str, str]] = {
    ".gz": ". Unpack it first, with gunzip",
    ".json": ". Save a list of objects as JSON lines, one object a line: jq -c '.[]' FILE.json > "
    "FILE.jsonl",
}


def open_collection(source: str | Path) -> Collection:
    """The collection at `source`: an embedded one's name, a folder that nearfield wrote, a BEIR
    folder, a folder of texts, a file of rows (JSONL, CSV, TSV, Parquet), or a folder of such files
    called train, dev, test.

    Another format than nearfield's own is converted once, into the cache, and memory-mapped from
    there. Data without splits of its own has those that nearfield cut of it before. Raises
    InputError that names the file and line that is not what was wanted, CollectionError when the
    whole cannot be used.
    """
    if isinstance(source, str) and source in EMBEDDED:
        return _embedded(source)
    return with_kept_split(_opened(_existing(source)))


def _opened(path: Path) -> Collection:
    """The collection at `path`, as it lies there."""
    if (path / collection.MANIFEST).is_file():
        return Collection.open(path)
    if (path / pairs.MANIFEST).is_file():
        raise InputError(
            "holds pairs; wanted a collection: documents, queries and judgements", path=path
        )
    if (path / beir.CORPUS).is_file():
        return _converted(
            _name(path),
            "beir",
            beir.files_of(path),
            lambda writer: beir.write_collection(path, writer),
        )
    files = _row_files(path)
    if files:
        unused = tuple(filter(None, map(rows.unused_columns, files)))
        found = _converted(
            _name(path), "rows", files, lambda writer: rows.write_collection(files, writer)
        )
        return replace(found, unused=unused) if unused else found
    if path.is_dir() and texts.document_files(path):
        return _converted(
            _name(path),
            "texts",
            texts.files_of(path),
            lambda writer: texts.write_collection(path, writer),
        )
    raise _unknown(path)


def open_pairs(source: str | Path) -> Pairs:
    """The pairs at `source`: a folder that nearfield wrote, a file of rows (JSONL, CSV, TSV,
    Parquet), scored or not, or a folder of scored files called train, dev, test, of which the test
    file is taken.

    Raises InputError and CollectionError as `open_collection` does.
    """
    path = _existing(source)
    if (path / pairs.MANIFEST).is_file():
        return Pairs.open(path)
    if path.is_dir():
        path = source = _scored_file(path)
    if not _row_files(path):
        raise _unknown(path)
    unused = rows.unused_columns(path)

    def make(folder: Path | None) -> Pairs:
        writer = PairsWriter(_name(path), folder, source=str(source))
        rows.write_pairs(path, writer)
        return writer.finish()

    found = through_cache(
        lambda: _key("pairs", [path]),
        make,
        open_folder=lambda folder: Pairs.open(folder, source=str(source)),
    )
    return replace(found, unused=(unused,)) if unused else found


def open_data(source: str | Path) -> Collection | Pairs:
    """Pairs where `source` is a file or folder of scored rows or a folder of pairs that nearfield
    wrote, else a collection.
    """
    if isinstance(source, str) and source in EMBEDDED:
        return _embedded(source)
    path = _existing(source)
    if (path / pairs.MANIFEST).is_file():
        return Pairs.open(path)
    ours = (path / collection.MANIFEST).is_file() or (path / beir.CORPUS).is_file()
    files = [] if ours else _row_files(path)
    scored = bool(files) and all(rows.layout(file).score is not None for file in files)
    return open_pairs(source) if scored else open_collection(source)


def _scored_file(folder: Path) -> Path:
    """The test file of a folder of scored files, or the only one; which one is said."""
    files = {
        rows.SPLIT_NAMES[file.stem.lower()]: file
        for file in _row_files(folder)
        if rows.layout(file).score is not None
    }
    if not files:
        raise InputError(
            "is a folder; pairs are opened by file, or from a folder of scored files "
            "called train, dev, test",
            path=folder,
        )
    chosen = files.get("test") or next(iter(files.values()))
    if len(files) > 1 and "test" not in files:
        raise InputError(
            f"has scored files ({', '.join(file.name for file in files.values())}) and none "
            "called test; name one",
            path=folder,
        )
    others = ", ".join(file.name for file in files.values() if file != chosen)
    log.info(
        f"{folder}: its rows are scored pairs; {chosen.name} is used"
        + (f", not {others}" if others else "")
    )
    return chosen


def _embedded(name: str) -> Collection:
    module, function = EMBEDDED[name].split(":")
    build: Callable[[], Collection] = getattr(import_module(module), function)
    return build()


def _existing(source: str | Path) -> Path:
    path = Path(source)
    with reading(path):
        recover(path)
        there = path.exists()
    if not there:
        known = f"embedded collections are {', '.join(EMBEDDED)}.{nearest(str(source), EMBEDDED)}"
        raise InputError(
            f"does not exist; wanted a path, or an embedded collection's name: {known}", path=path
        )
    if not path.is_file() and not path.is_dir():
        raise InputError(
            "is no regular file and no folder, but a pipe or a device; save what it "
            "holds to a file",
            path=path,
        )
    return path


def _row_files(path: Path) -> list[Path]:
    """The file itself, or a folder's files that are named as splits are; none where it is something
    else.
    """
    if path.is_file():
        return [path] if path.suffix.lower() in ROW_FORMATS else []
    with reading(path):
        inner = list(path.iterdir())
    found = (
        file
        for file in inner
        if file.suffix.lower() in ROW_FORMATS and file.stem.lower() in rows.SPLIT_NAMES
    )
    return sorted(found)


def _name(path: Path) -> str:
    """The folder's or file's name without its ending; that of its folder for names that say
    nothing, such as pairs or test.
    """
    path = path.resolve()
    telling = path.is_dir() or path.stem.lower() not in ("pairs", *rows.SPLIT_NAMES)
    name = (path.name if path.is_dir() else path.stem) if telling else path.parent.name
    return name.encode("utf-8", "replace").decode()  # of a file name that is no UTF-8


def _converted(
    name: str, kind: str, files: list[Path], fill: Callable[[CollectionWriter], bool | None]
) -> Collection:
    """What `fill` writes, from the cache; it answers True where that is documents only."""

    def make(folder: Path | None) -> Collection:
        writer = CollectionWriter(name, folder)
        documents_only = bool(fill(writer))
        try:
            return writer.finish(documents_only=documents_only)
        except RepeatedId as error:
            raise _located(error, files) from error

    return through_cache(lambda: _key(kind, files), make, open_folder=Collection.open)


def _located(error: RepeatedId, files: list[Path]) -> CollectionError:
    """The error with the file and line of the id's second use, looked for only now."""
    others = {"document": beir.QUERIES, "query": beir.CORPUS}[error.what]
    tables = [
        file
        for file in files
        if file.suffix.lower() in ROW_FORMATS
        and file.name != others
        and file.parent.name != beir.QRELS
    ]
    uses = (
        (file, line)
        for file in tables
        for line, row in records(file)
        if str(row.get("_id", row.get("id"))).strip() == error.key
    )
    first, second = next(uses, None), next(uses, None)
    if first is None or second is None:
        return error
    before = f"line {first[1]}" if first[0] == second[0] else f"{first[0]}, line {first[1]}"
    message = (
        f"{error.what} id {error.key!r} is used more than once, before in {before}; ids "
        "must be unique"
    )
    return CollectionError(message, path=second[0], line=second[1])


def _key(kind: str, files: list[Path]) -> str:
    missing = next((file for file in files if not file.is_file()), files[0])
    with reading(missing):
        return files_key(kind, files)


def _unknown(path: Path) -> InputError:
    if path.is_dir():
        names = sorted(file.name for file in path.iterdir())
        found = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
        packed = [name for name in names if name.endswith(_PACKED)]
        mend = f". Unpack what is compressed first: gunzip {path}/*.gz" if packed else ""
        return InputError(f"is a folder of {found or 'nothing'}; wanted {_WANTED}{mend}", path=path)
    mend = _MENDS.get(path.suffix.lower(), "")
    return InputError(
        f"is a file of an unknown kind ({path.suffix or 'its name has no ending'}); "
        f"wanted {_WANTED}{mend}",
        path=path,
    )
