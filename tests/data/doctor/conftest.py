"""Small collections and pairs, and faults planted in copies of real ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from nearfield.data.collection import Collection
from nearfield.data.doctor.examine import examine
from nearfield.data.pairs import Pairs
from nearfield.types.finding import Finding
from tiny_data import small_collection, small_pairs, sound_collection

Judgement = tuple[str, str, int, str]
MakeCollection = Callable[[Mapping[str, str], Mapping[str, str], Sequence[Judgement]], Collection]


@pytest.fixture(scope="session")
def make_collection() -> MakeCollection:
    """A collection of {id: text}, {id: text} and (query, document, relevance, split)."""
    return small_collection


@pytest.fixture(scope="session")
def make_pairs() -> Callable[..., Pairs]:
    """Pairs of (query, positive) rows, with negatives or scores."""
    return small_pairs


@pytest.fixture(scope="session")
def findings() -> Callable[..., dict[str, Finding]]:
    """The findings by the name of their check."""

    def run(data: Collection | Pairs, **options: object) -> dict[str, Finding]:
        found = examine(data, **options)  # type: ignore[arg-type]
        # all of these are small
        return {finding.check: finding for finding in found if finding.check != "small-splits"}

    return run


@pytest.fixture
def sound() -> Collection:
    """Ten documents, each with a training and a test query of its own words, and nothing wrong but
    that splits share documents.
    """
    return sound_collection()
