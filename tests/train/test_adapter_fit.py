from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.linalg import expm

from nearfield.errors import CollectionError, InputError
from nearfield.models.vector_map import KINDS, VectorMap
from nearfield.train.fits import adapter
from nearfield.train.fits.adapter import AdapterData, AdapterRecipe, fit_adapter

RECIPE = AdapterRecipe(temperature=0.05, width=8, epochs=20, batch=32, rate=1e-2)


def turned(rows: int = 120, dim: int = 16, *, seed: int = 0) -> AdapterData:
    """Each query is its document turned by one rotation, which an adapter has to undo."""
    generator = np.random.default_rng(seed)
    document = generator.normal(size=(rows, dim)).astype(np.float32)
    document /= np.linalg.norm(document, axis=1, keepdims=True)
    skew = generator.normal(size=(dim, dim)) / dim**0.5
    turn = expm(skew - skew.T)
    return AdapterData(
        (document @ turn).astype(np.float32), document, [[row] for row in range(rows)]
    )


def found_first(data: AdapterData, vector_map: VectorMap) -> float:
    scores = vector_map.apply_to(data.query) @ data.document.T
    return float((scores.argmax(1) == np.arange(len(scores))).mean())


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_a_rotation_on_queries_that_it_has_not_seen(kind: str) -> None:
    data = turned()
    trained = fit_adapter(
        AdapterData(data.query[:90], data.document[:90], data.relevant[:90]),
        replace(RECIPE, kind=kind, width=16),
    )
    before, after = (
        found @ data.document.T for found in (data.query[90:], trained.apply_to(data.query[90:]))
    )
    assert (before.argmax(1) == np.arange(90, 120)).mean() < 0.5
    assert (after.argmax(1) == np.arange(90, 120)).mean() > 0.9


def test_the_same_seed_gives_the_same_map_and_the_global_generator_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    first, second = (fit_adapter(turned(40), RECIPE) for _ in range(2))
    for name, weight in first.state_dict().items():
        assert torch.equal(weight, second.state_dict()[name])
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_epoch_that_measures_best_is_kept_and_the_identity_is_one_of_them() -> None:
    data, seen = turned(40), list[float]()

    def falling(vector_map: VectorMap) -> float:
        seen.append(-float(len(seen)))
        return seen[-1]

    kept = fit_adapter(data, RECIPE, measure=falling)
    assert len(seen) == RECIPE.epochs + 1
    np.testing.assert_allclose(kept.apply_to(data.query), data.query, atol=1e-6)


def test_other_positives_of_a_query_are_not_pushed_away() -> None:
    generator = np.random.default_rng(0)
    # each text twice, both relevant
    document = np.repeat(generator.normal(size=(20, 8)), 2, axis=0).astype(np.float32)
    document /= np.linalg.norm(document, axis=1, keepdims=True)
    data = AdapterData(
        document[::2].copy(), document, [[2 * row, 2 * row + 1] for row in range(20)]
    )
    losses: list[str] = []
    fit_adapter(
        data,
        replace(RECIPE, temperature=0.01, epochs=1, rate=1e-6),
        progress=lambda done, of, note="": losses.append(note),
    )
    assert losses == ["loss 0.000"]  # a copy taken as a negative would make it ln 2


def test_more_documents_than_a_step_compares_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "NEGATIVES", 30)
    assert found_first(turned(), fit_adapter(turned(), replace(RECIPE, kind="linear"))) > 0.9


def test_what_cannot_be_learned_from_is_an_error() -> None:
    data = turned(10)
    with pytest.raises(CollectionError, match="no query has a relevant document"):
        fit_adapter(replace(data, relevant=[[] for _ in range(10)]), RECIPE)
    with pytest.raises(InputError, match="16 dimensions and documents 4"):
        fit_adapter(replace(data, document=data.document[:, :4]), RECIPE)
