"""Small collections and pairs, and faults planted in copies of real ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa
import pytest

from nearfield.data.collection import Collection
from nearfield.data.doctor.examine import examine
from nearfield.data.pairs import Pairs
from nearfield.types.finding import Finding

Judgement = tuple[str, str, int, str]
MakeCollection = Callable[[Mapping[str, str], Mapping[str, str], Sequence[Judgement]], Collection]


def _collection(
    documents: Mapping[str, str], queries: Mapping[str, str], judgements: Sequence[Judgement]
) -> Collection:
    columns = list(zip(*judgements, strict=True)) or [(), (), (), ()]
    return Collection(
        "small",
        pa.table(
            {
                "id": [*documents],
                "title": [""] * len(documents),
                "text": [*documents.values()],
                "group": [""] * len(documents),
            }
        ),
        pa.table({"id": [*queries], "text": [*queries.values()], "group": [""] * len(queries)}),
        pa.table(
            {
                name: pa.array(column, kind)
                for name, column, kind in zip(
                    ("query", "document", "relevance", "split"),
                    columns,
                    (pa.string(), pa.string(), pa.int32(), pa.string()),
                    strict=True,
                )
            }
        ),
    )


@pytest.fixture(scope="session")
def make_collection() -> MakeCollection:
    """A collection of {id: text}, {id: text} and (query, document, relevance, split)."""
    return _collection


@pytest.fixture(scope="session")
def make_pairs() -> Callable[..., Pairs]:
    """Pairs of (query, positive) rows, with negatives or scores."""

    def make(
        rows: Sequence[tuple[str, str]],
        *,
        negatives: Sequence[Sequence[str]] | None = None,
        scores: Sequence[float] | None = None,
    ) -> Pairs:
        table = {
            "query": [query for query, _ in rows],
            "positive": [positive for _, positive in rows],
        }
        table |= (
            {} if negatives is None else {"negatives": pa.array(negatives, pa.list_(pa.string()))}
        )
        table |= {} if scores is None else {"score": pa.array(scores, pa.float64())}
        return Pairs.from_table(pa.table(table))

    return make


@pytest.fixture(scope="session")
def findings() -> Callable[..., dict[str, Finding]]:
    """The findings by the name of their check."""

    def run(data: Collection | Pairs, **options: object) -> dict[str, Finding]:
        found = examine(data, **options)  # type: ignore[arg-type]
        # all of these are small
        return {finding.check: finding for finding in found if finding.check != "small-splits"}

    return run


@pytest.fixture
def sound(make_collection: MakeCollection) -> Collection:
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
    return make_collection(
        documents, asked, [(f"q{i}", f"d{i}", 1, "train" if i < 5 else "test") for i in range(10)]
    )
