"""A text file's lines, one at a time, with clear errors for what is no such file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TypeVar

from nearfield.errors import InputError

Value = TypeVar("Value")
LIMIT = 8 << 20  # bytes a line (or a text file that is one document): longer ones are no texts, but a file of another kind


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """The 1-based number and the text of each line, without its line break; a byte order mark is left out.

    Raises InputError that names the line when it is longer than LIMIT bytes or no UTF-8, and when the file is empty.
    """
    return strict(tolerant_lines(path))


def tolerant_lines(path: Path) -> Iterator[tuple[int, str | InputError]]:
    """The same, with the error in the place of a line that is too long or no UTF-8, so that the others can be read."""
    return ((number, decoded(raw, path, number)) for number, raw in raw_lines(path))


def raw_lines(path: Path) -> Iterator[tuple[int, bytes | InputError]]:
    """The number and the bytes of each line of a file, without its line break; an InputError where they are more than LIMIT.

    Raises InputError when the file is empty or cannot be read.
    """
    number = 0
    with reading(path), open(path, "rb") as file:
        for number, raw in split_lines(file, path):
            yield number, raw
    if not number:
        raise InputError("the file is empty", path=path)


def split_lines(file: IO[bytes], path: Path) -> Iterator[tuple[int, bytes | InputError]]:
    """The number and the bytes of each line of an open file that is called `path` in errors; see `raw_lines`."""
    number = 0
    while raw := file.readline(LIMIT + 1):
        number += 1
        if len(raw) > LIMIT:
            yield number, InputError(too_long(len(raw) + _rest(file), what="the line"), path=path, line=number)
        else:
            yield number, raw.rstrip(b"\r\n")


def strict(rows: Iterator[tuple[int, Value | InputError]]) -> Iterator[tuple[int, Value]]:
    """The same rows; raises the first error among them."""
    for number, row in rows:
        if isinstance(row, InputError):
            raise row
        yield number, row


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn an OSError raised while `path` is read into an InputError that names it."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError("does not exist; check the path", path=path) from error
    except OSError as error:
        raise InputError(f"could not be read: {error.strerror or error}", path=path) from error


def decode(raw: bytes, path: Path, *, line: int = 1) -> str:
    """`raw`, which starts at `line`, as text. Raises InputError that names the line and the byte where it is no UTF-8."""
    try:
        return raw.decode("utf-8-sig" if line == 1 else "utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        column = error.start - before.rfind(b"\n")
        message = f"is not UTF-8: {error.reason} at byte {column} of the line; save the file as UTF-8"
        raise InputError(message, path=path, line=line + before.count(b"\n")) from error


def decoded(raw: bytes | InputError, path: Path, line: int) -> str | InputError:
    """`raw` as text, or the error that `decode` raises, or that it is already."""
    try:
        return raw if isinstance(raw, InputError) else decode(raw, path, line=line)
    except InputError as error:
        return error


def too_long(size: int, *, what: str) -> str:
    """What is said of a line or document of `size` bytes."""
    return f"{what} is {size / (1 << 20):.1f} MiB long; at most {LIMIT >> 20} MiB are read as one text. Split it into documents"


def _rest(file: IO[bytes]) -> int:
    size = 0
    while raw := file.readline(1 << 20):
        size += len(raw)
        if raw.endswith(b"\n"):
            break
    return size
