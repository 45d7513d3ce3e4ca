"""Files that test word vectors: analogies in sections, and pairs of words with a score by
people.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from nearfield.data.readers.lines import lines
from nearfield.errors import InputError


@dataclass(frozen=True)
class Analogies:
    """Questions "a is to b as c is to d", one per row of `words: (n, 4)`; `sections` holds each
    section's name and number of questions.
    """

    words: tuple[tuple[str, str, str, str], ...]
    sections: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class WordPairs:
    """Pairs of words, one per row of `words: (n, 2)`, with people's `scores: (n,)`."""

    words: tuple[tuple[str, str], ...]
    scores: tuple[float, ...]


def read_analogies(path: str | Path) -> Analogies:
    """Analogies as word2vec's questions-words.txt has them: a line ": name" begins a section, the
    others hold four words.

    Raises InputError that names the line for any other line, and where there is none.
    """
    path = Path(path)
    words: list[tuple[str, str, str, str]] = []
    sections: list[tuple[str, int]] = []
    for number, line in lines(path):
        parts = line.split()
        if line.startswith(":"):
            sections.append((line.lstrip(": ").strip(), 0))
        elif len(parts) == 4 and sections:
            words.append((parts[0], parts[1], parts[2], parts[3]))
            name, count = sections[-1]
            sections[-1] = (name, count + 1)
        elif parts:
            got = f"holds {len(parts)} words"
            if len(parts) == 4:
                got = "stands before the first section"
            raise InputError(
                f"{got}; wanted four words with blanks between, below a line such as ': capitals'",
                path=path,
                line=number,
            )
    if not words:
        raise InputError("holds no analogy", path=path)
    return Analogies(tuple(words), tuple(sections))


def read_word_pairs(path: str | Path) -> WordPairs:
    """Two words and their score on each line, with tabs, semicolons or commas between; the first
    may be a header. Lines that begin with # are comments.

    Raises InputError that names the line where it is none, and where there are fewer than two.
    """
    path = Path(path)
    words: list[tuple[str, str]] = []
    scores: list[float] = []
    headers = 1
    for number, line in lines(path):
        if line.startswith("#") or not line.strip():
            continue
        # a comma last: in other files it is a decimal one
        separator = next((mark for mark in "\t;" if mark in line), ",")
        parts = [part.strip() for part in line.split(separator)]
        score = _number(parts[2]) if len(parts) == 3 else math.nan
        if math.isfinite(score):
            words.append((parts[0], parts[1]))
            scores.append(score)
        elif headers and not words and len(parts) == 3:
            headers -= 1
        else:
            raise InputError(
                f"is {line[:60]!r}; wanted two words and a number, with tabs between",
                path=path,
                line=number,
            )
    if len(words) < 2:
        raise InputError(f"holds {len(words)} pairs; wanted at least two", path=path)
    return WordPairs(tuple(words), tuple(scores))


def _number(text: str) -> float:
    """The number in a cell, also with a decimal comma; NaN for anything else."""
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return math.nan
