"""Packed rows against each sequence run alone by transformers' own attention, over every
architecture that packs.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from nearfield.batch.packed import Packed
from nearfield.formats.architectures import ARCHITECTURES
from nearfield.models.backbones.states import packed_states, prepare

CPU = torch.device("cpu")
VOCABULARY, PAD = 50, 1
LENGTHS = [40, 17, 17, 17, 9, 3, 3, 1, 1, 0]
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "pad_token_id": PAD,
}
GQA = {"num_key_value_heads": 2, "head_dim": 8}
WINDOW = {"sliding_window": 6}
MIXED = {"layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}
OWN: dict[str, dict[str, Any]] = {
    "albert": {"embedding_size": 16},
    "distilbert": {"dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 48},
    "electra": {"embedding_size": 16},
    "gemma": GQA,
    "gemma3_text": GQA | WINDOW | MIXED | {"query_pre_attn_scalar": 8},
    "llama": GQA,
    "mistral": GQA | WINDOW,
    "modernbert": {"local_attention": 12, "global_attn_every_n_layers": 2, "pad_token_id": PAD},
    "qwen2": GQA | WINDOW | MIXED | {"use_sliding_window": True},
    "qwen3": GQA,
}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "embeddinggemma": ("gemma3_text", {"use_bidirectional_attention": True}),
    "mistral opened to both sides": ("mistral", {"is_causal": False}),
    "mistral without a window": ("mistral", {"sliding_window": None}),
    "bert as a decoder": ("bert", {"is_decoder": True}),
}
PACKED = sorted(kind for kind, known in ARCHITECTURES.items() if known.packs)
AFTER_PADDING = [kind for kind in PACKED if ARCHITECTURES[kind].after_padding]
CASES = [*PACKED, *VARIANTS]


def backbone(case: str, dtype: torch.dtype = torch.float32) -> Any:
    kind, changed = VARIANTS.get(case, (case, {}))
    config = AutoConfig.for_model(kind, **{**SIZES, **OWN.get(kind, {}), **changed})
    centre = 0.0 if kind.startswith("gemma") else 1.0  # Gemma's norms multiply by 1 + weight
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        model = AutoModel.from_config(config)
        for weight in model.parameters():
            nn.init.normal_(weight, std=0.15) if weight.dim() > 1 else nn.init.normal_(
                weight, mean=centre, std=0.1
            )
    return model.to(dtype).eval()


def batch(lengths: list[int], seed: int = 0) -> Packed:
    ids = np.random.default_rng(seed).integers(0, VOCABULARY, sum(lengths)).astype(np.int32)
    return Packed(ids, np.cumsum([0, *lengths]), np.arange(len(lengths)))


def alone(model: Any, packed: Packed) -> Tensor:
    rows = [
        packed.ids[start:end]
        for start, end in zip(packed.offsets[:-1], packed.offsets[1:], strict=True)
        if end > start
    ]
    return torch.cat(
        [
            model(
                input_ids=torch.from_numpy(row.astype(np.int64))[None], use_cache=False
            ).last_hidden_state[0]
            for row in rows
        ]
    )


def prepared(model: Any) -> Any:
    model = copy.deepcopy(model)
    assert prepare(model)
    return model


@pytest.mark.parametrize("case", CASES)
def test_states_are_those_of_each_sequence_alone(case: str) -> None:
    model, packed = backbone(case), batch(LENGTHS)
    with torch.inference_mode():
        torch.testing.assert_close(
            packed_states(prepared(model), packed, CPU), alone(model, packed), atol=2e-6, rtol=2e-6
        )


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_those_of_each_sequence_alone(case: str) -> None:
    model, packed = backbone(case, torch.float64), batch(LENGTHS)
    # Gemma's norms compute in float32, whatever they are given
    within = 1e-5 if "gemma" in case else 1e-9
    direction = torch.randn(
        len(packed.ids), 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    ours = prepared(model)
    for states, used in ((alone(model, packed), model), (packed_states(ours, packed, CPU), ours)):
        (states * direction).sum().backward()
        assert any(weight.grad is not None for weight in used.parameters())
    for (name, theirs), (_, own) in zip(
        model.named_parameters(), ours.named_parameters(), strict=True
    ):
        if theirs.grad is not None:
            torch.testing.assert_close(
                own.grad,
                theirs.grad,
                atol=within,
                rtol=within,
                msg=lambda text, name=name: f"{name}: {text}",
            )


@pytest.mark.parametrize("case", ["bert", "gemma3_text", "modernbert", "mpnet", "roberta"])
@settings(max_examples=10)
@given(lengths=st.lists(st.integers(0, 30), min_size=1, max_size=8), seed=st.integers(0, 99))
def test_any_lengths(case: str, lengths: list[int], seed: int) -> None:
    within = 2e-6 if "gemma" in case else 1e-9  # as above
    if sum(lengths):
        model, packed = (
            KEPT.setdefault(case, backbone(case, torch.float64)),
            batch(sorted(lengths, reverse=True), seed),
        )
        ours = KEPT.setdefault(f"{case} packed", prepared(model))
        with torch.inference_mode():
            torch.testing.assert_close(
                packed_states(ours, packed, CPU), alone(model, packed), atol=within, rtol=within
            )


KEPT: dict[str, Any] = {}


@pytest.mark.parametrize("case", AFTER_PADDING)
def test_a_padding_token_within_a_text_has_the_position_that_the_architecture_gives_it(
    case: str,
) -> None:
    packed = Packed(np.array([5, PAD, 6, 7, 5, PAD], np.int32), np.array([0, 4, 6]), np.arange(2))
    model = backbone(case)
    with torch.inference_mode():
        torch.testing.assert_close(
            packed_states(prepared(model), packed, CPU), alone(model, packed), atol=2e-6, rtol=2e-6
        )


@pytest.mark.parametrize("case", ["bert", "embeddinggemma", "modernbert", "mpnet", "qwen2"])
def test_bfloat16_keeps_the_directions(case: str) -> None:
    model, packed = backbone(case), batch(LENGTHS)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = packed_states(prepared(model), packed, CPU).float()
    with torch.inference_mode():
        exact = alone(model, packed)
    assert nn.functional.cosine_similarity(rounded, exact).min() > 0.99


def test_what_does_not_pack_says_so() -> None:
    config = AutoConfig.for_model(
        "t5", vocab_size=VOCABULARY, d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=4
    )
    assert not prepare(AutoModel.from_config(config))
