"""The texts that encoding is timed on: paragraphs and queries as people have them."""

from __future__ import annotations

import json
import re
from pathlib import Path

SCIFACT = Path(__file__).resolve().parents[2] / "shared" / "data" / "scifact"
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")


def timed_texts(count: int) -> tuple[dict[str, list[str]], str]:
    """`count` paragraphs and `count` queries at equal steps through their collection, and where
    they are from.

    Paragraphs are two to four consecutive sentences of SciFact's abstracts (about 90 word-pieces in
    the median), queries its claims; without them, functions and docstrings of the Python standard
    library.
    """
    if SCIFACT.is_dir():
        paragraphs = [
            part for row in _rows(SCIFACT / "corpus.jsonl") for part in _parts(row["text"])
        ]
        queries, origin = [row["text"] for row in _rows(SCIFACT / "queries.jsonl")], "scifact"
    else:
        from nearfield import open_collection

        stdlib = open_collection("stdlib")
        paragraphs = [str(text) for text in stdlib.document_texts]
        queries, origin = [str(text) for text in stdlib.query_texts], "stdlib"
    return {"paragraphs": _spread(paragraphs, count), "queries": _spread(queries, count)}, origin


def _rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _parts(text: str) -> list[str]:
    sentences, parts, at = _SENTENCE.split(text), [], 0
    while at < len(sentences):
        taken = 2 + (at + len(text)) % 3
        parts.append(" ".join(sentences[at : at + taken]))
        at += taken
    return parts


def _spread(texts: list[str], count: int) -> list[str]:
    return [texts[at * len(texts) // count] for at in range(min(count, len(texts)))]
