"""Files of word vectors: word2vec text and binary, GloVe, fastText .vec, and an array beside a
table of words.
"""

from __future__ import annotations

import contextlib
import gzip
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nearfield.data.readers.lines import decode, reading
from nearfield.errors import InputError, first_line
from nearfield.store.array import map_array
from nearfield.store.regular import open_regular
from nearfield.types.arrays import Floats

Block = tuple[list[str], Floats]
_ROWS = 4096  # words in a block, at most
_FLOATS = ("float32", "float16", "float64", ">f4", ">f2", ">f8")
# number of words and of dimensions, as word2vec and fastText write them
_HEADER = re.compile(rb"\s*(\d{1,18})\s+(\d{1,18})\s*$")
# FASTTEXT_FILEFORMAT_MAGIC_INT32 of fastText's source
_FASTTEXT_BINARY = (793712314).to_bytes(4, "little")
_MOST_DIMS = 1 << 16  # the longest vectors published have 8192 numbers
_RATIO = 1032  # times its size, at most, is what gzip unpacks a file to
_BLOCK_BYTES = 64 << 20  # of the vectors of a block of a binary file
_NUMBER_BYTES = 32  # of a number in text, and its blank: 17 digits, a point, an exponent, signs
_LONGEST = 4096  # bytes of a word: what is longer is a file of another kind
_SAMPLE = 1 << 16


def word_vector_blocks(path: Path) -> Iterator[Block]:
    """The words at `path` and their vectors (n, dim) float32, a block at a time, in the file's
    order.

    `path` is a file of text (a header line of two numbers or none; then a word and its numbers a
    line, with blanks between), a binary file as word2vec writes it, either also under gzip, or a
    folder with one .npy array (n, dim) and one Parquet table whose only column of strings is the
    words. Raises InputError that names file and line (of a binary file, the word's number) where it
    is none of these, ends early, or holds a number that is not finite.
    """
    if path.is_dir():
        yield from _array_and_table(path)
        return
    with reading(path), _opened(path) as file:
        yield from _blocks(file, path)


def _blocks(file: BinaryIO, path: Path) -> Iterator[Block]:
    start = file.read(_SAMPLE)
    file.seek(0)
    if start.startswith(_FASTTEXT_BINARY):
        raise InputError(
            "is fastText's own binary format, of words and parts of words; give the "
            ".vec file beside it",
            path=path,
        )
    first, _, rest = start.partition(b"\n")
    count = None  # of words, where the file says how many
    dim = len(first.split()) - 1
    header = _HEADER.match(first)
    if header:
        file.readline(_SAMPLE)
        count = int(header[1])
        dim = int(header[2])
    if not start or dim < 1 or count == 0:
        raise InputError(
            "holds no word vectors; wanted a word and its numbers a line, or "
            "word2vec's binary format",
            path=path,
            line=1,
        )
    if dim > _MOST_DIMS:
        raise InputError(
            f"has {dim:,} dimensions by its first line; wanted at most {_MOST_DIMS:,}",
            path=path,
            line=1,
        )
    if count is None:
        yield from _text(file, path, dim, None)
    elif _is_text(rest, dim):
        # a letter, and a blank and a digit for each number
        _check_claim(path, count, dim, least=count * (2 * dim + 1))
        yield from _text(file, path, dim, count)
    else:
        # a letter, and float32s
        _check_claim(path, count, dim, least=count * (4 * dim + 1))
        yield from _binary(file, path, count, dim)


def _check_claim(path: Path, count: int, dim: int, *, least: int) -> None:
    """Raise InputError where the file cannot hold the words that its first line claims, which take
    `least` bytes, before memory is taken for any.
    """
    size = path.stat().st_size
    if _packed(path):
        size *= _RATIO
    if least > size:
        got = f"the first line says {count:,} words of {dim:,} dimensions, at least {least:,} bytes"
        raise InputError(
            f"{got}, and the file has room for {size:,}; it is cut off or damaged",
            path=path,
            line=1,
        )


def is_word_vectors(path: Path) -> bool:
    """Whether a model's place is one that `word_vector_blocks` reads, and not a model folder."""
    if path.is_file():
        return True
    return not (path / "config.json").exists() and _parts(path) is not None


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    packed = _packed(path)
    with open_regular(path) as raw:
        if packed:
            yield cast(BinaryIO, gzip.GzipFile(fileobj=raw))
        else:
            yield raw


def _packed(path: Path) -> bool:
    path.stat()  # raises where it is not there
    with open_regular(path) as file:
        return file.read(2) == b"\x1f\x8b"


def _is_text(sample: bytes, dim: int) -> bool:
    """Whether what follows the header begins with a word and `dim` numbers in text."""
    parts = sample.split(b"\n", 1)[0].split()
    try:
        numbers = [float(part) for part in parts[-dim:]]
    except ValueError:
        return False
    return len(numbers) == dim < len(parts)


def _text(file: BinaryIO, path: Path, dim: int, count: int | None) -> Iterator[Block]:
    number = 0 if count is None else 1  # of the line that was read last
    words = list[str]()
    numbers = list[bytes]()
    most = _LONGEST + _NUMBER_BYTES * dim
    rows = _rows_of(dim)
    while raw := file.readline(most + 1):
        number += 1
        if len(raw) > most:
            raise InputError(
                f"is longer than {most:,} bytes; wanted a word and {dim} numbers",
                path=path,
                line=number,
            )
        line = raw.rstrip()
        if not line and count is None:
            continue
        word, values = _cut(line, dim)
        if not word:
            got = max(0, len(line.split()) - 1)
            raise InputError(
                f"holds {got} numbers after the word; wanted {dim}, with blanks between",
                path=path,
                line=number,
            )
        words.append(decode(word, path, line=number))
        numbers.append(values)
        if len(words) == rows:
            yield words, _numbers(numbers, path, dim, last=number)
            words = []
            numbers = []
    if words:
        yield words, _numbers(numbers, path, dim, last=number)
    if count is not None and number - 1 != count:
        raise InputError(
            f"the first line says {count:,} words, and {number - 1:,} lines follow; the file is "
            "cut off",
            path=path,
        )


def _rows_of(dim: int) -> int:
    """How many words of `dim` dimensions make a block."""
    return max(1, min(_ROWS, _BLOCK_BYTES // (4 * dim)))


def _cut(line: bytes, dim: int) -> tuple[bytes, bytes]:
    """The word and the text of its numbers; a word of some GloVe files has blanks within. Both
    are empty where the line is too short.
    """
    if line.count(b" ") == dim:  # as nearly all lines: no list of numbers is made of it
        word, _, values = line.partition(b" ")
        return word, values
    parts = line.rsplit(maxsplit=dim)
    if len(parts) <= dim:
        return b"", b""
    return parts[0], b" ".join(parts[1:])


def _numbers(lines: list[bytes], path: Path, dim: int, *, last: int) -> Floats:
    """(n, dim) float32 of the lines' texts, of which the last is the file's line `last`."""
    values = np.empty(0, np.float32)
    # a text that is not a number is an error, found below
    with warnings.catch_warnings(), contextlib.suppress(ValueError):
        warnings.simplefilter("ignore", DeprecationWarning)  # and was a warning before numpy 2.3
        values = np.fromstring(b" ".join(lines).decode("ascii", "replace"), np.float32, sep=" ")
    if values.size == len(lines) * dim and np.isfinite(values).all():
        return values.reshape(-1, dim)
    # something is wrong: only now each number is looked at, which is slow, to name it
    for number, line in enumerate(lines, last - len(lines) + 1):
        for part in line.split():
            try:
                finite = np.isfinite(np.float32(part.decode("ascii", "replace")))
            except ValueError:
                finite = False
            if not finite:
                raise InputError(
                    f"{part.decode('utf-8', 'replace')!r} is not a finite number",
                    path=path,
                    line=number,
                )
    raise InputError("the numbers could not be read", path=path, line=last)


def _binary(file: BinaryIO, path: Path, count: int, dim: int) -> Iterator[Block]:
    rows = min(_rows_of(dim), count)
    words = list[str]()
    vectors = np.empty((rows, dim), np.float32)
    for number in range(1, count + 1):
        word = _binary_word(file, path, number)
        raw = file.read(4 * dim)
        if len(raw) < 4 * dim:
            raise InputError(
                f"ends within word {number:,} of {count:,}; the file is cut off", path=path
            )
        vectors[len(words)] = np.frombuffer(raw, "<f4")
        if not np.isfinite(vectors[len(words)]).all():
            raise InputError(
                f"word {number:,} ({word!r}) holds NaN or an infinite number; the file is damaged",
                path=path,
            )
        words.append(word)
        if len(words) == rows or number == count:
            yield words, vectors[: len(words)].copy()
            words = []
    if file.read(2).strip():
        raise InputError(
            f"goes on after the {count:,} words that its first line says; the file is damaged",
            path=path,
        )


def _binary_word(file: BinaryIO, path: Path, number: int) -> str:
    word = bytearray()
    while (byte := file.read(1)) not in (b" ", b""):
        word += byte
        if len(word) > _LONGEST:
            raise InputError(
                f"word {number:,} is longer than {_LONGEST} bytes; this is not a file of word2vec",
                path=path,
            )
    try:
        # some writers end each vector with a line break
        return bytes(word).lstrip(b"\n").decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"word {number:,} is not UTF-8: {error.reason}", path=path) from error


def _parts(folder: Path) -> tuple[Path, Path] | None:
    arrays = list(folder.glob("*.npy"))
    tables = list(folder.glob("*.parquet"))
    if len(arrays) == len(tables) == 1:
        return (arrays[0], tables[0])
    return None


def _array_and_table(folder: Path) -> Iterator[Block]:
    parts = _parts(folder)
    if parts is None:
        raise InputError(
            "holds no word vectors; wanted one .npy array and one .parquet table of "
            "the words, in one order",
            path=folder,
        )
    array, table = parts
    vectors = map_array(array, _FLOATS, (None, None))
    columns = _table(table)
    texts = []
    for name, column in zip(columns.column_names, columns.columns, strict=True):
        if column.type in (pa.string(), pa.large_string()):
            texts.append(name)
    if len(texts) != 1 or len(vectors) != len(columns):
        raise InputError(
            f"{array.name} has the shape {vectors.shape}, {table.name} {len(columns)} rows and "
            f"{len(texts)} columns of text; wanted a row of floats for each word of one column",
            path=folder,
        )
    for start in range(0, len(vectors), _ROWS):
        block = np.ascontiguousarray(vectors[start : start + _ROWS], np.float32)
        if not np.isfinite(block).all():
            bad = start + int(np.flatnonzero(~np.isfinite(block).all(1))[0])
            raise InputError(
                f"row {bad} holds NaN or an infinite number; the file is damaged", path=array
            )
        words = columns[texts[0]].slice(start, _ROWS)
        if words.null_count:
            raise InputError(
                f"row {start + words.to_pylist().index(None)} has no word; write it as a text",
                path=table,
            )
        yield words.to_pylist(), block


def _table(path: Path) -> pa.Table:
    open_regular(path).close()
    try:
        table = pq.read_table(path)
        table.validate(full=True)  # texts that are not UTF-8
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        raise InputError(f"could not be read: {first_line(error)}", path=path) from error
    return table
