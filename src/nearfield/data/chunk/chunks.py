"""A long text as chunks of bounded length, each with its place in the text."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from tokenizers import Tokenizer

from nearfield.data.chunk import SPLITTERS
from nearfield.data.chunk.splitter import Splitter
from nearfield.errors import InputError

Starts = Callable[[str], Sequence[int]]
"""Where each token of a text starts, in characters, in ascending order."""
Span = tuple[int, int]
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"[{_CJK}]|[^\s{_CJK}]{{1,20}}")


class Chunk(NamedTuple):
    """A part of a text, `text[start:end]` in characters, without white space at its ends.

    `headings` are those over it, the outermost first; of code, the definitions that it is in.
    """

    text: str
    start: int
    end: int
    headings: tuple[str, ...] = ()


def words(text: str) -> Sequence[int]:
    """Where words start. A Chinese or Japanese character is a word, and so are 20 characters of
    anything longer, so that no text is without places to cut.
    """
    return [found.start() for found in _WORD.finditer(text)]


def tokens_of(tokenizer: Tokenizer) -> Starts:
    """Where the tokens of `tokenizer` start, special tokens not counted, by a copy of it that does
    not truncate.
    """
    own = Tokenizer.from_str(tokenizer.to_str())
    own.no_truncation()
    own.no_padding()

    def starts(text: str) -> Sequence[int]:
        offsets = own.encode(text, add_special_tokens=False).offsets
        return sorted(start for start, _ in offsets)  # a normaliser may swap characters

    return starts


def chunks(
    text: str, by: str = "recursive", size: int = 200, overlap: int = 0, starts: Starts = words
) -> list[Chunk]:
    """`text` in chunks of at most `size` tokens, in order; what is between two is white space.

    `by` names one of `SPLITTERS`, which says where to cut. Parts of up to `overlap` tokens at the
    end of a chunk are repeated in the next one of the same section. Tokens are what `starts` finds:
    words, or with `tokens_of(tokenizer)` a model's. Only a character that is several tokens may be
    over `size`. Raises InputError for an unknown splitter, a size below 1 and an overlap that is
    not below it.
    """
    check_sizes(size, overlap)
    splitter = SPLITTERS[by]
    counted = _Counted(starts(text))
    found: list[Chunk] = []
    done = 0
    for section in splitter.sections(text):
        parts = _parts(text, section[:2], splitter, counted, size)
        for start, end in _joined(parts, counted, size, overlap):
            inner = text[start:end].strip()
            at = start + text[start:end].find(inner)
            # white space may be tokens: what has nothing new but these is none
            if inner and at + len(inner) > done:
                done = at + len(inner)
                found.append(Chunk(inner, at, done, section.headings))
    return found


def check_sizes(size: int, overlap: int) -> None:
    """Raise InputError where chunks of `size` tokens with `overlap` cannot be made."""
    if size < 1:
        raise InputError(f"the size of chunks is {size}; wanted at least 1")
    if not 0 <= overlap < size:
        raise InputError(
            f"the overlap of chunks is {overlap}; wanted 0 to {size - 1}, below the size"
        )


class _Counted:
    """How many tokens start in a span."""

    def __init__(self, starts: Sequence[int]) -> None:
        self.starts = starts

    def __call__(self, start: int, end: int) -> int:
        return bisect_left(self.starts, end) - bisect_left(self.starts, start)

    def between(self, start: int, end: int) -> list[int]:
        """The places within the span at which a token starts."""
        rows = slice(bisect_left(self.starts, start + 1), bisect_left(self.starts, end))
        return sorted(set(self.starts[rows]))


def _parts(
    text: str, span: Span, splitter: Splitter, counted: _Counted, size: int, level: int = 0
) -> list[Span]:
    """`span` in parts of at most `size` tokens, cut at the first levels that make them so short."""
    start, end = span
    if counted(start, end) <= size:
        return [span]
    if level == len(splitter.levels):
        return _cut(start, end, counted.between(start, end))
    places = [found.end() for found in splitter.levels[level].finditer(text, start, end)]
    parts: list[Span] = []
    for inner in _cut(start, end, places):
        parts += _parts(text, inner, splitter, counted, size, level + 1)
    return parts


def _cut(start: int, end: int, places: Sequence[int]) -> list[Span]:
    inner = [place for place in places if start < place < end]
    return list(pairwise([start, *inner, end]))


def _joined(parts: Sequence[Span], counted: _Counted, size: int, overlap: int) -> list[Span]:
    """As many parts that follow each other as `size` allows in each span."""
    spans = []
    first = last = 0  # the parts of a span: up to `last`, which is not in it
    while last < len(parts):
        start = parts[first][0]
        last += 1  # one part always, even where it is over the size by itself
        while last < len(parts) and counted(start, parts[last][1]) <= size:
            last += 1
        end = parts[last - 1][1]
        spans.append((start, end))
        first += 1
        # The next span begins with the first part that it may repeat; with it there must be room
        # for a new one, so that each span goes further than the one before.
        while last < len(parts) and first < last:
            repeated = counted(parts[first][0], end)
            whole = counted(parts[first][0], parts[last][1])
            if repeated <= overlap and whole <= size:
                break
            first += 1
    return spans
