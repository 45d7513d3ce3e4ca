"""nomic-embed-vision's layout, without its code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import nearfield as nf
from nearfield.encoders.image.images import ImageEncoder
from nearfield.errors import InputError, ModelError
from nomic_vision import CONFIG, GRID, HEADS, LAYERS, PATCH, SIDE, WIDTH, tiny
from towers import images_of_each_kind


class Reference:
    """One image, step by step in float64, as the code that the folder names does it."""

    def __init__(self, folder: Path) -> None:
        file = load_file(folder / "model.safetensors")
        self.weights = {name: weight.double().numpy() for name, weight in file.items()}

    def linear(self, values: Any, name: str) -> Any:
        return values @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def norm(self, values: Any, name: str, epsilon: float) -> Any:
        centred = values - values.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
        return scaled * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def perceptron(self, values: Any, name: str, *, normed: bool) -> Any:
        gate = self.linear(values, f"{name}.fc12")
        inner = self.linear(values, f"{name}.fc11") * gate / (1 + np.exp(-gate))
        if normed:
            inner = self.norm(inner, f"{name}.norm", 1e-5)
        return self.linear(inner, f"{name}.fc2")

    def heads(self, query: Any, key: Any, value: Any, *, rotary: bool) -> Any:
        size = WIDTH // HEADS
        found = []
        for at in range(HEADS):
            own = slice(at * size, (at + 1) * size)
            asked, held = query[:, own], key[:, own]
            if rotary:
                asked, held = turned(asked), turned(held)
            scores = asked @ held.T / np.sqrt(size)
            shares = np.exp(scores - scores.max(-1, keepdims=True))
            found.append(shares / shares.sum(-1, keepdims=True) @ value[:, own])
        return np.concatenate(found, -1)

    def __call__(self, pixels: Any) -> Any:
        """(3, side, side) to (width,)."""
        patches = []
        for row in range(GRID):
            for column in range(GRID):
                rows = slice(row * PATCH, (row + 1) * PATCH)
                columns = slice(column * PATCH, (column + 1) * PATCH)
                patches.append(pixels[:, rows, columns].reshape(-1))
        states = self.linear(np.stack(patches), "embeddings.proj")
        states = np.concatenate([self.weights["embeddings.cls_token"][0], states])
        states = states + self.weights["embeddings.pos_embed"][0]
        for at in range(LAYERS):
            layer = f"layers.{at}"
            given = self.linear(self.norm(states, f"{layer}.norm1", 1e-6), f"{layer}.attn.Wqkv")
            made = self.heads(*np.split(given, 3, -1), rotary=True)
            states = states + self.linear(made, f"{layer}.attn.out_proj")
            given = self.norm(states, f"{layer}.norm2", 1e-6)
            states = states + self.perceptron(given, f"{layer}.mlp", normed=True)
        query = self.linear(self.weights["selector.attn.latent"][0], "selector.attn.Wq")
        key, value = np.split(self.linear(states, "selector.attn.Wkv"), 2, -1)
        made = self.heads(query, key, value, rotary=False)
        made = self.linear(made, "selector.attn.out_proj")
        normed = self.norm(made, "selector.norm1", 1e-6)
        return (made + self.perceptron(normed, "selector.mlp", normed=False))[0]


def turned(states: Any) -> Any:
    """Each pair of numbers as a complex one, turned by the patch's row, those of the second half by
    its column; the first place is no patch.
    """
    size = states.shape[1]
    bands = 10_000.0 ** -(np.arange(size // 4) / (size // 4))
    pairs = states[:, ::2] + 1j * states[:, 1::2]
    for row in range(GRID):
        for column in range(GRID):
            angles = np.concatenate([row * bands, column * bands])
            pairs[1 + row * GRID + column] *= np.exp(1j * angles)
    return np.stack([pairs.real, pairs.imag], -1).reshape(states.shape)


def test_it_is_what_the_published_code_computes(tmp_path: Path) -> None:
    folder = tiny(tmp_path / "model")
    encoder = nf.load(folder)
    assert isinstance(encoder, ImageEncoder)
    reference = Reference(folder)
    pixels = torch.randn(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        found = encoder.tower.images({"pixel_values": pixels}).numpy()
    expected = np.stack([reference(image) for image in pixels.double().numpy()])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    vectors = np.asarray(encoder.encode(images_of_each_kind(tmp_path / "images", 3)))
    assert vectors.shape == (3, WIDTH)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"prenorm": False}, "prenorm is False; wanted True"),
        ({"activation_function": "gelu"}, "activation_function is 'gelu'; wanted 'swiglu'"),
        ({"n_layer": 3}, "are not those of a NomicVisionModel: "),
        ({"img_size": 64}, "are not those of a NomicVisionModel: "),
        ({"n_embd": "many"}, "n_embd"),
        ({"ref_feat_shape": [0, 4]}, "ref_feat_shape"),
        ({"ref_feat_shape": [4]}, "ref_feat_shape has 1 numbers, not 2"),
        ({"n_layer": 10**9}, "n_layer is 1,000,000,000; at most"),
        ({"img_size": 2**30}, "img_size, patch_size or n_embd is another"),
        ({"patch_size": 0}, "patch_size"),
        ({"n_head": 0}, "n_head"),
        ({"n_head": 3}, "3 heads do not share 32 numbers in fours"),
    ],
)
def test_what_it_cannot_be_is_refused(changed: dict[str, Any], said: str, tmp_path: Path) -> None:
    folder = tiny(tmp_path / "model")
    (folder / "config.json").write_text(json.dumps(CONFIG | changed))
    with pytest.raises((ModelError, InputError), match=said):
        nf.load(folder)
