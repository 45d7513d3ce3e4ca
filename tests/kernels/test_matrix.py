"""Products, normalisation and attention beside numpy in float64, on each level that this processor runs."""

from __future__ import annotations

import ctypes
import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfield.kernels.layout import MatrixLayout, ModelLayout, NormLayout
from nearfield.kernels.library import Kernels, kernels, runnable

pytestmark = pytest.mark.skipif(not runnable(), reason="the kernels are not compiled here")

STORE, ADD, GELU, GELU_TANH, RELU, SILU = range(6)
levels = st.sampled_from(runnable() or ("none",))
Floats = npt.NDArray[np.float32]


def random(generator: np.random.Generator, *shape: int) -> Floats:
    return generator.standard_normal(shape).astype(np.float32)


def finished(finish: int, x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    erf = np.vectorize(math.erf)
    match finish:
        case 2:
            return 0.5 * x * (1 + erf(x / math.sqrt(2)))
        case 3:
            return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
        case 4:
            return np.maximum(x, 0)
        case 5:
            return x / (1 + np.exp(-x))
    return x


def matrix_of(own: Kernels, weight: Floats, bias: Floats) -> tuple[MatrixLayout, list[Floats]]:
    rows, columns = weight.shape
    panels, padded = np.zeros(own.padded(rows) * columns, np.float32), np.zeros(own.padded(rows), np.float32)
    padded[:rows] = bias
    own.call("pack", weight, rows, columns, 0, panels)
    return MatrixLayout(kind=0, rows=rows, columns=columns, panels=panels.ctypes.data, bias=padded.ctypes.data), [panels, padded]


@given(levels, st.integers(1, 40), st.integers(1, 70), st.integers(1, 900), st.integers(0, 5), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_products(level: str, count: int, rows: int, columns: int, finish: int, seed: int) -> None:
    own, generator = kernels(level), np.random.default_rng(seed)
    weight, bias, inputs = random(generator, rows, columns), random(generator, rows), random(generator, count, columns)
    matrix, _kept = matrix_of(own, weight, bias)
    out = random(generator, count, own.padded(rows))
    wanted = inputs.astype(np.float64) @ weight.T.astype(np.float64) + (out[:, :rows] if finish == ADD else bias)
    span = np.array([0, rows, 0, columns], np.int64)
    own.call("multiply", ctypes.addressof(matrix), span, inputs, columns, count, out, out.shape[1], finish)
    np.testing.assert_allclose(out[:, :rows], finished(finish, wanted), atol=2e-6 * math.sqrt(columns) * 4, rtol=2e-6)


@given(levels, st.integers(0, 3), st.integers(1, 60), st.integers(1, 40), st.integers(1, 50))
@settings(max_examples=20, deadline=None)
def test_parts_of_a_product(level: str, first_panel: int, rows: int, before: int, inputs: int) -> None:
    own, generator = kernels(level), np.random.default_rng(rows)
    from_row, columns = first_panel * own.panel, before + inputs + 3
    weight, given_in = random(generator, from_row + rows, columns), random(generator, 5, inputs)
    matrix, _kept = matrix_of(own, weight, np.zeros(from_row + rows, np.float32))
    out = np.zeros((5, own.padded(rows)), np.float32)
    span = np.array([from_row, from_row + rows, before, before + inputs], np.int64)
    own.call("multiply", ctypes.addressof(matrix), span, given_in, inputs, 5, out, out.shape[1], STORE)
    np.testing.assert_allclose(out[:, :rows], given_in @ weight[from_row:, before : before + inputs].T, atol=1e-4)


@pytest.mark.parametrize("level", runnable())
@pytest.mark.parametrize("finish", [GELU, GELU_TANH, SILU])
def test_activations_are_exact(level: str, finish: int) -> None:
    own = kernels(level)
    matrix, _kept = matrix_of(own, np.ones((1, 1), np.float32), np.zeros(1, np.float32))
    x = np.linspace(-30, 30, 20_001, dtype=np.float32)[:, None]
    out = np.zeros((len(x), own.panel), np.float32)
    own.call("multiply", ctypes.addressof(matrix), np.array([0, 1, 0, 1]), x, 1, len(x), out, own.panel, finish)
    wanted = finished(finish, x.astype(np.float64))
    assert np.abs(out[:, :1] - wanted).max() < 4e-6
    near = np.abs(x) < 6
    assert np.abs(out[:, :1] - wanted)[near].max() < 1e-6


@given(levels, st.integers(1, 9), st.integers(1, 100), st.booleans(), st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_normalised_rows(level: str, count: int, width: int, with_bias: bool, seed: int) -> None:
    own, generator = kernels(level), np.random.default_rng(seed)
    rows, bias = random(generator, count, width) * 3 + 1, random(generator, width)
    weight, shift = random(generator, width), random(generator, width)
    norm = NormLayout(weight=weight.ctypes.data, bias=shift.ctypes.data)
    x = rows.astype(np.float64) + (bias if with_bias else 0)
    wanted = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5) * weight + shift
    own.call("normalise_rows", rows, width, count, width, bias if with_bias else None, ctypes.addressof(norm), 1e-5, rows, width)
    np.testing.assert_allclose(rows, wanted, atol=1e-4)


@given(levels, st.integers(1, 120), st.sampled_from([1, 3, 8, 32, 40]), st.integers(1, 3), st.booleans(), st.floats(0.1, 30))
@settings(max_examples=30, deadline=None)
def test_attention(level: str, length: int, wide: int, heads: int, biased: bool, spread: float) -> None:
    own, generator, reach = kernels(level), np.random.default_rng(length), 130
    hidden = wide * heads
    projected = random(generator, length, 3 * hidden)
    projected[:, : 2 * hidden] *= spread
    by_distance = random(generator, heads, 2 * reach - 1)
    distances = np.concatenate([by_distance.ravel(), np.zeros(own.panel, np.float32)])
    model = ModelLayout(hidden=hidden, heads=heads, reach=reach, distances=distances.ctypes.data if biased else None)
    q, k, v = (part.reshape(length, heads, wide).transpose(1, 0, 2).astype(np.float64) for part in np.split(projected, 3, axis=1))
    scores = q @ k.transpose(0, 2, 1) / math.sqrt(wide)
    if biased:
        scores += by_distance[:, np.arange(length)[None, :] - np.arange(length)[:, None] + reach - 1]
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    wanted = (weights / weights.sum(-1, keepdims=True)) @ v
    scratch = np.empty(own.call("attention_scratch", ctypes.addressof(model), length), np.float32)
    own.call("attend", ctypes.addressof(model), projected, 3 * hidden, length, np.array([0, length]), scratch)
    got = projected[:, :hidden].reshape(length, heads, wide).transpose(1, 0, 2)
    np.testing.assert_allclose(got, wanted, atol=2e-5 * max(1.0, spread * spread))
