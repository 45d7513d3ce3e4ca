"""What a table's columns mean, by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from nearfield.data.record import Place
from nearfield.errors import InputError

# Meanings and the names that columns have for them, the more telling name first: a table with both
# `context` and `answer` is a reading set, whose documents are the contexts.
NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "query": ("query", "question", "anchor", "sentence1", "text1", "question1", "source"),
    "positive": (
        "positive",
        "document",
        "passage",
        "context",
        "answer",
        "response",
        "sentence2",
        "text2",
        "question2",
        "target",
        "pos",
    ),
    "negatives": ("negatives", "negative", "hard_negatives", "hard_negative", "neg"),
    "score": ("score", "similarity", "similarity_score", "label", "is_duplicate"),
    "relevance": ("relevance",),
    "group": ("group",),
    "split": ("split",),
    "text": ("text",),
    "title": ("title",),
    "id": ("id", "_id"),
}
_NUMBERED_NEGATIVE = re.compile(r"(hard_)?negative_?\d+")
# around a column's name, byte order marks of joined files too
BLANKS = " \t\r\n\f\v\xa0\u200b\ufeff"
# names of lists: a cell that looks like a printed one is one
PRINTED = frozenset({"negatives", "hard_negatives", "neg", "pos"})
_TABLES = (".csv", ".tsv")  # formats whose header may have been forgotten
# an id that is not used is not worth a word
_TELLING = (
    "query",
    "positive",
    "negatives",
    "score",
    "text",
    "title",
    "relevance",
    "group",
    "split",
)
_MEANING = {name: meaning for meaning, names in NAMES.items() for name in names}


@dataclass(frozen=True)
class Unused:
    """Columns of a file whose name has a meaning and that are not used: another was preferred, or
    it counts for nothing there.

    `source` is the file, `used` says in words what is; `names` are the columns that are not used,
    of `total` in all.
    """

    source: str
    used: str
    names: tuple[str, ...]
    total: int

    def __str__(self) -> str:
        return f"{self.used}; not used: {', '.join(self.names)}"


@dataclass(frozen=True)
class Columns:
    """The columns of a table by meaning: a name each, None where it has none. Either `query` and
    `positive` are there, or `text`.
    """

    query: str | None
    positive: str | None
    text: str | None
    title: str | None
    id: str | None
    negatives: tuple[str, ...]
    score: str | None
    relevance: str | None
    group: str | None
    split: str | None
    unused: tuple[str, ...] = ()  # those with a meaning that counts for nothing here
    # those whose texts are lists that were printed into a cell
    printed: frozenset[str] = frozenset()

    @property
    def paired(self) -> bool:
        """Whether rows are pairs (else they are documents)."""
        return self.query is not None


def known(name: str) -> bool:
    """Whether a column of this name has a meaning."""
    return _plain(name) in _MEANING or bool(_NUMBERED_NEGATIVE.fullmatch(_plain(name)))


def columns_of(names: Iterable[str], place: Place) -> Columns:
    """What the columns called `names` mean. Raises InputError that lists what was found and what
    was wanted.
    """
    names = list(names)
    check_names(names, place)
    plain = {_plain(name): name for name in reversed(names)}
    first = {
        meaning: next((plain[word] for word in words if word in plain), None)
        for meaning, words in NAMES.items()
    }
    numbered = tuple(name for name in names if _NUMBERED_NEGATIVE.fullmatch(_plain(name)))
    negatives = ((first["negatives"],) if first["negatives"] else ()) + numbered
    query, positive, text = first["query"], first["positive"], first["text"]
    if text and not query and positive == plain.get("pos"):
        positive = None  # of documents it is the part of speech
    # beside a text a pos is a position, or the part of speech
    if query and text and (not positive or positive == plain.get("pos")):
        positive = text
    if not (query and positive) and (query or positive or not text):
        raise _meaningless(names, place)
    score = first["score"] if query else None
    used = {query, positive, score, *negatives} if query else {text}
    used |= {
        first[meaning] for meaning in _counting(paired=query is not None, scored=score is not None)
    }
    other = [plain[word] for meaning in _TELLING for word in NAMES[meaning] if word in plain]
    return Columns(
        query,
        positive,
        text,
        **{meaning: first[meaning] for meaning in ("title", "id", "relevance", "group", "split")},
        negatives=negatives,
        score=score,
        unused=tuple(name for name in other if name not in used),
        printed=frozenset(
            name for name in (*negatives, positive) if name and _plain(name) in PRINTED
        ),
    )


def _meaningless(names: list[str], place: Place) -> InputError:
    """The error for columns that hold neither pairs nor documents."""
    wanted = (
        f"a query ({', '.join(NAMES['query'])}) and a positive "
        f"({', '.join(NAMES['positive'])}), or text alone for documents"
    )
    if PurePath(place).suffix.lower() in _TABLES and not any(map(known, names)):
        return InputError(
            f"no known column is in the first line, {shortened(names)!r}, or the header is "
            f"missing. Rename the columns, or add a line with their names; wanted {wanted}",
            path=place,
            line=1,
        )
    return InputError(
        f"has columns {shortened(names) or 'without names'}; wanted {wanted}. Rename the columns",
        path=place,
    )


def _counting(*, paired: bool, scored: bool) -> tuple[str, ...]:
    """Meanings besides the texts and the score that count for rows of this kind."""
    if not paired:
        return "title", "id", "group"
    return () if scored else ("relevance", "group", "split")


def check_names(names: Iterable[str], place: Place) -> None:
    """Raise InputError where two columns have one name, but for case, blanks and hyphens where the
    name has a meaning.
    """
    seen: dict[str, str] = {}
    for name in names:
        name = name.strip(BLANKS)
        if not name:  # an index, or what a sheet ends with
            continue
        key = _plain(name) if known(name) else name
        if key in seen:
            got = (
                f"{name!r} is there twice"
                if seen[key] == name
                else f"{seen[key]!r} and {name!r} are one name"
            )
            raise InputError(
                f"two columns have one name: {got}. Rename one, or take it out", path=place
            )
        seen[key] = name


def shortened(names: Iterable[str], *, most: int = 80) -> str:
    """Names with commas between, cut to `most` characters: what should be a header may be a row of
    long texts.
    """
    text = " ".join(", ".join(names).split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _plain(name: str) -> str:
    return name.strip(BLANKS).lower().replace("-", "_").replace(" ", "_")
