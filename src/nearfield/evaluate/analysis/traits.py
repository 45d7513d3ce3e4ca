"""What a query is like: how long, in which script, how far its words are in what it looks for."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence

from nearfield.types.word_rule import words


def length(text: str) -> float:
    """Words."""
    return float(len(words(text)))


def script(text: str) -> str:
    """The script of most of its letters, as Unicode calls it: Latin, Cyrillic, Cjk; "none" without
    letters.
    """
    found = Counter[str]()
    for character in filter(str.isalpha, text):
        # a letter's name begins with its script: LATIN SMALL LETTER A
        found[unicodedata.name(character, "unknown").split()[0]] += 1
    if not found:
        return "none"
    ((name, _),) = found.most_common(1)
    return name.title()


def overlap(query: str, documents: Sequence[str]) -> float:
    """The share of the query's different words that one of the documents has, at the most."""
    asked = set(words(query))
    shared = [len(asked & set(words(document))) for document in documents]
    return max(shared, default=0) / max(1, len(asked))
