"""Products, normalisation and attention beside numpy in float64, on each level that this processor
runs.
"""

from __future__ import annotations

import ctypes
import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfield.kernels.layout import ModelLayout, NormLayout, SlopeLayout
from nearfield.kernels.library import Kernels, kernels, runnable
from nearfield.kernels.matrix import PRECISIONS, SLICE, Matrix, Turned

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


def product(
    own: Kernels,
    matrix: Matrix,
    inputs: Floats,
    out: Floats,
    *,
    span: tuple[int, ...] = (),
    finish: int = STORE,
) -> None:
    """`out` becomes the product of `inputs` with the part `span` of `matrix`, by default with all
    of it.
    """
    layout = matrix.layout
    span = span or (0, layout.rows, 0, layout.columns)
    count, depth = inputs.shape
    room = np.empty(count * (own.padded(depth) + 2), np.float32)
    own.call(
        "product",
        ctypes.addressof(layout),
        np.array(span, np.int64),
        inputs,
        depth,
        count,
        room,
        out,
        out.shape[1],
        finish,
    )


def bfloat16(x: Floats) -> Floats:
    """Rounded to bfloat16, ties to even."""
    bits = x.view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & np.uint32(0xFFFF0000)).view(np.float32)


def eight_bits_by_row(weight: Floats) -> npt.NDArray[np.float64]:
    """What is left of weights that are whole numbers up to 127 times a scale of their row."""
    most = np.abs(weight).max(1, keepdims=True)
    scale = np.where(most > 0, most / np.float32(127), np.float32(1)).astype(np.float32)
    return np.rint(weight / scale).astype(np.float64) * scale


def eight_bits_by_token(x: Floats) -> npt.NDArray[np.float64]:
    """What is left of inputs that are whole numbers from 0 to 255 between a row's least and
    greatest.
    """
    least, most = x.min(1, keepdims=True), x.max(1, keepdims=True)
    scale = np.where(most > least, (most - least) / np.float32(255), np.float32(1)).astype(
        np.float32
    )
    return (
        np.clip(np.rint((x - least) * (np.float32(1) / scale)), 0, 255).astype(np.float64) * scale
        + least
    )


@given(
    levels,
    st.integers(1, 40),
    st.integers(1, 70),
    st.integers(1, 900),
    st.integers(0, 5),
    st.integers(0, 2**31),
)
@settings(max_examples=60)
def test_products(level: str, count: int, rows: int, columns: int, finish: int, seed: int) -> None:
    own, generator = kernels(level), np.random.default_rng(seed)
    weight, bias, inputs = (
        random(generator, rows, columns),
        random(generator, rows),
        random(generator, count, columns),
    )
    out = random(generator, count, own.padded(rows))
    wanted = inputs.astype(np.float64) @ weight.T.astype(np.float64) + (
        out[:, :rows] if finish == ADD else bias
    )
    product(own, Matrix(own, [weight], [bias]), inputs, out, finish=finish)
    np.testing.assert_allclose(
        out[:, :rows], finished(finish, wanted), atol=2e-6 * math.sqrt(columns) * 4, rtol=2e-6
    )


@given(
    levels,
    st.sampled_from(["bfloat16", "int8"]),
    st.integers(1, 20),
    st.integers(1, 70),
    st.integers(1, 900),
    st.integers(0, 2**31),
)
@settings(max_examples=60)
def test_products_of_lower_precision(
    level: str, precision: str, count: int, rows: int, columns: int, seed: int
) -> None:
    own, generator = kernels(level), np.random.default_rng(seed)
    weight, bias, inputs = (
        random(generator, rows, columns),
        random(generator, rows),
        random(generator, count, columns) * 3 + 1,
    )
    inputs[0] = 2.5  # all equal: nothing between the least and the greatest
    weight[0] = 0.0
    if precision == "bfloat16":
        wanted = bfloat16(inputs).astype(np.float64) @ bfloat16(weight).astype(np.float64).T + bias
    else:
        wanted = eight_bits_by_token(inputs) @ eight_bits_by_row(weight).T + bias
    out = np.zeros((count, own.padded(rows)), np.float32)
    product(own, Matrix(own, [weight], [bias], precision=precision), inputs, out)
    np.testing.assert_allclose(out[:, :rows], wanted, atol=1e-5 * math.sqrt(columns) * 4, rtol=1e-5)


@given(
    levels,
    st.sampled_from(PRECISIONS),
    st.integers(0, 3),
    st.integers(1, 60),
    st.integers(0, 2),
    st.integers(1, 500),
)
@settings(max_examples=30)
def test_parts_of_a_product(
    level: str, precision: str, first_panel: int, rows: int, slices: int, depth: int
) -> None:
    own, generator = kernels(level), np.random.default_rng(rows)
    start, before = first_panel * own.panel, slices * SLICE
    depth = depth if before + depth > 2 * SLICE else min(depth, SLICE)
    weight, inputs = random(generator, start + rows, before + depth), random(generator, 5, depth)
    matrix = Matrix(own, [weight], [np.zeros(start + rows, np.float32)], precision=precision)
    out = np.zeros((5, own.padded(rows)), np.float32)
    product(own, matrix, inputs, out, span=(start, start + rows, before, before + depth))
    part, loss = weight[start:, before:], {"float32": 1e-4, "bfloat16": 0.5, "int8": 0.9}[precision]
    np.testing.assert_allclose(out[:, :rows], inputs @ part.T, atol=loss)


def test_layers_one_below_the_other_are_one_matrix() -> None:
    own, generator = kernels(), np.random.default_rng(0)
    parts, biases = (
        [random(generator, 21, 33) for _ in range(3)],
        [random(generator, 21) for _ in range(3)],
    )
    inputs = random(generator, 4, 33)
    for precision in PRECISIONS:
        apart, together = np.zeros((2, 4, own.padded(63)), np.float32)
        product(
            own,
            Matrix(own, [np.concatenate(parts)], [np.concatenate(biases)], precision=precision),
            inputs,
            apart,
        )
        product(own, Matrix(own, parts, biases, precision=precision), inputs, together)
        np.testing.assert_array_equal(apart, together)


@pytest.mark.parametrize("level", runnable())
@pytest.mark.parametrize("finish", [GELU, GELU_TANH, SILU])
def test_activations_are_exact(level: str, finish: int) -> None:
    own = kernels(level)
    matrix = Matrix(own, [np.ones((1, 1), np.float32)], [np.zeros(1, np.float32)])
    x = np.linspace(-30, 30, 20_001, dtype=np.float32)[:, None]
    out = np.zeros((len(x), own.panel), np.float32)
    product(own, matrix, x, out, finish=finish)
    wanted = finished(finish, x.astype(np.float64))
    assert np.abs(out[:, :1] - wanted).max() < 4e-6
    near = np.abs(x) < 6
    assert np.abs(out[:, :1] - wanted)[near].max() < 1e-6


@given(levels, st.integers(1, 9), st.integers(1, 100), st.booleans(), st.integers(0, 2**31))
@settings(max_examples=30)
def test_normalised_rows(level: str, count: int, width: int, with_bias: bool, seed: int) -> None:
    own, generator = kernels(level), np.random.default_rng(seed)
    rows, bias = random(generator, count, width) * 3 + 1, random(generator, width)
    weight, shift = random(generator, width), random(generator, width)
    norm = NormLayout(weight=weight.ctypes.data, bias=shift.ctypes.data)
    x = rows.astype(np.float64) + (bias if with_bias else 0)
    wanted = (x - x.mean(1, keepdims=True)) / np.sqrt(
        x.var(1, keepdims=True) + 1e-5
    ) * weight + shift
    own.call(
        "normalise_rows",
        rows,
        width,
        count,
        width,
        bias if with_bias else None,
        ctypes.addressof(norm),
        1e-5,
        rows,
        width,
        None,
        None,
    )
    np.testing.assert_allclose(rows, wanted, atol=1e-4)


@given(
    levels,
    st.integers(1, 120),
    st.sampled_from([1, 3, 8, 32, 40]),
    st.integers(1, 3),
    st.booleans(),
    st.floats(0.1, 30),
)
@settings(max_examples=30)
def test_attention(
    level: str, length: int, wide: int, heads: int, biased: bool, spread: float
) -> None:
    own, generator, reach = kernels(level), np.random.default_rng(length), 130
    hidden = wide * heads
    projected = random(generator, length, 3 * hidden)
    projected[:, : 2 * hidden] *= spread
    by_distance = random(generator, heads, 2 * reach - 1)
    distances = np.concatenate([by_distance.ravel(), np.zeros(own.panel, np.float32)])
    model = ModelLayout(
        hidden=hidden, heads=heads, reach=reach, distances=distances.ctypes.data if biased else None
    )
    q, k, v = (
        part.reshape(length, heads, wide).transpose(1, 0, 2).astype(np.float64)
        for part in np.split(projected, 3, axis=1)
    )
    scores = q @ k.transpose(0, 2, 1) / math.sqrt(wide)
    if biased:
        scores += by_distance[
            :, np.arange(length)[None, :] - np.arange(length)[:, None] + reach - 1
        ]
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    wanted = (weights / weights.sum(-1, keepdims=True)) @ v
    scratch = np.empty(own.call("attention_scratch", ctypes.addressof(model), length), np.float32)
    own.call(
        "attend",
        ctypes.addressof(model),
        projected,
        3 * hidden,
        length,
        np.array([0, length]),
        projected,
        3 * hidden,
        scratch,
    )
    got = projected[:, :hidden].reshape(length, heads, wide).transpose(1, 0, 2)
    np.testing.assert_allclose(got, wanted, atol=2e-5 * max(1.0, spread * spread))


@given(
    levels,
    st.sampled_from(["float32", "bfloat16"]),
    st.integers(1, 70),
    st.integers(1, 70),
    st.integers(0, 2**31),
)
@settings(max_examples=40)
def test_layers_turned_round_take_gradients_back(
    level: str, precision: str, rows: int, columns: int, seed: int
) -> None:
    own, generator = kernels(level), np.random.default_rng(seed)
    parts = [random(generator, rows, columns), random(generator, 3, columns)]
    gradient = random(generator, 7, rows + 3)
    matrix = Turned(own, parts, precision=precision)
    out = np.zeros((7, own.padded(columns)), np.float32)
    product(own, matrix, gradient, out)
    given, weight = (
        bfloat16(part) if precision == "bfloat16" else part
        for part in (gradient, np.concatenate(parts))
    )
    np.testing.assert_allclose(out[:, :columns], given.astype(np.float64) @ weight, atol=1e-3)
    matrix.fill([part * 0 for part in parts])
    product(own, matrix, gradient, out)
    assert not out.any()


@given(levels, st.integers(1, 9), st.integers(1, 100), st.integers(0, 2**31))
@settings(max_examples=30)
def test_the_way_back_through_a_layer_norm(level: str, count: int, width: int, seed: int) -> None:
    own, generator = kernels(level), np.random.default_rng(seed)
    rows, weight, shift = (
        random(generator, count, width) * 3 + 1,
        random(generator, width),
        random(generator, width),
    )
    gradient, before = random(generator, count, width), random(generator, 2, width)
    x, w, b = (
        torch.tensor(part, dtype=torch.float64, requires_grad=True)
        for part in (rows, weight, shift)
    )
    torch.nn.functional.layer_norm(x, (width,), w, b, 1e-5).backward(
        torch.from_numpy(gradient).double()
    )
    norm = NormLayout(weight=weight.ctypes.data, bias=shift.ctypes.data)
    kept, factors, slopes = (
        np.empty((count, width), np.float32),
        np.empty(count, np.float32),
        before.copy(),
    )
    own.call(
        "normalise_rows",
        rows,
        width,
        count,
        width,
        None,
        ctypes.addressof(norm),
        1e-5,
        rows.copy(),
        width,
        kept,
        factors,
    )
    slope = SlopeLayout(weight=slopes[0].ctypes.data, bias=slopes[1].ctypes.data)
    own.call(
        "normalise_back",
        gradient,
        width,
        count,
        width,
        kept,
        factors,
        weight,
        ctypes.addressof(slope),
    )
    assert x.grad is not None
    assert w.grad is not None
    assert b.grad is not None
    scale = 1 + float(factors.max())
    np.testing.assert_allclose(gradient, x.grad, atol=1e-5 * scale)
    np.testing.assert_allclose(slopes, before + np.stack([w.grad, b.grad]), atol=1e-4)


@given(
    levels,
    st.integers(1, 120),
    st.sampled_from([1, 3, 8, 32, 40]),
    st.integers(1, 3),
    st.booleans(),
    st.floats(0.1, 3),
)
@settings(max_examples=30)
def test_the_way_back_through_attention(
    level: str, length: int, wide: int, heads: int, biased: bool, spread: float
) -> None:
    own, generator, reach = kernels(level), np.random.default_rng(length), 130
    hidden, panel = wide * heads, own.panel
    room = np.zeros(length * 3 * hidden + panel, np.float32)
    projected = room[: length * 3 * hidden].reshape(length, 3 * hidden)
    projected[:] = random(generator, length, 3 * hidden)
    projected[:, : 2 * hidden] *= spread
    by_distance, gradient = (
        random(generator, heads, 2 * reach - 1),
        random(generator, length, hidden),
    )
    distances = np.concatenate([by_distance.ravel(), np.zeros(panel, np.float32)])
    model = ModelLayout(
        hidden=hidden, heads=heads, reach=reach, distances=distances.ctypes.data if biased else None
    )

    given, bias = (
        torch.tensor(part, dtype=torch.float64, requires_grad=True)
        for part in (projected, by_distance)
    )
    q, k, v = (part.unflatten(1, (heads, wide)).transpose(0, 1) for part in given.chunk(3, 1))
    scores = q @ k.transpose(1, 2) / math.sqrt(wide)
    places = torch.arange(length)
    scores = scores + bias[:, places[None, :] - places[:, None] + reach - 1] * float(biased)
    mixed = (scores.softmax(-1) @ v).transpose(0, 1).flatten(1)
    made = np.ascontiguousarray(mixed.detach().numpy(), np.float32)
    scratch = np.empty(
        own.call("attention_back_scratch", ctypes.addressof(model), length), np.float32
    )
    for only in {(0, length), (length // 2, length // 2 + 1), (length - 1, length)}:
        queries = slice(*only)
        wanted = torch.autograd.grad(
            mixed[queries],
            (given, bias),
            torch.from_numpy(gradient[queries]).double(),
            retain_graph=True,
        )
        back, slopes = np.zeros_like(projected), np.zeros_like(by_distance)
        own.call(
            "attend_back",
            ctypes.addressof(model),
            projected,
            3 * hidden,
            made[queries],
            gradient[queries],
            hidden,
            length,
            np.array(only),
            back,
            slopes if biased else None,
            scratch,
        )
        tolerance = 2e-5 * max(1.0, spread * spread)
        np.testing.assert_allclose(back, wanted[0], atol=tolerance)
        np.testing.assert_allclose(slopes, wanted[1], atol=tolerance * math.sqrt(length))
