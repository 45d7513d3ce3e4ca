"""A text file's lines, one at a time, with clear errors for what is not such a file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Final

from nearfield.data.readers.encoded import DAMAGED, UTF_8, detected, opened, unpacked
from nearfield.errors import InputError

_BLOCK = 1 << 20  # bytes read at a time to count lines
_COUNTED = 1 << 36  # bytes of a file whose lines are counted: half a minute
_ENDLESS = 1 << 30  # bytes of a line that are read on to its end
# bytes of a line (or of a file that is one document): what is longer is not a text, but a file of
# another kind
LIMIT = 8 << 20

_MAGIC = 16  # bytes at a file's start that tell its kind
# how files that are not text begin, and what their error says
_BINARY: Final[Mapping[bytes, str]] = {
    b"PK\x03\x04": "a zip archive or an Excel workbook; unpack it, or give its name the ending "
    ".xlsx",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save the sheet as CSV in UTF-8",
    b"BZh": "compressed with bzip2; unpack it first",
    b"\xfd7zXZ": "compressed with xz; unpack it first",
    b"PAR1": "a Parquet file; give its name the ending .parquet",
    b"ARROW1": "an Arrow file; give its name the ending .arrow",
    b"SQLite format 3": "a database of SQLite; export its rows as CSV",
    b"%PDF": "a PDF; save its text",
}


def refuse_binary(start: bytes, path: Path) -> None:
    """Raise InputError where a file that starts so is known not to be text."""
    refuse_known(start, path)
    if b"\0" in start:
        raise InputError(
            "is not text in UTF-8: it has a zero byte at its start; save it in UTF-8, or say its "
            "--encoding",
            path=path,
        )


def refuse_known(start: bytes, path: Path) -> None:
    """Raise InputError where a file that starts so is of a known kind that is not read."""
    for magic, what in _BINARY.items():
        if start.startswith(magic):
            raise InputError(f"is {what}", path=path)


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """The 1-based number and the text of each line, without its line break; a byte order mark is
    left out.

    Raises InputError that names the line when it is longer than LIMIT bytes or not UTF-8, and when
    the file is empty.
    """
    for number, line in tolerant_lines(path):
        if isinstance(line, InputError):
            raise line
        yield number, line


def tolerant_lines(
    path: Path, encoding: str | None = None
) -> Iterator[tuple[int, str | InputError]]:
    """The same, with the error in the place of a line that is too long or not UTF-8, so that the
    others can be read.
    """
    for number, raw in raw_lines(path, encoding):
        yield number, decoded(raw, path, number)


def raw_lines(path: Path, encoding: str | None) -> Iterator[tuple[int, bytes | InputError]]:
    """The number and the bytes in UTF-8 of each line of a file, without its line break; an
    InputError where they are more than LIMIT. The encoding is UTF-8 or UTF-16 where none is given.

    Raises InputError when the file is empty or cannot be read.
    """
    number = 0
    with reading(path), opened(path, encoding or _encoding(path)) as file:
        refuse_binary(file.peek(_MAGIC)[:_MAGIC], path)
        for number, raw in split_lines(file, path):
            yield number, raw
    if not number:
        raise InputError("the file is empty", path=path)


def _encoding(path: Path) -> str:
    # a pipe of the shell can be read only once
    if str(path).startswith(("/dev/", "/proc/")):
        return UTF_8
    return detected(path, fallback=False)


def split_lines(file: IO[bytes], path: Path) -> Iterator[tuple[int, bytes | InputError]]:
    """The number and the bytes of each line of an open file that is called `path` in errors; see
    `raw_lines`.
    """
    number = 0
    while raw := file.readline(LIMIT + 1):
        number += 1
        if len(raw) > LIMIT:
            size = len(raw) + _rest(file, path, number)
            yield number, InputError(too_long(size, what="the line"), path=path, line=number)
        else:
            yield number, raw.rstrip(b"\r\n")


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn an OSError raised while `path` is read into an InputError that names it."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError("does not exist; check the path", path=path) from error
    except DAMAGED as error:
        raise InputError(
            f"is cut or damaged and could not be unpacked: {error}; fetch it again", path=path
        ) from error
    except OSError as error:
        raise InputError(f"could not be read: {error.strerror or error}", path=path) from error


def decode(raw: bytes, path: Path, *, line: int = 1) -> str:
    """`raw`, which starts at `line`, as text. Raises InputError that names the line and the byte
    where it is not UTF-8.
    """
    try:
        return raw.decode("utf-8-sig" if line == 1 else "utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        column = error.start - before.rfind(b"\n")
        message = (
            f"is not UTF-8: {error.reason} at byte {column} of the line; save the file as UTF-8"
        )
        raise InputError(message, path=path, line=line + before.count(b"\n")) from error


def decoded(raw: bytes | InputError, path: Path, line: int) -> str | InputError:
    """`raw` as text, or the error that `decode` raises, or that it is already."""
    if isinstance(raw, InputError):
        return raw
    try:
        return decode(raw, path, line=line)
    except InputError as error:
        return error


def too_long(size: int, *, what: str) -> str:
    """The message for a line or document of `size` bytes, which is too long."""
    return (
        f"{what} is {size / (1 << 20):.1f} MiB long; at most {LIMIT >> 20} MiB are read as one "
        "text. Split it into documents"
    )


def _rest(file: IO[bytes], path: Path, line: int) -> int:
    """Read on to the line's end, and how many bytes that was. Raises InputError where a GiB has
    none: such a file holds no lines.
    """
    size = 0
    while raw := file.readline(1 << 20):
        size += len(raw)
        if raw.endswith(b"\n"):
            break
        if size > _ENDLESS:
            raise InputError(
                "the line has no end within a GiB; this is not a file of texts",
                path=path,
                line=line,
            )
    return size


def lines_in(path: Path) -> int | None:
    """The number of a file's line breaks; None for one that would take long to count."""
    with reading(path), unpacked(path) as file:
        if path.stat().st_size > _COUNTED:
            return None
        found = 0
        while block := file.read(_BLOCK):
            found += block.count(b"\n")
        return found
