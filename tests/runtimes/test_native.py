"""The native runtime beside torch, over its architectures, poolings and this processor's levels."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers.base.modules import Dense
from transformers.models.mpnet.modeling_mpnet import MPNetEncoder

from nasty import nasty_texts
from nearfield.batch.packed import pack
from nearfield.batch.tokens import Tokens
from nearfield.encoders.load import load
from nearfield.encoders.text import TextEncoder
from nearfield.errors import InputError, ModelError
from nearfield.formats.architectures import NATIVE
from nearfield.formats.model_folder import ModelFolder, read_model_folder
from nearfield.kernels.library import runnable
from nearfield.models.backbones.relative_bucket import relative_bucket
from nearfield.models.model import TextModel
from nearfield.models.surgery.new_head import new_head
from nearfield.runtimes.native import NativeRuntime
from nearfield.runtimes.options import OpenOptions
from nearfield.runtimes.torch_runtime import TorchRuntime
from nearfield.types.contract import POOLINGS
from tiny import tiny_model
from tokens import LENGTHS, tokens_of

pytestmark = pytest.mark.skipif(not runnable(), reason="the kernels are not compiled here")

# no multiple of any panel
ODD = {"hidden_size": 36, "num_attention_heads": 3, "intermediate_size": 50}


def assert_as_torch(
    folder: ModelFolder, tokens: Tokens, *, level: str | None = None, least: float = 1e-5
) -> None:
    batch = pack(tokens, np.arange(len(tokens.lengths)))
    ours = NativeRuntime.open(folder, level=level).run(batch).vectors
    theirs = TorchRuntime(TextModel(folder)).run(batch).vectors
    np.testing.assert_allclose(ours, theirs, atol=least, rtol=0)


@pytest.mark.parametrize("level", runnable())
@pytest.mark.parametrize("kind", NATIVE)
def test_every_architecture_gives_torchs_vectors(kind: str, level: str, tmp_path: Path) -> None:
    sizes = ODD | ({"embedding_size": 20} if kind == "electra" else {})
    folder = read_model_folder(tiny_model(tmp_path / kind, kind=kind, max_tokens=128, sizes=sizes))
    assert NativeRuntime.why_not(folder) is None
    assert_as_torch(folder, tokens_of(LENGTHS), level=level)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("include_prompt", [True, False])
def test_every_pooling_with_and_without_the_prompt(
    pooling: str, include_prompt: bool, tmp_path: Path
) -> None:
    folder = read_model_folder(tiny_model(tmp_path / "tiny", normalise=False, max_tokens=128))
    contract = dataclasses.replace(folder.contract, pooling=pooling, include_prompt=include_prompt)
    folder = dataclasses.replace(folder, contract=contract)
    assert_as_torch(folder, tokens_of(LENGTHS, prompt_tokens=3))


@pytest.mark.parametrize("normalise", [True, False])
def test_dense_modules_after_pooling(normalise: bool, tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "tiny", max_tokens=128, normalise=normalise)
    modules = json.loads((path / "modules.json").read_text())
    for at, layer in enumerate(
        (Dense(32, 48), Dense(48, 20, bias=False, activation_function=torch.nn.GELU())), 2
    ):
        (path / f"{at}_Dense").mkdir()
        layer.save(str(path / f"{at}_Dense"))
        modules.insert(
            at,
            {
                "idx": at,
                "name": f"{at}_Dense",
                "path": f"{at}_Dense",
                "type": "sentence_transformers.models.Dense",
            },
        )
    (path / "modules.json").write_text(
        json.dumps([module | {"idx": at} for at, module in enumerate(modules)])
    )
    folder = read_model_folder(path)
    assert (NativeRuntime.why_not(folder), folder.contract.dim, len(folder.projections)) == (
        None,
        20,
        2,
    )
    assert_as_torch(folder, tokens_of(LENGTHS))


@pytest.mark.parametrize("head", ["late-interaction", "three"])
def test_heads_over_tokens_without_torch(head: str, tmp_path: Path) -> None:
    known = {
        "tokenizer_class": "BertTokenizer",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "model_max_length": 64,
    }
    new_head(tiny_model(tmp_path / "dense", tokenizer_config=known), head, to=tmp_path / "made")
    load(tmp_path / "made")  # torch's own files are converted the first time
    code = (
        "import sys, warnings; warnings.simplefilter('ignore'); from nearfield.encoders.load "
        "import load; "
        f"encoder = load({str(tmp_path / 'made')!r}); encoder.encode(['the cat'], "
        "'document'); "
        "encoder.encode(['the cat'], 'query'); assert not {'torch', 'transformers'} & "
        "set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("activation", ["gelu_new", "relu", "silu", "gelu_pytorch_tanh"])
def test_every_activation(activation: str, tmp_path: Path) -> None:
    folder = read_model_folder(
        tiny_model(tmp_path / "tiny", max_tokens=128, sizes={"hidden_act": activation})
    )
    assert_as_torch(folder, tokens_of(LENGTHS))


@pytest.mark.parametrize(
    "sizes",
    [
        {"hidden_size": 128, "num_attention_heads": 2, "intermediate_size": 1000},
        {"num_attention_heads": 1},
    ],
)
def test_sizes_that_take_several_panels_and_slices(sizes: dict[str, Any], tmp_path: Path) -> None:
    folder = read_model_folder(tiny_model(tmp_path / "tiny", max_tokens=128, sizes=sizes))
    for level in runnable():
        assert_as_torch(folder, tokens_of(LENGTHS), level=level)


def test_a_vector_does_not_depend_on_its_batch(tmp_path: Path) -> None:
    folder = read_model_folder(
        tiny_model(tmp_path / "tiny", kind="mpnet", max_tokens=128, sizes=ODD)
    )
    runtime, tokens = NativeRuntime.open(folder), tokens_of(LENGTHS)
    batch = pack(tokens, np.arange(len(LENGTHS)))
    together = runtime.run(batch).vectors
    alone = np.concatenate(
        [runtime.run(pack(tokens, np.array([item]))).vectors for item in batch.items]
    )
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize(("precision", "least"), [("bfloat16", 0.999), ("int8", 0.99)])
@pytest.mark.parametrize("level", runnable())
def test_lower_precisions_stay_near(
    precision: str, least: float, level: str, tmp_path: Path
) -> None:
    folder = read_model_folder(
        tiny_model(
            tmp_path / "tiny", kind="electra", max_tokens=128, sizes=ODD | {"embedding_size": 20}
        )
    )
    batch = pack(tokens_of(LENGTHS), np.arange(len(LENGTHS)))
    exact = NativeRuntime.open(folder).run(batch).vectors
    runtime = NativeRuntime.open(folder, OpenOptions(precision=precision), level=level)
    assert runtime.precision == precision
    assert (exact * runtime.run(batch).vectors).sum(1)[:-1].min() > least  # the last is empty


def test_an_empty_batch_and_an_empty_sequence(tmp_path: Path) -> None:
    runtime = NativeRuntime.open(read_model_folder(tiny_model(tmp_path / "tiny")))
    assert runtime.run(pack(tokens_of([]), np.arange(0))).vectors.shape == (0, 32)
    np.testing.assert_array_equal(
        runtime.run(pack(tokens_of([0, 0]), np.arange(2))).vectors, np.zeros((2, 32))
    )


def test_ids_and_places_that_the_model_lacks_are_refused(tmp_path: Path) -> None:
    runtime = NativeRuntime.open(read_model_folder(tiny_model(tmp_path / "tiny")))
    strange = tokens_of([3, 4])
    strange.ids[5] = 99_999
    # the longer sequence comes first
    with pytest.raises(InputError, match="token 2 of a batch has id 99999"):
        runtime.run(pack(strange, np.arange(2)))
    with pytest.raises(InputError, match="130 places; does the tokeniser belong to the model"):
        runtime.run(pack(tokens_of([131]), np.arange(1)))


def test_buckets_of_distance_are_mpnets() -> None:
    distances = np.arange(-2000, 2001)
    theirs = MPNetEncoder.relative_position_bucket(torch.from_numpy(distances)).numpy()
    np.testing.assert_array_equal(relative_bucket(distances), theirs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_checkpoints_of_other_types_prefixes_and_names(dtype: torch.dtype, tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "tiny")
    weights = {
        f"bert.{name}": weight.to(dtype)
        for name, weight in load_file(path / "model.safetensors").items()
    }
    for name in [name for name in weights if "attention.output.LayerNorm" in name]:
        weights[
            name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
                "LayerNorm.bias", "LayerNorm.beta"
            )
        ] = weights.pop(name)
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    assert_as_torch(read_model_folder(path), tokens_of(LENGTHS[:8]))


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (
            {"model_type": "modernbert"},
            "does not run the architecture modernbert, only bert, camembert",
        ),
        ({"hidden_act": "mish"}, "has no activation mish, only gelu"),
        ({"position_embedding_type": "relative_key"}, "has absolute positions only"),
        ({"is_decoder": True}, "does not run decoders"),
        ({"quantization_config": {}}, "does not read quantised weights"),
        ({"num_attention_heads": 5}, "cannot share 32 dimensions among 5 heads"),
    ],
)
def test_what_cannot_be_run_is_said(facts: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "tiny")
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | facts))
    folder = read_model_folder(path)
    assert message in str(NativeRuntime.why_not(folder))
    with pytest.raises(ModelError, match="the native runtime " + message):
        NativeRuntime.open(folder)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "tiny")
    folder, file = read_model_folder(path), path / "model.safetensors"
    whole, weights = file.read_bytes(), load_file(file)
    name = "encoder.layer.1.output.dense.weight"

    def refused(changed: dict[str, torch.Tensor], message: str) -> None:
        save_file(changed, file)
        with pytest.raises(ModelError, match=message):
            NativeRuntime.open(folder)

    refused(
        {key: value for key, value in weights.items() if key != name},
        f"the weights lack bert.{name}",
    )
    refused(
        weights | {name: weights[name][:, :3].contiguous()},
        r"output.dense.weight is of "
        r"shape \(32, 3\); wanted \(32, 64\)",
    )
    refused(
        weights | {name: weights[name].clone().fill_(float("nan"))}, "holds NaN or infinite values"
    )
    refused(
        weights | {name: weights[name].to(torch.int32)}, "is of type I32; wanted a floating type"
    )
    for cut in (0, 5, 100, len(whole) - 1):
        file.write_bytes(whole[:cut])
        with pytest.raises(
            ModelError,
            match=r"model.safetensors: .*(could not be read|cut off or "
            r"damaged)|weights lack",
        ):
            NativeRuntime.open(folder)


@pytest.mark.parametrize("name", ["minilm", "mpnet"])
def test_real_models_give_torchs_vectors(name: str, local_model: Callable[[str], Path]) -> None:
    folder, texts = local_model(name), nasty_texts(48)[:22]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, theirs = (
            TextEncoder.open(folder, OpenOptions(runtime=runtime)).encode(texts, "query").vectors
            for runtime in ("native", "torch")
        )
    np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=0)
