"""Adapters against peft: the same states from the same folder, theirs and ours."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from torch import Tensor
from transformers import AutoModel, GPT2Config, GPT2Model

from adapters import peft_adapter
from nearfield.batch.packed import Packed, packed_batches
from nearfield.errors import InputError, ModelError
from nearfield.formats.lora_folder import read_lora
from nearfield.models.backbones.backbone import quiet
from nearfield.models.lora.attached import Attached
from nearfield.models.lora.low_rank import LowRank, target_layers
from nearfield.models.model import TextModel
from tiny import tiny_model
from tokens import tokens_of

LENGTHS = [12, 7, 7, 3, 1]
CONFIGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "a list of endings": {"target_modules": ["attention.self.query", "output.dense"]},
    "a regular expression": {"target_modules": r".*layer\.1\..*(query|key)"},
    "every linear layer": {"target_modules": "all-linear"},
    "rank-stabilised": {"use_rslora": True, "r": 8},
    "ranks and alphas by layer": {
        "rank_pattern": {"query": 2},
        "alpha_pattern": {"layer.0.attention.self.value": 3, "dense": 9},
    },
    "whole weights beside it": {"modules_to_save": ["LayerNorm"]},
    "biases beside it": {"bias": "lora_only"},
    "the embeddings too": {"target_modules": ["word_embeddings", "query"]},
    "one layer of two": {"layers_to_transform": [1], "layers_pattern": "layer"},
}


def batch_of(lengths: list[int] = LENGTHS) -> Packed:
    (batch,) = packed_batches(tokens_of(lengths), 10_000)
    return batch


def states(model: Any, batch: Packed) -> Tensor:
    rows = [
        batch.ids[start:end]
        for start, end in zip(batch.offsets[:-1], batch.offsets[1:], strict=True)
    ]
    return torch.cat(
        [
            model(input_ids=torch.from_numpy(row.astype(np.int64))[None]).last_hidden_state[0]
            for row in rows
        ]
    )


def by_peft(base: Path, adapter: Path) -> Any:
    with warnings.catch_warnings(), quiet():
        warnings.simplefilter("ignore")
        return PeftModel.from_pretrained(AutoModel.from_pretrained(base), adapter).eval()


def adapted(base: Path, adapter: Path) -> TextModel:
    model = TextModel.open(base)
    opened = LowRank.open(read_lora(adapter), model.whole)
    for name, weight in opened.weights.items():
        model.whole.get_parameter(name).data.copy_(weight)
    model.adapters = Attached(model.whole, [opened], shared=0)
    return model


@pytest.mark.parametrize("case", CONFIGS)
def test_states_are_those_of_peft(case: str, tmp_path: Path) -> None:
    base = tiny_model(tmp_path / "base")
    adapter = peft_adapter(tmp_path / "adapter", base, **CONFIGS[case])
    with torch.inference_mode():
        ours, theirs = (
            adapted(base, adapter).states(batch_of()),
            states(by_peft(base, adapter), batch_of()),
        )
        assert (theirs - TextModel.open(base).states(batch_of())).abs().max() > 0.01
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("case", CONFIGS)
def test_what_is_saved_is_read_by_peft(case: str, tmp_path: Path) -> None:
    base = tiny_model(tmp_path / "base")
    adapter = peft_adapter(tmp_path / "adapter", base, **CONFIGS[case])
    LowRank.open(read_lora(adapter), TextModel.open(base).whole).save(
        tmp_path / "saved", base=str(base)
    )
    with torch.inference_mode():
        ours, theirs = (
            states(by_peft(base, folder), batch_of()) for folder in (tmp_path / "saved", adapter)
        )
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)


def test_layers_that_keep_their_weight_the_other_way_round(tmp_path: Path) -> None:
    base = tmp_path / "gpt2"
    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "vocab_size": 100}
    GPT2Model(GPT2Config(**sizes, bos_token_id=0, eos_token_id=0)).save_pretrained(base)
    adapter = peft_adapter(
        tmp_path / "adapter", base, target_modules=["c_attn", "c_proj"], fan_in_fan_out=True
    )
    model = AutoModel.from_pretrained(base).eval()
    attached = Attached(model, [LowRank.open(read_lora(adapter), model)], shared=0)
    with torch.inference_mode():
        theirs = states(by_peft(base, adapter), batch_of([9]))
        with attached.acting(None, np.array([9])):
            beside = states(model, batch_of([9]))
        model.load_state_dict(attached.merged(model.state_dict(), 0))
        merged = states(model, batch_of([9]))
    torch.testing.assert_close(beside, theirs, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(merged, theirs, atol=1e-5, rtol=1e-5)


def test_a_fresh_adapter_changes_nothing_and_its_gradients_do(tmp_path: Path) -> None:
    model = TextModel.open(tiny_model(tmp_path / "base"))
    before = model.states(batch_of()).detach()
    fresh = LowRank.fresh(
        model.whole,
        ["all-linear"],
        rank=3,
        scale=2.0,
        generator=torch.Generator().manual_seed(0),
        device=torch.device("cpu"),
    )
    model.adapters = Attached(model.whole, [fresh], shared=0)
    after = model.states(batch_of())
    torch.testing.assert_close(after, before, atol=0, rtol=0)
    after.square().sum().backward()
    assert all(
        pair.up.grad is not None and pair.up.grad.abs().sum() > 0 for pair in fresh.pairs.values()
    )
    assert not any(name.startswith("pooler") for name in fresh.pairs)


def test_targets_that_no_layer_is_called_by(tmp_path: Path) -> None:
    model = TextModel.open(tiny_model(tmp_path / "base")).whole
    assert target_layers(model, ["query"]) == [
        f"encoder.layer.{layer}.attention.self.query" for layer in (0, 1)
    ]
    with pytest.raises(
        ModelError,
        match=r"no linear layer is called 'qeury'; the model has dense, key, query, "
        r"value. Did you mean 'query'",
    ):
        target_layers(model, ["dense", "qeury"])


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"peft_type": "IA3"}, "an adapter of the kind 'IA3'; wanted LORA"),
        ({"use_dora": True}, "use_dora is set .DoRA rescales"),
        (
            {"init_lora_weights": "pissa_niter_4"},
            "was begun by pissa_niter_4, which changes the base",
        ),
        ({"r": 0}, "r is 0"),
        ({"lora_bias": True}, "lora_bias is set"),
    ],
)
def test_adapters_of_another_kind_are_refused(
    changed: dict[str, Any], says: str, tmp_path: Path
) -> None:
    adapter = peft_adapter(tmp_path / "adapter", tiny_model(tmp_path / "base"))
    file = adapter / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changed))
    with pytest.raises((ModelError, InputError), match=says):
        read_lora(adapter)


def test_an_adapter_of_another_model_is_refused(tmp_path: Path) -> None:
    adapter = peft_adapter(tmp_path / "adapter", tiny_model(tmp_path / "base"))
    wider, other = (
        tiny_model(tmp_path / "wider", sizes={"intermediate_size": 128}),
        tiny_model(tmp_path / "mpnet", kind="mpnet"),
    )
    with pytest.raises(ModelError, match="is it another base"):
        LowRank.open(read_lora(adapter), TextModel.open(wider).whole)
    with pytest.raises(ModelError, match="which the base does not have"):
        LowRank.open(read_lora(adapter), TextModel.open(other).whole)


def test_a_damaged_adapter_says_so(tmp_path: Path) -> None:
    base = tiny_model(tmp_path / "base")
    adapter = peft_adapter(tmp_path / "adapter", base)
    file = adapter / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(
        ModelError,
        match=r"adapter_model\.safetensors: the weights could not be "
        r"read",
    ):
        LowRank.open(read_lora(adapter), TextModel.open(base).whole)
