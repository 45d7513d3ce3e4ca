"""Letters that a tokeniser has no words of: what it knows nothing about, a model can hardly tell
apart.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence

from nearfield.batch.tokens import Tokeniser

_SYLLABIC = "CJK HIRAGANA KATAKANA HANGUL THAI LAO KHMER MYANMAR TIBETAN YI BOPOMOFO"
SYLLABIC = frozenset(_SYLLABIC.split())
"""Scripts in which one letter, or syllable, is often a word."""
MOST = 2000  # characters of a text that are looked at


def unread_letters(tokeniser: Tokeniser, texts: Sequence[str]) -> tuple[Counter[str], int]:
    """How many letters of each script the tokeniser does not read as parts of words, and how many
    letters there are in all.

    A letter is not read where its token is unknown or a part of the letter (a byte), and where it
    is a token of its own within a word: then the vocabulary has the script's letters and few of its
    words. In `SYLLABIC` scripts one that stands alone is read.
    """
    unread: Counter[str] = Counter()
    total = 0
    cut = [unicodedata.normalize("NFC", text[:MOST]) for text in texts]
    for text, pieces in zip(cut, tokeniser.pieces(cut), strict=True):
        spans = [(start, end, known) for start, end, known in pieces if end > start]
        shared = Counter((start, end) for start, end, _ in spans)
        read = set[int]()
        for start, end, known in spans:
            if known and shared[start, end] == 1 and not _alone(text, start, end):
                read.update(range(start, end))
        for at, letter in enumerate(text):
            if letter.isalpha():
                total += 1
                if at not in read:
                    unread[_script(letter)] += 1
    return unread, total


def _alone(text: str, start: int, end: int) -> bool:
    """Whether the token is one letter within a longer word."""
    letters = [character for character in text[start:end] if character.isalpha()]
    if len(letters) != 1 or _script(letters[0]) in SYLLABIC:
        return False
    before = text[start - 1 : start]
    after = text[end : end + 1]
    return before.isalpha() or after.isalpha()


def _script(letter: str) -> str:
    """The first word of the character's name in Unicode, which is its script's: LATIN, CYRILLIC,
    DEVANAGARI, CJK.
    """
    return unicodedata.name(letter, "UNKNOWN").partition(" ")[0]
