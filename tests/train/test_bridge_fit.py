from __future__ import annotations

import numpy as np
import pytest
import torch

from nearfield.errors import InputError
from nearfield.train.fits.bridge import BridgeRecipe, fit_bridge


def spaces(rows: int, *, bend: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two views of the same hidden causes: a linear one (rows, 12) and one of (rows, 20), bent as
    much as `bend` says.
    """
    generator = np.random.default_rng(0)
    mix, other = generator.normal(size=(8, 12)), generator.normal(size=(8, 20))
    causes = np.random.default_rng(seed).normal(size=(rows, 8))
    old, new = causes @ mix + 1.0, causes @ other
    new = new + bend * np.abs(new) - 0.5
    return tuple(
        (side / np.linalg.norm(side, axis=1, keepdims=True)).astype(np.float32)
        for side in (old, new)
    )


def mean_cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum(1).mean())


def test_a_linear_bridge_is_ridge_regression() -> None:
    old, new = spaces(400, bend=0)
    bridge = fit_bridge(old, new, BridgeRecipe(width=0)).linear
    assert bridge.config.kind == "linear"
    used = np.sort(np.random.default_rng(0).permutation(400)[40:])
    errors = []
    for strength in (1e-4, 1e-3, 1e-2, 1e-1, 1.0):
        x, y = old[used].astype(np.float64), new[used].astype(np.float64)
        centred = x - x.mean(0)
        size = strength * (centred**2).sum() / 12
        stacked = (
            np.concatenate([centred, np.sqrt(size) * np.eye(12)]),
            np.concatenate([y - y.mean(0), np.zeros((12, 20))]),
        )
        weight = np.linalg.lstsq(*stacked, rcond=None)[0].T
        errors.append(np.abs(weight - bridge.weight.detach().numpy()).max())
    assert min(errors) < 1e-4


def test_unseen_texts_are_carried_over_and_a_bent_space_wants_the_hidden_layer() -> None:
    old, new = spaces(1200, bend=0.8)
    unseen_old, unseen_new = spaces(300, bend=0.8, seed=1)
    fit = fit_bridge(old, new, BridgeRecipe(width=64, epochs=30, rate=3e-3))
    linear, bent = fit.linear, fit.bent
    np.testing.assert_array_equal(
        fit_bridge(old, new, BridgeRecipe(width=0)).at(0.0).apply_to(old), linear.apply_to(old)
    )
    np.testing.assert_array_equal(fit.at(1.0).apply_to(old), bent.apply_to(old))
    half = fit.at(0.5)
    torch.testing.assert_close(half.weight, (linear.weight + bent.weight) / 2)
    torch.testing.assert_close(half.up, bent.up / 2)
    assert bent.config.kind == "mlp"
    assert (
        mean_cosine(bent.apply_to(unseen_old), unseen_new)
        > mean_cosine(linear.apply_to(unseen_old), unseen_new)
        > 0.6
    )


def test_a_hidden_layer_that_does_not_help_is_left_out() -> None:
    old, _ = spaces(200, bend=0)
    fit = fit_bridge(old, old, BridgeRecipe(width=8, epochs=1, rate=10.0))
    assert fit.closeness(0.0) >= fit.closeness(1.0)


def test_the_same_seed_gives_the_same_bridge_and_the_global_generator_is_left_alone() -> None:
    old, new = spaces(100, bend=0.5)
    before = torch.random.get_rng_state()
    first, second = (fit_bridge(old, new, BridgeRecipe(width=8, epochs=2)) for _ in range(2))
    np.testing.assert_array_equal(first.bent.apply_to(old), second.bent.apply_to(old))
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(("a", "b"), [(10, 10), (50, 49)])
def test_too_few_rows_or_unequal_numbers_are_an_error(a: int, b: int) -> None:
    with pytest.raises(InputError, match=f"{a} old and {b} new vectors"):
        fit_bridge(np.ones((a, 3), np.float32), np.ones((b, 3), np.float32))
