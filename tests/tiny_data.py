"""A tiny collection on which a whole tuning run takes seconds."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from nearfield.data.collection import Collection
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
