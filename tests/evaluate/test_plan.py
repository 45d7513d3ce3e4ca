"""A plan: what is stored is counted, what is measured is scaled, what an API takes is its card's."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearfield.encoders.load import load
from nearfield.encoders.remote.counting import estimated
from nearfield.errors import InputError
from nearfield.evaluate.analysis.plan import plan
from nearfield.types.evaluation.plan import Load
from tiny import tiny_model
from tiny_data import tiny_collection


def test_a_local_model_and_one_behind_an_api_side_by_side(tmp_path: Path) -> None:
    folder, collection = tiny_model(tmp_path / "tiny"), tiny_collection()
    want = Load(10_000_000, queries=2_000.0, hour=0.5)
    here, away = plan([str(folder), "openai:text-embedding-3-small"], collection, want)
    dim = load(folder).contract.dim
    # 4 bytes x dims x vectors
    assert here.bytes["float32"] == 4 * dim * 10_000_000
    assert here.bytes["binary"] == dim / 8 * 10_000_000
    assert here.documents_per_second
    assert here.query_milliseconds
    assert here.hours == pytest.approx(10_000_000 / here.documents_per_second / 3600)
    assert here.dollars == pytest.approx(here.hours * 0.5)
    assert here.machines
    assert (here.machines - 1) * 1000 < 2_000 * here.query_milliseconds <= here.machines * 1000
    assert here.dollars_a_month == pytest.approx(here.machines * 0.5 * 720)
    texts = collection.document_texts
    tokens = sum(map(estimated, texts)) / len(texts)
    assert away.bytes["float32"] == 4 * 1536 * 10_000_000
    assert away.tokens == pytest.approx(tokens * 10_000_000)
    assert away.dollars == pytest.approx(away.tokens * 0.02 / 1e6)
    assert (away.hours, away.machines) == (None, None)


@pytest.mark.parametrize("load", [Load(0), Load(1, queries=0.0), Load(1, hour=float("nan"))])
def test_a_load_of_nothing(load: Load) -> None:
    with pytest.raises(InputError, match="wanted numbers above 0"):
        plan(["minilm"], ["a text"], load)


def test_what_cannot_be_planned() -> None:
    want = Load(1_000)
    with pytest.raises(InputError, match="its dimensions are not known; say them, as openai:new@"):
        plan(["openai:new"], ["a text"], want)
    (found,) = plan(["openai:new@dim=512"], ["a text"], want)
    assert found.bytes["float32"] == 4 * 512 * 1_000
    with pytest.raises(InputError, match="bm25 makes no vectors"):
        plan(["bm25"], ["a text"], want)
