"""Dense modules against sentence-transformers'."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sentence_transformers.base.modules import Dense
from torch import nn

from nearfield.errors import InputError, ModelError, NearfieldError
from nearfield.models.heads.layer import Layer

ACTIVATIONS = (nn.Identity(), nn.Tanh(), nn.ReLU(), nn.GELU(), nn.Sigmoid(), nn.SiLU())


@pytest.mark.parametrize(
    "activation", ACTIVATIONS, ids=lambda activation: type(activation).__name__
)
@pytest.mark.parametrize(("out", "residual"), [(5, False), (6, True), (5, True)])
def test_gives_sentence_transformers_vectors(
    activation: nn.Module, out: int, residual: bool, tmp_path: Path
) -> None:
    peer = Dense(6, out, activation_function=activation, use_residual=residual)
    peer.save(str(tmp_path))
    vectors = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    wanted = peer({"sentence_embedding": vectors})["sentence_embedding"]
    without_torch = Layer.open(tmp_path)(vectors.numpy())
    layer = Layer.open(tmp_path)
    layer.train("cpu")
    torch.testing.assert_close(layer(vectors), wanted)
    for name, weight in peer.state_dict().items():
        torch.testing.assert_close(layer.stored()[name], weight)
    assert without_torch.dtype == np.float32
    np.testing.assert_allclose(without_torch, wanted.detach().numpy(), atol=1e-6)


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_a_matrix_among_the_backbones_weights(file: str, tmp_path: Path) -> None:
    weights = {"linear.weight": torch.randn(3, 6), "embeddings.position_ids": torch.arange(4)}
    save_file(weights, tmp_path / file) if file.endswith("safetensors") else torch.save(
        weights, tmp_path / file
    )
    found = Layer.inline(tmp_path, "linear.weight").weights["linear.weight"]
    np.testing.assert_array_equal(found, weights["linear.weight"].numpy())
    with pytest.raises(ModelError, match="the weights lack other"):
        Layer.inline(tmp_path, "other")


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b"null",
        b'{"in_features": 6}',
        b"\xff",
        b'{"in_features": 6, "out_features": true}',
    ],
)
def test_a_config_that_is_none_is_refused(content: bytes, tmp_path: Path) -> None:
    Dense(6, 5).save(str(tmp_path))
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(NearfieldError, match=r"config\.json"):
        Layer.open(tmp_path)
    (tmp_path / "config.json").write_text(
        '{"in_features": 6, "out_features": 5, "activation_function": ["x"]}'
    )
    with pytest.raises(InputError, match=r"activation_function is .*; wanted a text"):
        Layer.open(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(InputError, match="does not exist"):
        Layer.open(tmp_path)


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    Dense(6, 5).save(str(tmp_path))
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"out_features": 4}))
    with pytest.raises(ModelError, match="the weights do not fit its config"):
        Layer.open(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no model\.safetensors and no pytorch_model\.bin"):
        Layer.open(tmp_path)
    torch.save(Dense(6, 4).state_dict(), tmp_path / "pytorch_model.bin")
    assert Layer.open(tmp_path)(np.ones((2, 6), np.float32)).shape == (2, 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"activation_function": "torch.nn.modules.activation.ELU"},
            'activation_function is "torch.nn.modules.activation.ELU"; wanted',
        ),
        ({"rank": 3}, "states rank, which is not honoured here"),
    ],
)
def test_a_module_that_is_not_honoured_is_refused(
    change: dict[str, object], message: str, tmp_path: Path
) -> None:
    Dense(6, 5).save(str(tmp_path))
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(ModelError, match=message):
        Layer.open(tmp_path)
