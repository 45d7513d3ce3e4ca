"""What a table's columns mean, by their names."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from types import MappingProxyType

from nearfield.data.readers.column_names import (
    ALIKE,
    BLANKS,
    KEYS,
    NAMES,
    RATINGS,
    by_plain_name,
    first_called,
    known,
    numbered_negative,
    plain,
)
from nearfield.data.record import Place
from nearfield.errors import InputError, nearest
from nearfield.types.data_options import NONE, DataOptions

# names of lists: a cell that looks like a printed one is one
PRINTED = frozenset({"negatives", "hardnegatives", "neg", "pos"})
_SHOWN = 8  # names in an error
_LONGEST = 80  # characters of names in an error
_TABLES = (".csv", ".tsv")  # formats whose header may have been forgotten
_MEANING = {"document": "positive", "negative": "negatives"}  # of an option
_TEXTS = ("query", "positive", "text")
# in the order in which they are named; that an id is not used is not worth a word
_TOLD = "query positive negatives score text title relevance group split"
_TELLING = tuple(_TOLD.split())


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
    title: str | None
    id: str | None
    negatives: tuple[str, ...]
    score: str | None
    relevance: str | None
    group: str | None
    split: str | None
    label: str | None = None  # of documents
    unused: tuple[str, ...] = ()  # those with a meaning that counts for nothing here
    # those whose texts are lists that were printed into a cell
    printed: frozenset[str] = frozenset()

    @property
    def text(self) -> str | None:
        """The column of documents, where rows are documents."""
        return None if self.paired else self.positive

    @property
    def paired(self) -> bool:
        """Whether rows are pairs (else they are documents)."""
        return self.query is not None

    def names(self) -> list[str]:
        """The columns that mean something, whether it counts or not."""
        single = (self.query, self.positive, self.title, self.id, self.score, self.relevance)
        other = (self.group, self.split, self.label)
        return [name for name in (*single, *other, *self.negatives) if name is not None]

    def meanings(self) -> dict[str, str]:
        """What each column that is used counts as."""
        counting = {
            "query": self.query,
            "document": self.positive,
            "score": self.score,
            "label": self.label,
        }
        if not self.paired:
            counting |= {"title": self.title, "id": self.id, "group": self.group}
        elif self.score is None:
            counting |= {"relevance": self.relevance, "group": self.group, "split": self.split}
        found = {column: meaning for meaning, column in counting.items() if column is not None}
        if self.paired:
            found |= dict.fromkeys(self.negatives, "negative")
        return found


def columns_of(
    names: Iterable[str],
    place: Place,
    options: DataOptions = NONE,
    *,
    textless: Collection[str] = (),
) -> Columns:
    """What the columns called `names` mean: as stated in the options, else by their names, which
    make no query and no document of those that are `textless`. Raises InputError that lists what
    was found and what was wanted.
    """
    names = list(names)
    stated = _stated(names, place, options)
    check_names(names, place)
    free = [name for name in names if name not in stated.values()]
    _check_meanings((name for name in free if name not in textless), place)
    by_key = by_plain_name(free)
    by_text = {key: name for key, name in by_key.items() if name not in textless}
    # the column of each meaning: by its name, then what was stated, then what was said to be none
    first: dict[str, str | None] = {}
    for meaning, keys in KEYS.items():
        first[meaning] = first_called(by_text if meaning in _TEXTS else by_key, keys)
    first |= stated
    first |= dict.fromkeys(_MEANING.get(option, option) for option in options.without())
    negatives = []
    if first["negatives"]:
        negatives.append(first["negatives"])
    if "negatives" not in stated:
        negatives += filter(numbered_negative, names)
    query, positive, text = _texts(first, by_text.get("pos"), options)
    pairs = query and positive
    documents = text and not query and not positive
    if not pairs and not documents:
        raise _meaningless(names, place, query, positive)
    columns = Columns(
        query,
        positive if query else text,
        title=first["title"],
        id=first["id"],
        relevance=first["relevance"],
        group=first["group"],
        split=first["split"],
        negatives=tuple(negatives),
        score=_score(first, by_key, options) if query else None,
        label=None if query else first["label"],
    )
    return _with_unused(columns, by_key)


def _score(
    first: Mapping[str, str | None], by_key: Mapping[str, str], options: DataOptions
) -> str | None:
    """The column of scores; also one that is called a rating beside two texts of one kind."""
    if first["score"] is not None or "score" in options.without():
        return first["score"]
    if plain(first["query"] or "") in ALIKE:
        return first_called(by_key, RATINGS)
    return None


def _with_unused(columns: Columns, by_key: Mapping[str, str]) -> Columns:
    """The columns with those that have a meaning and are not used, and those of printed lists."""
    used = [name for name, use in columns.meanings().items() if use != "label"]
    unused: list[str] = []
    for meaning in _TELLING:
        for key in KEYS[meaning]:
            name = by_key.get(key)
            if name and name not in used and name not in unused:
                unused.append(name)
    printed = frozenset(name for name in used if plain(name) in PRINTED)
    return replace(columns, unused=tuple(unused), printed=printed)


def query_column(names: Sequence[str], place: Place) -> str:
    """The column of queries among `names`, documents beside them or none: that called so, else that
    of texts, else the only one. Raises InputError where there is none of these.
    """
    found = first_called(by_plain_name(names), (*KEYS["query"], *KEYS["text"]))
    if found is not None:
        return found
    if len(names) == 1:
        return names[0]
    raise InputError(
        f"has columns {shortened(names)}; wanted one of queries, which is called "
        f"{', '.join(NAMES['query'][:4])} ..., or text",
        path=place,
    )


def _texts(
    first: Mapping[str, str | None], pos: str | None, options: DataOptions
) -> tuple[str | None, str | None, str | None]:
    """The columns of queries, of their documents, and of documents alone."""
    query = first["query"]
    positive = first["positive"]
    text = first["text"]
    if options.document is not None:
        return query, options.document if query else None, options.document
    if text and not query and positive == pos:
        positive = None  # of documents it is the part of speech
    elif query and text and (not positive or positive == pos):
        positive = text  # beside a text a pos is a position, or the part of speech
    return query, positive, text


def _stated(names: list[str], place: Place, options: DataOptions) -> dict[str, str]:
    """The columns that the options name, by meaning. Raises InputError for one that is not there,
    or that is named twice.
    """
    given = options.columns()
    for option, name in given.items():
        if name not in names:
            raise InputError(
                f"--{option} {name!r}: it has no such column; it has {shortened(names)}."
                f"{nearest(name, names)}",
                path=place,
            )
    for name in given.values():
        naming = [f"--{option}" for option in given if given[option] == name]
        if len(naming) > 1:
            raise InputError(f"{' and '.join(naming)} name one column, {name!r}", path=place)
    return {_MEANING.get(option, option): name for option, name in given.items()}


class UnknownColumnsError(InputError):
    """No column is known to be the query, or the document.

    `plain` is the message, `names` are the columns, `known` those of the two that are known, and
    `proposal` is what the contents suggest for the others.
    """

    def __init__(
        self,
        message: str,
        *,
        path: Place,
        line: int | None = None,
        names: Sequence[str],
        known: Mapping[str, str],
        proposal: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(message, path=path, line=line)
        self.place = path
        self.plain = message
        self.names = names
        self.known = dict(known)
        self.proposal = dict(proposal)


def _meaningless(
    names: list[str], place: Place, query: str | None, positive: str | None
) -> UnknownColumnsError:
    """The error for columns that hold neither pairs nor documents."""
    there = {}
    if query is not None:
        there["query"] = query
    if positive is not None:
        there["document"] = positive
    wanted = (
        f"a query ({', '.join(NAMES['query'][:_SHOWN])} ...) and a document "
        f"({', '.join(NAMES['positive'][:_SHOWN])} ...), or text alone for documents"
    )
    got = f"has columns {shortened(names) or 'without names'}"
    line = None
    if PurePath(place).suffix.lower() in _TABLES and not any(map(known, names)):
        got = (
            f"no known column is in the first line, {shortened(names)!r}, or the header is missing"
        )
        line = 1
    return UnknownColumnsError(
        f"{got}; wanted {wanted}. Name the columns: --query COLUMN --document COLUMN",
        path=place,
        line=line,
        names=names,
        known=there,
    )


def check_names(names: Iterable[str], place: Place) -> None:
    """Raise InputError where two columns have one name; those without one are an index, or what a
    sheet ends with.
    """
    for name, count in Counter(name.strip(BLANKS) for name in names).items():
        if name and count > 1:
            raise InputError(
                f"two columns have one name: {name!r} is there twice. Rename one, or take it out",
                path=place,
            )


def _check_meanings(names: Iterable[str], place: Place) -> None:
    """Raise InputError where the names of two columns say the same but for case, blanks, hyphens,
    brackets or a language.
    """
    seen: dict[str, str] = {}
    for name in names:
        key = plain(name)
        if known(name) and key in seen:
            # a numbered negative is in no list of names
            meaning = next((word for word, keys in KEYS.items() if key in keys), "negatives")
            option = {"positive": "document", "text": "document", "negatives": "negative"}
            raise InputError(
                f"two columns have one name: {seen[key]!r} and {name!r} are one name. Rename one, "
                f"or say which it is: --{option.get(meaning, meaning)} {shlex.quote(seen[key])}",
                path=place,
            )
        seen[key] = name


def shortened(names: Iterable[str]) -> str:
    """Names with commas between, cut to 80 characters: what should be a header may be a row of long
    texts.
    """
    text = " ".join(", ".join(names).split())
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST - 1]}…"
    return text
