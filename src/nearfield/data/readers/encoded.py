"""Files as bytes of UTF-8, whatever they are packed and encoded with."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import zlib
from pathlib import Path
from typing import IO, Any, Final, cast

import pyarrow as pa

from nearfield.errors import InputError
from nearfield.store.regular import open_regular

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
UTF_8, FALLBACK = "utf-8", "cp1252"
PACKED: Final = (".gz", ".zst")
"""Endings of files that are unpacked as they are read."""
_ZEROS = 0.3  # of the bytes of a UTF-16 text whose columns have names of ASCII
_HEAD = 4096  # bytes that tell a UTF-16 without a mark
_BLOCK = 1 << 20
_MARKS: Final = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# of the letters; European languages that cp1252 holds are below 0.15
_FOREIGN = 0.35
_LETTER = re.compile(rb"[A-Za-z]")
_SPECIAL = re.compile(rb"[\x80-\xff]")
_SEQUENCE = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)


def opened(path: Path, encoding: str = UTF_8) -> io.BufferedReader:
    """The file, unpacked, as UTF-8: a regular one, or the pipe that the shell has opened for this
    process, as for <(command). Raises InputError where it is neither.
    """
    file = unpacked(path)
    start = file.peek(_HEAD)[:_HEAD]
    if b"\r" in start[:-1] and b"\n" not in start:  # lines as of old Macintoshes
        return io.BufferedReader(_Recoded(file, encoding, newline=None))
    if codecs.lookup(encoding).name in (UTF_8, "utf-8-sig"):  # the reader leaves out the mark
        return file
    return io.BufferedReader(_Recoded(file, encoding))


def unpacked(path: Path) -> io.BufferedReader:
    """The bytes of a file that may be packed with gzip or zstd."""
    path.stat()  # what is not there is said so, see `reading`
    # what the shell opened is a pipe, which `open_regular` refuses
    held = re.fullmatch(r"/dev/(fd/\d+|stdin)|/proc/self/fd/\d+", str(path))
    file = open(path, "rb") if held else open_regular(path)  # noqa: SIM115
    start = file.peek(4)[:4]
    if start.startswith(GZIP):
        return io.BufferedReader(cast(io.RawIOBase, _Gzip(file)))
    if start == ZSTD:
        return io.BufferedReader(_Zstd(file))
    return file


def detected(path: Path, *, fallback: bool) -> str:
    """The encoding of a text file: by its byte order mark, by the zero bytes of a UTF-16 without
    one, else UTF-8; with `fallback`, cp1252 where it is not UTF-8 and reads as a European language.

    A file in which valid sequences of UTF-8 outnumber the others is damaged UTF-8, and an error
    when it is read. Raises InputError for an encoding that cannot be told.
    """
    with unpacked(path) as file:
        start = file.peek(_HEAD)[:_HEAD]
        for mark, name in _MARKS.items():
            if start.startswith(mark):
                return name
        # the upper byte of an ASCII letter in UTF-16 is zero: the second one in little endian
        even = start[::2].count(0)
        odd = start[1::2].count(0)
        if min(even, odd) == 0 and even + odd > _ZEROS * len(start):
            return "utf-16-le" if odd else "utf-16-be"
        if even + odd or not fallback:
            return UTF_8  # or no text at all, which reading says
        return _by_letters(file, path)


def _by_letters(file: IO[bytes], path: Path) -> str:
    # bytes that are ASCII letters, that are above ASCII, and of these such that are valid in UTF-8
    letters = special = sequences = 0
    whole = True
    undefined = False  # has bytes that cp1252 has no character for
    decoder = codecs.getincrementaldecoder(UTF_8)()
    while block := file.read(_BLOCK):
        if whole:
            try:
                decoder.decode(block)
            except UnicodeDecodeError:
                whole = False
        letters += len(_LETTER.findall(block))
        special += len(_SPECIAL.findall(block))
        sequences += sum(map(len, _SEQUENCE.findall(block)))
        undefined = undefined or any(byte in block for byte in b"\x81\x8d\x8f\x90\x9d")
    if whole or sequences > special - sequences:
        return UTF_8
    if undefined or special > _FOREIGN * (letters + special):
        raise InputError(
            "is neither UTF-8 nor cp1252; say its encoding, as --encoding cp1251 (Cyrillic), "
            "shift_jis (Japanese), gb18030 (Chinese) or euc_kr (Korean)",
            path=path,
        )
    return FALLBACK


def checked_encoding(name: str, path: Path) -> str:
    """The name of an encoding of text that Python knows. Raises InputError for another."""
    try:
        "a".encode(name)
    except (LookupError, ValueError) as error:
        raise InputError(
            f"--encoding {name} is unknown; wanted utf-8, utf-16, cp1252, shift_jis or another "
            "that Python knows",
            path=path,
        ) from error
    return name


class _Recoded(io.RawIOBase):
    """A file in another encoding, as UTF-8."""

    def __init__(self, file: io.BufferedReader, encoding: str, newline: str | None = "") -> None:
        self._text = io.TextIOWrapper(file, encoding=encoding, newline=newline)
        self._encoding = encoding
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            try:
                self._left = self._text.read(_HEAD).encode("utf-8", "surrogatepass")
            except UnicodeError as error:
                raise OSError(f"it is not {self._encoding}: {error}") from error
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size

    def close(self) -> None:
        self._text.close()
        super().close()


class _Gzip(gzip.GzipFile):
    """A file packed with gzip, which is closed with it."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        super().__init__(fileobj=file)

    def close(self) -> None:
        super().close()
        self._file.close()


class _Zstd(io.RawIOBase):
    """A file packed with zstd, unpacked."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self._stream = pa.CompressedInputStream(file, "zstd")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._stream.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        self._file.close()
        super().close()


DAMAGED: Final = (EOFError, zlib.error)
"""What reading a cut or damaged packed file raises, besides OSError."""
