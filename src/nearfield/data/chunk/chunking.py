"""How a model reads long texts: in chunks, a vector for each."""

from __future__ import annotations

from dataclasses import dataclass

from nearfield.data.chunk import SPLITTERS
from nearfield.data.chunk.chunks import Chunk, Starts, check_sizes, chunks
from nearfield.errors import InputError


@dataclass(frozen=True)
class Chunking:
    """Chunks of at most `size` tokens by a splitter of `SPLITTERS`, each repeating up to `overlap`
    tokens of the one before it; `late`: encoded together and pooled one by one.
    """

    by: str = "recursive"
    size: int = 200
    overlap: int = 0
    late: bool = False

    @classmethod
    def parse(cls, text: str, *, late: bool = False) -> Chunking:
        """The chunking in words with colons between: a splitter, a size, an overlap, any of them
        left out, as in `200`, `sentences` and `sentences:200:20`.

        Raises InputError for anything else.
        """
        by = cls.by
        numbers = text.split(":")
        if not numbers[0].isdecimal():
            by = numbers.pop(0)
        if len(numbers) > 2 or not all(word.isascii() and word.isdecimal() for word in numbers):
            raise InputError(
                f"the chunks are {text!r}; wanted SPLITTER:SIZE:OVERLAP or a part of it, as in "
                "200 or sentences:200:20"
            )
        SPLITTERS[by]  # raises for an unknown name
        size = int(numbers[0]) if numbers else cls.size
        overlap = int(numbers[1]) if len(numbers) == 2 else cls.overlap
        check_sizes(size, overlap)
        return cls(by, size, overlap, late)

    def __str__(self) -> str:
        return f"{self.by}:{self.size}:{self.overlap}"

    def chunks(self, text: str, starts: Starts) -> list[Chunk]:
        """The chunks of a text, in order; tokens are what `starts` finds. A text of white space
        alone is one empty chunk.
        """
        found = chunks(text, self.by, self.size, self.overlap, starts)
        return found or [Chunk("", 0, 0)]
