"""How a text is cut into words, wherever words are counted, compared or searched."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable
from typing import Final

from nearfield.types.figures import worded
from nearfield.types.item import is_image_url

RULE: Final = 2
"""Goes up when the same text gives other words: terms that were made by another rule do not fit."""

UNSPACED: Final = (
    "\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303c\u3040-\u3098\u309d-\u30ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U0001aff0-\U0001b16f\U00020000-\U0003ffff\u0e00-\u0e4f\u0e5a-\u0ecf\u0eda-\u0eff"
    "\u1000-\u103f\u104a-\u108f\u109a-\u109f"
    "\ua9e0-\ua9ef\ua9fa-\ua9ff\uaa60-\uaa7f\u1780-\u17df\u17ea-\u17ff\u1950-\u19cf"
    "\u1a20-\u1a7f\u1a8a-\u1a8f\u1a9a-\u1aaf\uaa80-\uaadf"
    "\U00011700-\U0001172f\U0001173a-\U0001174f\U00017000-\U00018d8f\U0001b170-\U0001b2ff"
)
"""Scripts in which a text has no blanks between its words, as ranges of a regular expression's set.

Kana, Han; Thai, Lao, Burmese, Khmer, Tai Le, New Tai Lue, Tai Tham, Tai Viet, Ahom; Tangut, Khitan,
Nushu. Each of their letters, with its marks, is a word (digits make numbers as elsewhere): what
Unicode's rule gives without a dictionary, but for Katakana, whose runs it keeps whole.
"""

# ZWSP parts words; NFKC would join the sign of "Windows™" to the word
_BLANKS = re.compile("[\u200b\u2120\u2122]")
_IGNORED = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200c-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    # default ignorable: joiners, soft hyphens, directions, variation selectors
    "\U000e0000-\U000e0fff"
    "\u20dd-\u20e0\u20e2-\u20e4"  # circles and key caps around a character
    "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"  # Hebrew points and accents
    "\u0610-\u061a\u0640"  # Arabic signs, tatweel, vowels
    "\u064b-\u0652\u0656-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed"
    "\u08ca-\u08e1\u08e3-\u08ff"
    "\u0711\u0730-\u074a]"  # Syriac vowels
)
_NUMBER = r"(?<=\d)[.,\u066b\u066c](?=\d)"
# of scripts other than Latin it is inside a word
_APOSTROPHE = r"(?<=[^\W\da-z\u00df-\u024f])'(?=[^\W\d_])"
_GERSHAYIM = '(?<=[\u05d0-\u05ea])"(?=[\u05d0-\u05ea])'  # of Hebrew acronyms
_DOT = r"(?<=[^\W\d])\u00b7(?=[^\W\d_])"  # Catalan col·lecció
_ASCII = re.compile(
    r"([a-z0-9]+(?:(?<=[0-9])[.,](?=[0-9])[a-z0-9]+)*)(?:'[a-z](?![a-z0-9]))?"
).findall
# or no blanks between words
_MAY_HAVE_MARKS = re.compile(
    "[^\\x00-\u02ff\u0370-\u0482\u048a-\u058f\u1e00-\u20cf\u2100-\u2bff]"
).search


def words(text: str) -> list[str]:
    """The words of `text`, folded, in its order.

    By the word boundaries of Unicode (UAX #29): letters, digits and the marks on them, `3.5` and
    `1,000` whole. Otherwise than there, `_`, `.` and `:` part letters, so that identifiers and file
    names are found by their parts, and so does an apostrophe after a Latin letter, without the one
    letter behind it: `dog's` is dog, `l'eau` l and eau. Punctuation, symbols and emoji are no
    words, and an image has none; a figure has its caption's.
    """
    if is_image_url(text):
        return []
    text = worded(text)
    if text.isascii():
        return _ASCII(text.lower())
    plain = folded(text)
    if _MAY_HAVE_MARKS(plain):
        return _any_script()(plain)
    return _letters()(plain)


def folded(text: str) -> str:
    """`text` as words are compared: NFKC, case folded, without what is not seen or may be left out
    in writing.

    These are default-ignorable characters (joiners, soft hyphens, variation selectors) and the
    vowel marks of Arabic, Hebrew and Syriac, with tatweel: a vocalised query finds the text without
    vowels, and the reverse. Other accents stay. Of Turkish İ the dot that case folding would leave
    on the i goes.
    """
    if text.isascii():
        return text.lower()
    compatible = unicodedata.normalize("NFKC", _BLANKS.sub(" ", text))
    lower = _IGNORED.sub("", compatible).casefold().replace("i\u0307", "i")
    # typographic ones and the Hebrew geresh count as ASCII's, and gershayim as its double quote
    for apostrophe in "\u2018\u2019\u02bc\u05f3":
        lower = lower.replace(apostrophe, "'")
    lower = lower.replace("\u05f4", '"')
    # once more, as case folding takes some composed characters apart
    return unicodedata.normalize("NFKC", lower)


@functools.cache
def _letters() -> Callable[[str], list[str]]:
    """Finds the words of a folded text of Latin, Greek, Cyrillic and Armenian letters without
    marks: five times as fast.
    """
    return _finder(r"[^\W_]+", end=r"[^\W_](?!\w)")


@functools.cache
def _any_script() -> Callable[[str], list[str]]:
    """Finds the words of a folded text. Python's `\\w` knows no marks, so their set is made here,
    once.
    """
    # no mark lies outside these
    characters = map(chr, (*range(0x300, 0x1F000), *range(0xE0100, 0xE01F0)))
    marks = "".join(mark for mark in characters if unicodedata.category(mark)[0] == "M")
    letter = rf"[^\W_{UNSPACED}]"
    run = rf"{letter}+(?:[{marks}]+{letter}*)*"
    return _finder(run, end=rf"{letter}(?![\w{marks}])", alone=rf"|(?!\W)[{UNSPACED}][{marks}]*")


def _finder(run: str, *, end: str, alone: str = "") -> Callable[[str], list[str]]:
    """Finds runs of letters that are joined as `words` says, without the letter `end` behind an
    apostrophe, and what stands `alone`.
    """
    return re.compile(
        rf"({run}(?:(?:{_NUMBER}|{_APOSTROPHE}|{_GERSHAYIM}|{_DOT}){run})*{alone})(?:'{end})?"
    ).findall
