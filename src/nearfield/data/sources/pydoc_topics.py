"""The embedded collection `pydoc-topics`, a guard: does a tuned model still find prose about
Python, which it was not tuned on?

It is made of the running Python's `pydoc_data.topics`, the language reference as `help()` shows it.
Each paragraph of prose with at least two sentences is a pair: the query is its first sentence, the
document the rest of it. Headings, code, grammar and tables are left out, and so are queries of
fewer than MIN_QUERY words and documents of fewer than MIN_DOCUMENT. Topics that share a paragraph
are one group; groups are divided into `dev`, for choosing, and `test`, for reporting.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from nearfield.data.cache import text_key, through_cache
from nearfield.data.collection import Collection
from nearfield.data.sources.sentences import first_sentence
from nearfield.data.split import split_by_group
from nearfield.data.writer import CollectionWriter
from nearfield.errors import CollectionError

NAME: Final = "pydoc-topics"
RULE: Final = 2  # of this file: raised when what is made of the same topics changes
MIN_QUERY, MIN_DOCUMENT = 4, 8
FRACTIONS: Final = {"dev": 0.5, "test": 0.5}
_HEADING = re.compile(r"^\s*([*=\-~^\"#+|])\1{2,}", re.MULTILINE)
# of grammar, of code at a prompt, of a table: columns are apart by blanks or bars
_GRAMMAR_OR_TABLE = re.compile(r"::=|>>>|\||\S {3,}\S")
_BULLET = re.compile(r"^([*-]|\d+\.)\s+")
_FOOTNOTE = re.compile(r"\s?\[\d+\]")
_EMPHASIS = re.compile(r"(?<!\w)(\*{1,2})(\w(?:[^*\n]*\w)?)\1(?!\w)")


def open_pydoc_topics() -> Collection:
    """The collection `pydoc-topics` of the running Python, kept in the cache. Raises
    CollectionError where it has no topics.
    """
    return through_cache(
        lambda: text_key(f"{NAME} {RULE} {sys.version}"), _make, open_folder=Collection.open
    )


def _make(folder: Path | None) -> Collection:
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise CollectionError(
            "this Python comes without pydoc_data.topics; use one that has it "
            "(python.org's and most others)"
        ) from error
    writer = CollectionWriter(NAME, None)
    for key, (group, query, document) in pairs_of(topics).items():
        writer.document(key, document, group=group)
        writer.query(key, query, group=group)
        writer.judgement(key, key, 1, "test")
    whole = split_by_group(writer.finish(), FRACTIONS)
    if folder is not None:
        whole.save(folder)
    return whole


def pairs_of(topics: Mapping[str, str]) -> dict[str, tuple[str, str, str]]:
    """Group, query and document by key (topic:number). A query or document that comes twice is
    taken the first time only.
    """
    found: dict[str, tuple[str, str, str]] = {}
    owner: dict[str, str] = {}  # of a query or a document: the topic that has it first
    # topic to another one of its group; itself where it is the group's first
    joined: dict[str, str] = {}
    for topic, text in sorted(topics.items()):
        joined[topic] = topic
        for number, paragraph in enumerate(_paragraphs(text)):
            query = first_sentence(paragraph)
            document = paragraph[len(query) :].strip()
            if len(query.split()) < MIN_QUERY or len(document.split()) < MIN_DOCUMENT:
                continue
            if query not in owner and document not in owner:
                found[f"{topic}:{number}"] = (topic, query, document)
            for part in (query, document):
                other = owner.setdefault(part, topic)
                joined[_first(joined, other)] = _first(joined, topic)
    # only now, as a later topic may have joined two groups
    for key, (topic, query, document) in found.items():
        found[key] = (_first(joined, topic), query, document)
    return found


def _first(joined: Mapping[str, str], topic: str) -> str:
    """The topic that the group of this one goes by (the root of union-find)."""
    while joined[topic] != topic:
        topic = joined[topic]
    return topic


def _paragraphs(text: str) -> Iterator[str]:
    """Paragraphs of prose on one line each, without markup."""
    margin = 0
    introduces_code = False
    for block in re.split(r"\n[ \t]*\n", text):
        indent = len(block.lstrip("\n")) - len(block.strip("\n").lstrip())
        code = introduces_code and indent > margin
        if code or not block.strip():
            continue
        margin = indent
        introduces_code = block.rstrip().endswith(":")
        if _HEADING.search(block) or _GRAMMAR_OR_TABLE.search(block):
            continue
        line = _BULLET.sub("", " ".join(block.split()))
        yield _EMPHASIS.sub(r"\2", _FOOTNOTE.sub("", line))
