"""The kernels' layers in training: states and gradients beside torch's own, on each architecture
and level.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nearfield.batch.packed import Packed
from nearfield.formats.architectures import NATIVE
from nearfield.kernels.library import runnable
from nearfield.models.backbones import native_layers, native_units
from nearfield.models.backbones.native_layers import NativeLayers, why_not
from nearfield.models.model import TextModel
from tiny import tiny_model
from tokens import LENGTHS, packed

pytestmark = pytest.mark.skipif(not runnable(), reason="the kernels are not compiled here")

SIZES: dict[str, Any] = {"hidden_size": 40, "num_attention_heads": 2, "intermediate_size": 400}
Grads = dict[str, Tensor | None]


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., TextModel]:
    def make(kind: str = "bert", **sizes: Any) -> TextModel:
        sizes = SIZES | ({"embedding_size": 24} if kind == "electra" else {}) | sizes
        return TextModel.open(tiny_model(tmp_path / "tiny", kind=kind, max_tokens=128, sizes=sizes))

    return make


def states_and_gradients(
    model: TextModel,
    layers: NativeLayers | None,
    batch: Packed,
    *,
    picked: np.ndarray[Any, Any] | None = None,
) -> tuple[Tensor, Grads]:
    """Of the tokens that are `picked` alone, where some are."""
    model.layers = layers
    weights = model.parameters()
    for weight in weights.values():
        weight.grad = None
    states = model.states(batch, picked=picked)
    states = states if picked is None else states[torch.from_numpy(batch.offsets[:-1] + picked)]
    (
        states * torch.randn(states.shape, generator=torch.Generator().manual_seed(1))
    ).sum().backward()
    return states.detach(), {name: weight.grad for name, weight in weights.items()}


def assert_same_gradients(found: Grads, wanted: Grads, *, off: float) -> None:
    """Each weight's gradient within `off` of its own norm; that by the keys' biases is nothing but
    rounding, as softmax takes no notice.
    """
    most = max(float(gradient.norm()) for gradient in wanted.values() if gradient is not None)
    for name, gradient in wanted.items():
        other = found[name]
        assert (gradient is None) == (other is None), name
        if gradient is None or other is None:
            continue
        keys = name.endswith(("key.bias", "attn.k.bias", "k_lin.bias"))
        assert float((gradient - other).norm()) <= (
            off * most if keys else off * float(gradient.norm()) + 1e-6 * most
        ), name


@pytest.mark.parametrize("level", runnable())
@pytest.mark.parametrize("kind", sorted(NATIVE))
def test_states_and_gradients_are_those_of_torch(
    opened: Callable[..., TextModel], kind: str, level: str
) -> None:
    model, batch = opened(kind), packed(LENGTHS)
    states, gradients = states_and_gradients(model, None, batch)
    for threads in (1, 2, 40):
        found, own = states_and_gradients(
            model, NativeLayers(model.backbone, threads=threads, level=level), batch
        )
        torch.testing.assert_close(found, states, atol=1e-5, rtol=0)
        assert_same_gradients(own, gradients, off=1e-4)


@pytest.mark.parametrize("level", runnable())
@pytest.mark.parametrize("kind", sorted(NATIVE))
def test_one_token_of_each_sequence(
    opened: Callable[..., TextModel], kind: str, level: str
) -> None:
    model, generator = opened(kind), np.random.default_rng(7)
    some = [length for length in LENGTHS if length]
    # more sequences than go back together, and long ones that do not
    few, many = packed(some), packed([*some, *[2] * 400, 128, 128, 128])
    for batch, picked, threads in (
        (few, generator.integers(0, few.lengths), 1),
        (many, np.zeros(len(many), np.int64), 2),
    ):
        states, gradients = states_and_gradients(model, None, batch, picked=picked)
        layers = NativeLayers(model.backbone, threads=threads, level=level)
        found, own = states_and_gradients(model, layers, batch, picked=picked)
        torch.testing.assert_close(found, states, atol=1e-5, rtol=0)
        assert_same_gradients(own, gradients, off=1e-4)


def test_states_of_tokens_that_are_not_picked_are_zeros(opened: Callable[..., TextModel]) -> None:
    model, batch = opened(), packed([3, 1, 5])
    model.layers = NativeLayers(model.backbone)
    picked = np.array([4, 0, 0])  # of sequences that lie longest first
    for wanted in (True, False):
        with torch.set_grad_enabled(wanted):
            states, whole = model.states(batch, picked=picked), model.states(batch)
        rows = torch.from_numpy(batch.offsets[:-1] + picked)
        torch.testing.assert_close(states[rows], whole[rows], atol=2e-6, rtol=0)
        assert int((states.detach() != 0).any(1).sum()) == 3


@pytest.mark.parametrize("picked", [[4, 0, 1], [-1, 0, 0], [0, 0]])
def test_a_token_that_is_not_there_is_refused(
    opened: Callable[..., TextModel], picked: list[int]
) -> None:
    model, batch = opened(), packed([3, 1, 5])
    model.layers = NativeLayers(model.backbone)
    with pytest.raises(ValueError, match="no token of each of 3 sequences"):
        model.states(batch, picked=np.array(picked))


@pytest.mark.parametrize("pooling", ["cls", "lasttoken"])
def test_a_head_that_pools_one_token(tmp_path: Path, pooling: str) -> None:
    """With prompts of which no token counts, and texts that have nothing beside; and an empty
    sequence, for which all tokens are run.
    """
    model = TextModel.open(
        tiny_model(tmp_path / "tiny", max_tokens=128, sizes=SIZES, pooling=pooling)
    )
    for lengths, skipped in (([7, 5, 3, 1], 0), ([7, 5, 3, 1], 3), ([7, 5, 0], 0)):
        batch, found = replace(packed(lengths), prompt_tokens=skipped), []
        model.head.contract = replace(model.head.contract, include_prompt=False)
        for layers in (None, NativeLayers(model.backbone)):
            model.layers = layers
            weights = [
                weight
                for name, weight in model.parameters().items()
                if not name.startswith("pooler")
            ]
            vectors = model.embed(batch)
            found.append(
                [
                    vectors.detach(),
                    *torch.autograd.grad(
                        (vectors * torch.arange(40.0)).sum(), weights, allow_unused=True
                    ),
                ]
            )
        for one, other in zip(*found, strict=True):
            if one is not None or other is not None:
                torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("activation", ["gelu_new", "relu", "silu"])
@pytest.mark.parametrize("level", runnable())
def test_other_activations(opened: Callable[..., TextModel], activation: str, level: str) -> None:
    model, batch = opened("bert", hidden_act=activation, num_hidden_layers=1), packed([5, 33, 60])
    states, gradients = states_and_gradients(model, None, batch)
    found, own = states_and_gradients(model, NativeLayers(model.backbone, level=level), batch)
    torch.testing.assert_close(found, states, atol=1e-5, rtol=0)
    assert_same_gradients(own, gradients, off=1e-4)


@pytest.mark.parametrize("level", runnable())
@pytest.mark.parametrize("kind", ["bert", "mpnet"])
def test_bfloat16_is_near_float32(opened: Callable[..., TextModel], kind: str, level: str) -> None:
    model, batch = opened(kind), packed(LENGTHS)
    states, gradients = states_and_gradients(model, None, batch)
    found, own = states_and_gradients(
        model, NativeLayers(model.backbone, precision="bfloat16", level=level), batch
    )
    torch.testing.assert_close(found, states, atol=0.04, rtol=0)
    assert_same_gradients(own, gradients, off=0.1)


def test_gradients_are_the_slopes_of_the_loss(opened: Callable[..., TextModel]) -> None:
    """By differences along random directions, so beside no other way back."""
    model, batch = opened(num_hidden_layers=1), packed([9, 4])
    model.layers = NativeLayers(model.backbone)
    weights = [weight for weight in model.layers.weights if weight.ndim == 2]
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(13, 40, generator=generator)
    (model.states(batch) * target).sum().backward()
    for weight in weights:
        assert weight.grad is not None
        direction = torch.randn(weight.shape, generator=generator)
        direction /= direction.norm()
        values = []
        for step in (-1e-2, 1e-2):
            with torch.no_grad():
                weight += step * direction
                values.append(float((model.states(batch).double() * target).sum()))
                weight -= step * direction
        slope = float((weight.grad * direction).sum())
        assert (values[1] - values[0]) / 2e-2 == pytest.approx(slope, rel=2e-2, abs=2e-3)


def test_states_do_not_depend_on_whether_a_gradient_is_wanted(
    opened: Callable[..., TextModel],
) -> None:
    model, batch = opened("mpnet"), packed(LENGTHS)
    model.layers = NativeLayers(model.backbone)
    with_graph = model.states(batch)
    assert with_graph.requires_grad
    with torch.no_grad():
        without = model.states(batch)
    with torch.inference_mode():
        inferred = model.states(batch)
    assert torch.equal(with_graph, without)
    assert torch.equal(with_graph, inferred)


def test_a_sequence_does_not_depend_on_its_batch(opened: Callable[..., TextModel]) -> None:
    model = opened()
    model.layers = NativeLayers(model.backbone, threads=2)
    batch = packed([30, 31, 32, 90])
    alone = Packed(batch.ids[:90], np.array([0, 90]), np.array([3]))
    with torch.no_grad():
        torch.testing.assert_close(model.states(alone), model.states(batch)[:90], atol=2e-6, rtol=0)


def test_weights_that_an_optimiser_changed_are_seen(opened: Callable[..., TextModel]) -> None:
    """A fused one changes weights without counting their versions up."""
    model, batch = opened(), packed([20, 9])
    model.layers = layers = NativeLayers(model.backbone)
    for options in ({"fused": True}, {"foreach": True}):
        optimiser = torch.optim.AdamW(model.backbone.parameters(), lr=0.01, **options)
        model.states(batch).square().sum().backward()
        optimiser.step()
        optimiser.zero_grad()
        model.layers = None
        states, gradients = states_and_gradients(model, None, batch)
        found, own = states_and_gradients(model, layers, batch)
        torch.testing.assert_close(found, states, atol=1e-5, rtol=0)
        assert_same_gradients(own, gradients, off=1e-4)


def test_frozen_embeddings_get_no_gradient_and_the_layers_the_same(
    opened: Callable[..., TextModel],
) -> None:
    model, batch = opened("mpnet"), packed(LENGTHS)
    layers = NativeLayers(model.backbone)
    _, wanted = states_and_gradients(model, layers, batch)
    frozen = {
        name: weight for name, weight in model.parameters().items() if name.startswith("embeddings")
    }
    for weight in frozen.values():
        weight.requires_grad_(False)
    _, gradients = states_and_gradients(model, layers, batch)
    for name, gradient in gradients.items():
        assert (
            gradient is None
            if name in frozen
            else (gradient is wanted[name] is None or torch.equal(gradient, wanted[name]))
        ), name


def test_several_passes_may_be_open_and_each_goes_back_once(
    opened: Callable[..., TextModel],
) -> None:
    model, batches = opened(), [packed([40, 3]), packed([11, 50, 2])]
    model.layers = NativeLayers(model.backbone)
    wanted: Tensor | float = 0.0
    for batch in batches:
        _, gradients = states_and_gradients(model, model.layers, batch)
        gradient = gradients["encoder.layer.0.output.dense.weight"]
        assert gradient is not None
        wanted = wanted + gradient
    model.backbone.zero_grad()
    generator = torch.Generator()
    open_ones = [model.states(batch) for batch in batches]
    losses = [
        (states * torch.randn(states.shape, generator=generator.manual_seed(1))).sum()
        for states in open_ones
    ]
    for loss in losses:
        loss.backward(retain_graph=True)
    torch.testing.assert_close(
        model.backbone.encoder.layer[0].output.dense.weight.grad, wanted, atol=1e-5, rtol=1e-5
    )
    with pytest.raises(RuntimeError, match="backward was already called"):
        losses[0].backward()


def test_a_weight_that_changed_before_the_way_back_is_an_error(
    opened: Callable[..., TextModel],
) -> None:
    """As in torch: the gradient would be neither the old weight's nor the new one's."""
    model, batch = opened(), packed([20, 9])
    model.layers = layers = NativeLayers(model.backbone)
    weight = model.backbone.encoder.layer[1].output.dense.weight
    # whether the new weight was seen in between or not
    for between in (lambda: None, lambda: model.states(batch)):
        states = model.states(batch)
        with torch.no_grad():
            weight += 0.01
        between()
        with pytest.raises(RuntimeError, match="a weight was changed between"):
            states.sum().backward()
    model.backbone.zero_grad()
    wanted, (_, gradients) = (
        states_and_gradients(model, None, batch)[1],
        states_and_gradients(model, layers, batch),
    )
    assert_same_gradients(gradients, wanted, off=1e-4)


def test_a_change_of_order_is_seen_and_strides_are_no_matter(
    opened: Callable[..., TextModel],
) -> None:
    model, batch = opened(), packed([20, 9])
    layers, layer = NativeLayers(model.backbone), model.backbone.encoder.layer[0]
    states_and_gradients(model, layers, batch)
    with torch.no_grad():
        layer.intermediate.dense.weight.copy_(layer.intermediate.dense.weight.roll(1, 0))
        layer.output.dense.weight.copy_(layer.output.dense.weight.flip(1))
        layer.attention.self.key.weight.data = layer.attention.self.key.weight.T.contiguous().T
        layer.output.LayerNorm.weight.data = torch.randn(80)[::2]
    wanted, _ = states_and_gradients(model, None, batch)
    found, _ = states_and_gradients(model, layers, batch)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


def test_a_gradient_of_a_gradient_is_refused(opened: Callable[..., TextModel]) -> None:
    model = opened()
    model.layers = NativeLayers(model.backbone)
    (gradient,) = torch.autograd.grad(
        model.states(packed([9])).square().sum(), [model.layers.weights[0]], create_graph=True
    )
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_sequences_without_a_token_and_single_ones(opened: Callable[..., TextModel]) -> None:
    model = opened()
    for lengths in ([0, 0, 5], [1], [128]):
        batch = packed(lengths)
        states, gradients = states_and_gradients(model, None, batch)
        found, own = states_and_gradients(model, NativeLayers(model.backbone, threads=3), batch)
        torch.testing.assert_close(found, states, atol=1e-5, rtol=0)
        assert_same_gradients(own, gradients, off=1e-4)


@pytest.mark.parametrize("kind", ["bert", "electra"])
def test_types_of_tokens_are_seen(opened: Callable[..., TextModel], kind: str) -> None:
    """As a cross-encoder's two texts have."""
    model, plain = opened(kind), packed([20, 9])
    batch = replace(plain, columns={"types": (np.arange(29) % 3 == 0).astype(np.int32)})
    states, gradients = states_and_gradients(model, None, batch)
    found, own = states_and_gradients(model, NativeLayers(model.backbone), batch)
    torch.testing.assert_close(found, states, atol=1e-5, rtol=0)
    assert_same_gradients(own, gradients, off=1e-4)
    assert float((found - model.states(plain)).detach().abs().max()) > 1e-3


def test_tokens_that_none_looks_at_are_left_to_torch(opened: Callable[..., TextModel]) -> None:
    model, plain = opened(), packed([20, 9])
    batch = replace(plain, columns={"unseen": np.array([4, 0])})
    with torch.no_grad():
        wanted = model.states(batch)
        model.layers = NativeLayers(model.backbone)
        assert torch.equal(model.states(batch), wanted)
        assert float((model.states(plain) - wanted).abs().max()) > 1e-3


def test_what_they_cannot_stand_for_is_said(
    opened: Callable[..., TextModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = opened().backbone
    assert why_not(backbone) is None
    assert "have no dropout" in str(why_not(backbone.train()))
    backbone.eval()
    backbone.config.hidden_act = "mish"
    assert "no activation mish" in str(why_not(backbone))
    assert "float32 weights on a CPU" in str(why_not(backbone.half()))
    monkeypatch.setattr(native_layers, "runnable", lambda: ())
    assert "not compiled" in str(why_not(backbone))


def test_a_slow_thread_holds_up_one_unit_and_the_sums_stay_in_their_order() -> None:
    groups = [list(range(at, 12, 3)) for at in range(3)]
    slow, made = threading.Event(), [list[int]() for _ in groups]

    def work(total: Any, unit: int) -> None:
        if unit == 0:
            assert slow.wait(10), "the other thread ran out of work"
        made[sums.index(total)].append(unit)
        if sum(map(len, made)) == 8:  # all but what stands in line behind the slow unit
            slow.set()

    sums = [native_units.Sum(None) for _ in groups]
    turns = native_units.Turns(work, sums, groups)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(turns.run, range(2)))
    assert made == groups
