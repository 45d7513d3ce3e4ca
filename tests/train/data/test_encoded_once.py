"""Documents are encoded once while the weights stay, and what comes of them is what the encoder
gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nearfield.encoders.encoder import Encoder
from nearfield.encoders.text import TextEncoder
from nearfield.similarity.embeddings import Embeddings
from nearfield.train.data.encoded_once import EncodedOnce
from nearfield.types.progress import Progress, silent
from sparse_models import tiny_splade
from tiny import tiny_model

TEXTS = ["cat dog", "law", "", "cat dog song the " * 30, "law", "music of the cat"]


class Counted(Encoder[Any]):
    """An encoder that counts what it is asked for."""

    def __init__(self, encoder: Encoder[Any]) -> None:
        self.encoder, self.contract = encoder, encoder.contract
        self.asked: list[str] = []

    def encode_as(
        self, role: str, items: Sequence[str], *, progress: Progress = silent
    ) -> Embeddings:
        self.asked += items
        found: Embeddings = self.encoder.encode(items, role, progress=progress)
        return found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", [tiny_model, tiny_splade])
def test_each_document_is_encoded_once(make: Any, tmp_path: Path) -> None:
    counted = Counted(TextEncoder.open(make(tmp_path / "model")))
    once = EncodedOnce(counted)
    for chosen in (TEXTS[:3], TEXTS, TEXTS[::-1]):
        found, wanted = once.encode(chosen, "document"), counted.encoder.encode(chosen, "document")
        assert np.abs(found.scores(wanted) - wanted.scores(wanted)).max() < 1e-5
        assert np.array_equal(found.counts, wanted.counts)
        for name in (
            "items",
            "tokens",
            "truncated",
            "tokens_lost",
            "prompt_tokens",
            "nothing_known",
        ):
            assert getattr(found.usage, name) == getattr(wanted.usage, name)
        assert found.usage.seconds > 0
    assert sorted(counted.asked) == sorted(set(TEXTS))
    other = once.handed_to(counted)
    other.encode([*TEXTS, "new"], "document")
    assert counted.asked[-1] == "new"
    assert len(counted.asked) == len(set(TEXTS)) + 1
    once.forget()
    once.encode(TEXTS[:1], "document")
    assert counted.asked[-1] == TEXTS[0]
    for _ in range(2):
        once.encode(["law"], "query")
    assert counted.asked[-2:] == ["law", "law"]
