"""A tiny collection on which a whole tuning run takes seconds."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from nearfield.data.collection import Collection
from nearfield.data.pairs import Pairs
from tiny import WORDS

TOPICS = [word for word in WORDS if len(word) > 2][:40]


def tiny_collection(*, queries: int = 120, seed: int = 0, dev: bool = True) -> Collection:
    """Documents of a few topic words and fillers; a query holds two of its document's topic words.
    Learnable, and not trivial.
    """
    generator = random.Random(seed)
    rows = []
    for at in range(queries):
        topics = generator.sample(TOPICS, 4)
        text = " ".join(generator.sample([*topics, *generator.choices(WORDS, k=10)], 14))
        split = "test" if at % 4 == 3 else "dev" if dev and at % 4 == 2 else "train"
        rows.append(
            (
                f"q{at}",
                f"d{at}",
                " ".join([*generator.sample(topics, 2), f"{at}"]),
                f"{text} {at % 7}",
                split,
            )
        )
    columns = list(zip(*rows, strict=True))
    blank = [""] * queries
    return Collection(
        "tiny",
        pa.table({"id": columns[1], "title": blank, "text": columns[3], "group": blank}),
        pa.table({"id": columns[0], "text": columns[2], "group": blank}),
        pa.table(
            {
                "query": columns[0],
                "document": columns[1],
                "relevance": pa.array([1] * queries, pa.int32()),
                "split": columns[4],
            }
        ),
    )


def text_files(folder: Path, texts: Sequence[str]) -> Path:
    """A folder of .txt files, 0.txt and on, of these texts."""
    folder.mkdir()
    for number, text in enumerate(texts):
        (folder / f"{number}.txt").write_text(text)
    return folder


def small_collection(
    documents: Mapping[str, str],
    queries: Mapping[str, str],
    judgements: Sequence[tuple[str, str, int, str]],
) -> Collection:
    """A collection of {id: text}, {id: text} and (query, document, relevance, split)."""
    columns = list(zip(*judgements, strict=True)) or [(), (), (), ()]
    blank = [""] * len(documents)
    texts = {"id": [*documents], "title": blank, "text": [*documents.values()], "group": blank}
    asked = {"id": [*queries], "text": [*queries.values()], "group": [""] * len(queries)}
    kinds = {
        "query": pa.string(),
        "document": pa.string(),
        "relevance": pa.int32(),
        "split": pa.string(),
    }
    judged = {
        name: pa.array(column, kind)
        for (name, kind), column in zip(kinds.items(), columns, strict=True)
    }
    return Collection("small", pa.table(texts), pa.table(asked), pa.table(judged))


def small_pairs(
    rows: Sequence[tuple[str, str]],
    *,
    negatives: Sequence[Sequence[str]] | None = None,
    scores: Sequence[float] | None = None,
) -> Pairs:
    """Pairs of (query, positive) rows, with negatives or scores."""
    table: dict[str, object] = {
        "query": [query for query, _ in rows],
        "positive": [positive for _, positive in rows],
    }
    if negatives is not None:
        table["negatives"] = pa.array(negatives, pa.list_(pa.string()))
    if scores is not None:
        table["score"] = pa.array(scores, pa.float64())
    return Pairs.from_table(pa.table(table))


def sound_collection() -> Collection:
    """Ten documents, each with a training and a test query of its own words, and nothing wrong but
    that splits share documents.
    """
    documents = {
        f"d{i}": " ".join(f"word{i}{letter} filler{i}{letter}" for letter in "abcdefghijkl") + "."
        for i in range(10)
    }
    asked = {
        f"q{i}": f"where is word{i}a with word{i}{letter}?"
        for i, letter in zip(range(10), "bcdefghijk", strict=True)
    }
    judgements = [(f"q{i}", f"d{i}", 1, "train" if i < 5 else "test") for i in range(10)]
    return small_collection(documents, asked, judgements)
