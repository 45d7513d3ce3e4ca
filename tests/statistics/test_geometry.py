"""Figures of vectors against closed forms and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import skew

from nearfield.similarity.functions import unit
from nearfield.statistics import geometry


def cloud(n: int = 300, dim: int = 64) -> np.ndarray:
    return unit(np.random.default_rng(0).standard_normal((n, dim)).astype(np.float32))


def test_alignment_is_the_mean_squared_distance() -> None:
    vectors = cloud(6)
    assert geometry.alignment(vectors, vectors) == 0
    assert geometry.alignment(vectors, -vectors) == pytest.approx(4)
    expected = np.mean(
        [np.linalg.norm(a - b) ** 2 for a, b in zip(vectors[:3], vectors[3:], strict=True)]
    )
    assert geometry.alignment(vectors[:3], vectors[3:]) == pytest.approx(expected, rel=1e-5)


def test_uniformity_by_a_plain_loop() -> None:
    vectors = cloud(9)
    pairs = [(a, b) for at, a in enumerate(vectors) for b in vectors[at + 1 :]]
    expected = np.log(np.mean([np.exp(-2 * np.linalg.norm(a - b) ** 2) for a, b in pairs]))
    assert geometry.uniformity(vectors @ vectors.T) == pytest.approx(expected, rel=1e-4)
    two = np.array([[1.0, 0.0], [-1.0, 0.0]], np.float32)
    assert geometry.uniformity(two @ two.T) == pytest.approx(-8)


def test_anisotropy_sees_a_common_direction() -> None:
    vectors = cloud()
    assert geometry.anisotropy(vectors @ vectors.T) == pytest.approx(0, abs=0.01)
    shifted = unit(vectors + np.full(64, 0.5, np.float32))
    assert geometry.anisotropy(shifted @ shifted.T) > 0.8


def test_effective_rank_counts_directions() -> None:
    assert geometry.effective_rank(np.eye(12, dtype=np.float32)) == pytest.approx(12)
    flat = np.repeat(np.eye(3, 20, dtype=np.float32), 5, axis=0)
    assert geometry.effective_rank(flat) == pytest.approx(3)
    assert geometry.effective_rank(flat[:1]) == pytest.approx(1)


def test_neighbours_and_hubs() -> None:
    vectors = cloud(40, 5)
    products = vectors @ vectors.T
    near = geometry.nearest_neighbours(products, 4)
    for row, found in enumerate(near):
        others = [at for at in np.argsort(-products[row]) if at != row]
        assert set(found.tolist()) == set(others[:4])
    counts = np.bincount(near.ravel(), minlength=40)
    assert geometry.hubness(near) == pytest.approx(skew(counts))
    assert geometry.hubness(np.array([[1], [2], [0]])) == 0
    assert geometry.in_common(near, near[:, ::-1]) == 1
    assert geometry.in_common(np.array([[1, 2]]), np.array([[2, 3]])) == 0.5
