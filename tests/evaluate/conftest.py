"""A small collection and a small real encoder, so that evaluation is tested without a downloaded
model.
"""

from __future__ import annotations

import re
import warnings
import zlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from nearfield.data.collection import Collection, Split
from nearfield.encoders.encoder import Encoder
from nearfield.errors import TruncationWarning
from nearfield.similarity.dense import Dense
from nearfield.similarity.functions import unit
from nearfield.types.contract import Contract
from nearfield.types.progress import Progress, silent
from nearfield.types.role import Role
from nearfield.types.usage import Usage

WORDS = 400
TOPICS = 40


class BagOfWords(Encoder):
    """Each word's random vector, by its hash; a text is the sum of its first `max_tokens` words'
    vectors.
    """

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.calls: list[tuple[str, int]] = []

    def encode_as(self, role: Role, items: Sequence[str], *, progress: Progress = silent) -> Dense:
        self.calls.append((role, len(items)))
        rows = np.zeros((len(items), self.contract.dim), np.float32)
        lost: list[int] = []
        read = 0
        for row, text in enumerate(items):
            words = re.findall(r"\w+", self.contract.prompt(role) + text)
            lost.append(max(0, len(words) - self.contract.max_tokens))
            read += len(words) - lost[-1]
            for word in words[: self.contract.max_tokens]:
                rows[row] += np.random.default_rng(zlib.crc32(word.encode())).normal(
                    size=self.contract.dim
                )
            progress(row + 1, len(items))
        vectors = unit(rows) if self.contract.normalise else rows
        usage = Usage(
            len(items),
            tokens=read,
            truncated=sum(number > 0 for number in lost),
            tokens_lost=sum(lost),
        )
        if usage.truncated:
            warnings.warn(
                f"{usage.truncated} texts were longer than {self.contract.max_tokens} words",
                TruncationWarning,
                stacklevel=2,
            )
        return Dense(
            vectors,
            self.contract.dim,
            similarity=self.contract.similarity,
            normalise=self.contract.normalise,
            usage=usage,
        )


@pytest.fixture
def bag() -> BagOfWords:
    return BagOfWords(Contract("bag", dim=64, max_tokens=100, matryoshka_dims=(32, 64)))


@pytest.fixture
def short_sighted() -> BagOfWords:
    return BagOfWords(Contract("short", dim=64, max_tokens=15))


@pytest.fixture
def unnormalised() -> BagOfWords:
    return BagOfWords(Contract("long", dim=64, max_tokens=100, similarity="dot", normalise=False))


@pytest.fixture(scope="session")
def split() -> Split:
    """80 queries of six words from their topic; a topic's five documents, of graded relevance,
    share some of the words.
    """
    random = np.random.default_rng(7)
    topics = random.integers(0, WORDS, (TOPICS, 12))
    documents, queries, judgements = [], [], []
    for topic, words in enumerate(topics):
        for part in range(5):
            chosen = [*random.choice(words, 6 - part), *random.integers(0, WORDS, 2 + 4 * part)]
            name = f"d{topic}-{part}"
            documents.append(
                {
                    "id": name,
                    "title": "",
                    "text": " ".join(f"w{word}" for word in chosen),
                    "group": "",
                }
            )
        for number in range(2):
            name = f"q{topic}-{number}"
            queries.append(
                {
                    "id": name,
                    "text": " ".join(f"w{word}" for word in random.choice(words, 6)),
                    "group": "",
                }
            )
            grades = [(f"d{topic}-{part}", grade) for part, grade in enumerate((2, 1, 1, 0))]
            judgements += [
                {"query": name, "document": document, "relevance": grade, "split": "test"}
                for document, grade in grades
            ]
    tables = (pa.Table.from_pylist(rows) for rows in (documents, queries, judgements))
    return Collection("topics", *tables).split("test")
