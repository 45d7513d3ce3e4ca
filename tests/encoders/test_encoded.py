"""Nothing is encoded twice: what comes from the cache is what encoding makes, and a second search
and a second evaluation ask the model for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from counting import Counting, CountingFused, CountingTerms, CountingTokens
from nearfield.data.collection import Collection
from nearfield.encoders.encoded import FIRST, encoded, seconds_alone
from nearfield.encoders.text import TextEncoder
from nearfield.errors import TruncationWarning
from nearfield.evaluate.compare import compare
from nearfield.retrieval.searchable import index
from nearfield.runtimes.options import OpenOptions
from tiny import tiny_model
from tiny_data import tiny_collection

TEXTS = [f"text {at % 30}" for at in range(40)]


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEARFIELD_HOME", str(tmp_path / "home"))


def flat(encoder: Counting) -> list[str]:
    return [text for call in encoder.asked for text in call]


def evaluated(model: str, data: Collection) -> Any:
    (row,) = (row for row in compare([model], data).rows if row.model != "bm25")
    return row


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each text that a TextEncoder runs."""
    seen: list[str] = []
    plain = TextEncoder.encode_as

    def noting(self: Any, role: str, items: Sequence[str], **options: Any) -> Any:
        seen.extend(items)
        return plain(self, role, items, **options)

    monkeypatch.setattr(TextEncoder, "encode_as", noting)
    return seen


@pytest.mark.parametrize("kind", [Counting, CountingTerms, CountingTokens, CountingFused])
def test_what_is_kept_is_what_encoding_makes(kind: type[Counting]) -> None:
    encoder = kind()
    plain = encoder.encode(TEXTS, "document")
    encoder.asked.clear()
    first = encoded(encoder, TEXTS, "document")
    assert flat(encoder) == TEXTS[:30], "each different text once"
    encoder.asked.clear()
    second = encoded(encoder, TEXTS[::-1], "document")
    assert not any(encoder.asked)
    for made, wanted in ((first, plain), (second, plain[np.arange(len(TEXTS))[::-1]])):
        assert list(made.records()) == list(wanted.records())
        np.testing.assert_array_equal(made.counts, wanted.counts)
    assert second.usage.tokens == plain.usage.tokens
    encoded(encoder, TEXTS, "query")
    assert flat(encoder) == TEXTS[:30], "a query is no document"


def test_what_was_cut_is_said_again() -> None:
    encoder = Counting()
    for _ in range(2):
        with pytest.warns(TruncationWarning, match="1 of 2 texts were longer and lost 10 tokens"):
            encoded(encoder, ["short", "l" * 30], "document")
    assert flat(encoder) == ["short", "l" * 30]


class Stopping(Counting):
    """Fails at its call number `at`."""

    at = 2

    def encode_as(self, role: str, items: Sequence[str], **options: Any) -> Any:
        if len(self.asked) == self.at:
            raise KeyboardInterrupt
        return super().encode_as(role, items, **options)


def test_a_stop_loses_only_what_was_not_saved() -> None:
    texts = [f"text {at}" for at in range(8 * FIRST)]
    broken, again = Stopping(), Counting()
    with pytest.raises(KeyboardInterrupt):
        encoded(broken, texts, "document")
    saved = flat(broken)
    assert len(saved) == 5 * FIRST, "the first piece, and one of four times as many"
    made = encoded(again, texts, "document")
    assert flat(again) == texts[len(saved) :]
    plain = again.encode(texts, "document")
    assert list(made.records()) == list(plain.records())


def test_changed_weights_are_not_read_from_the_cache(tmp_path: Path) -> None:
    encoder = TextEncoder.open(tiny_model(tmp_path / "model"), OpenOptions(runtime="torch"))
    before = encoded(encoder, TEXTS, "document").as_dense("a test").floats()
    assert encoder.facts("document") is not None
    weights = list(encoder.runtime.model.parameters().values())
    for weight in weights:
        weight.requires_grad_(True)
        weight.grad = torch.ones_like(weight)
    # writes that torch does not count in the tensors' versions
    torch.optim.AdamW(weights, lr=0.1, fused=True).step()
    assert encoder.facts("document") is None
    with torch.no_grad():
        after = encoded(encoder, TEXTS, "document").as_dense("a test").floats()
        plain = encoder.encode(TEXTS, "document").floats()
    np.testing.assert_allclose(after, plain, atol=1e-6)
    assert np.abs(after - before).max() > 1e-3


def test_the_time_of_a_text_alone_is_measured_once() -> None:
    encoder = Counting()
    first = seconds_alone(encoder, TEXTS[:5], "query")
    asked = len(encoder.asked)
    np.testing.assert_array_equal(seconds_alone(encoder, TEXTS[:5], "query"), first)
    assert (first > 0).all()
    assert len(encoder.asked) == asked == 1 + 5, "one that is not timed, and each by itself"


def test_a_second_search_and_a_second_evaluation_encode_nothing(
    tmp_path: Path, passes: list[str]
) -> None:
    model, data = str(tiny_model(tmp_path / "model")), tiny_collection()
    hits = index(model, data).search(data.query_texts[0])
    assert passes
    passes.clear()
    assert index(model, data).search(data.query_texts[0]) == hits
    assert not passes
    row = evaluated(model, data)
    assert passes
    passes.clear()
    again = evaluated(model, data)
    assert not passes
    assert again.per_query == row.per_query
    assert again.documents_per_second == row.documents_per_second, "what making them took"
