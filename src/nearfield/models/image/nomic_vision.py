"""nomic-embed-vision's network: EVA-02's vision transformer, and an attention that pools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nearfield.errors import ModelError
from nearfield.formats.images.image_folder import ImageModel
from nearfield.models.backbones.backbone import refuse_unusable
from nearfield.models.image.network import Network
from nearfield.store.fields import Fields, read_fields
from nearfield.store.tensors import read_tensors, write_tensors

BASE = 10_000.0  # of the rotary angles
CHANNELS = 3


class NomicVision(Network):
    """(n, 3, height, width) float32 to (n, width), what the learned query `selector` finds among
    the last layer's states.

    Fang et al. 2023 (arXiv 2303.11331) for the layers, and the code that the published folder
    names; the weights are called as there.
    """

    def __init__(self, config: Fields, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        inner = len(weights["layers.0.mlp.fc11.weight"])
        width = config.integer("n_embd", low=1)
        heads = config.integer("n_head", low=1)
        epsilon = config.number("layer_norm_epsilon", low=0)
        self.patch = config.integer("patch_size", low=1)
        grid = config.integer("img_size", low=1) // self.patch
        # before anything as large as the config says is made
        if weights["embeddings.pos_embed"].shape != (1, 1 + grid**2, width):
            raise RuntimeError("img_size, patch_size or n_embd is another")
        if width % (4 * heads):  # a row and a column for each two numbers
            raise RuntimeError(f"{heads} heads do not share {width} numbers in fours")
        self.embeddings = nn.Module()
        self.embeddings.cls_token = nn.Parameter(torch.empty(1, 1, width))
        self.embeddings.pos_embed = nn.Parameter(torch.empty(1, 1 + grid**2, width))
        self.embeddings.proj = nn.Linear(CHANNELS * self.patch**2, width)
        self.layers = nn.ModuleList(
            Block(width, inner, heads, epsilon) for _ in range(config.integer("n_layer"))
        )
        self.selector = Selector(width, inner, heads, epsilon)
        reference = [grid, grid]
        if config.get("ref_feat_shape") is not None:
            reference = config.integers("ref_feat_shape", low=1)
        if len(reference) != 2:
            raise RuntimeError(f"ref_feat_shape has {len(reference)} numbers, not 2")
        angles = angles_of(grid, reference, width // heads)
        self.register_buffer("sines", angles.sin(), persistent=False)
        self.register_buffer("cosines", angles.cos(), persistent=False)
        self.load_state_dict(dict(weights))
        self.float()

    def forward(self, pixel_values: Tensor) -> Tensor:
        """(n, width) float32."""
        own: Any = self.embeddings
        patches = functional.unfold(pixel_values, self.patch, stride=self.patch).mT
        states = own.proj(patches)  # (n, patches, width)
        first = own.cls_token.expand(len(states), 1, -1)
        # (n, 1 + patches, width)
        states = torch.cat([first, states], 1) + own.pos_embed
        for layer in self.layers:
            states = layer(states, self.sines, self.cosines)
        made: Tensor = self.selector(states)
        return made

    def save(self, folder: Path, weights: Mapping[str, Tensor]) -> None:
        """See Network.save."""
        write_tensors(folder / "model.safetensors", weights)


class Block(nn.Module):
    """A layer: attention with rotary places, and a gated perceptron with a norm of its own."""

    def __init__(self, width: int, inner: int, heads: int, epsilon: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width, eps=epsilon)
        self.attn = nn.Module()
        self.attn.Wqkv = nn.Linear(width, 3 * width)
        self.attn.out_proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=epsilon)
        self.mlp = Gated(width, inner, norm=nn.LayerNorm(inner))

    def forward(self, states: Tensor, sines: Tensor, cosines: Tensor) -> Tensor:
        """(n, places, width), of which the first place is none in the image."""
        own: Any = self.attn
        query, key, value = own.Wqkv(self.norm1(states)).chunk(3, -1)
        query = turned(by_head(query, self.heads), sines, cosines)
        key = turned(by_head(key, self.heads), sines, cosines)
        value = by_head(value, self.heads)
        states = states + own.out_proj(attended(query, key, value))
        made: Tensor = states + self.mlp(self.norm2(states))
        return made


class Gated(nn.Module):
    """SwiGLU (Shazeer 2020, arXiv 2002.05202), the gate being the second matrix."""

    def __init__(self, width: int, inner: int, norm: nn.Module) -> None:
        super().__init__()
        self.fc11 = nn.Linear(width, inner)
        self.fc12 = nn.Linear(width, inner)
        self.norm = norm
        self.fc2 = nn.Linear(inner, width)

    def forward(self, states: Tensor) -> Tensor:
        """(..., width)."""
        gated = self.fc11(states) * functional.silu(self.fc12(states))
        made: Tensor = self.fc2(self.norm(gated))
        return made


class Selector(nn.Module):
    """One learned query over all states, and a perceptron after it."""

    def __init__(self, width: int, inner: int, heads: int, epsilon: float) -> None:
        super().__init__()
        self.heads = heads
        self.attn = nn.Module()
        self.attn.latent = nn.Parameter(torch.empty(1, 1, width))
        self.attn.Wq = nn.Linear(width, width)
        self.attn.Wkv = nn.Linear(width, 2 * width)
        self.attn.out_proj = nn.Linear(width, width)
        self.norm1 = nn.LayerNorm(width, eps=epsilon)
        self.mlp = Gated(width, inner, norm=nn.Identity())

    def forward(self, states: Tensor) -> Tensor:
        """(n, places, width) to (n, width)."""
        own: Any = self.attn
        latent = own.latent.expand(len(states), 1, -1)
        query = by_head(own.Wq(latent), self.heads)
        key, value = own.Wkv(states).chunk(2, -1)
        seen = attended(query, by_head(key, self.heads), by_head(value, self.heads))
        found = own.out_proj(seen)
        made: Tensor = (found + self.mlp(self.norm1(found)))[:, 0]
        return made


def angles_of(grid: int, reference: Sequence[int], dim: int) -> Tensor:
    """(grid x grid, dim): the angle by which each two numbers of a head are turned at each patch:
    the first half of them by its row, the second by its column.
    """
    bands = BASE ** -(torch.arange(dim // 4) / (dim // 4))
    # places as they were in images of the `reference` size, which the layers were trained on
    rows, columns = [torch.arange(grid) / grid * size for size in reference]
    places = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), -1)
    angles = places[..., None] * bands  # (grid, grid, 2, dim / 4)
    return angles.reshape(grid**2, -1).repeat_interleave(2, -1)


def turned(states: Tensor, sines: Tensor, cosines: Tensor) -> Tensor:
    """(n, heads, places, dim) with every place but the first turned."""
    first = states[:, :, :1]
    rest = states[:, :, 1:]
    # each two numbers (x, y) become (-y, x), their quarter turn
    across = torch.stack([-rest[..., 1::2], rest[..., ::2]], -1).flatten(-2)
    return torch.cat([first, rest * cosines + across * sines], 2)


def by_head(states: Tensor, heads: int) -> Tensor:
    """(n, places, width) to (n, heads, places, width / heads)."""
    count, places, width = states.shape
    return states.reshape(count, places, heads, width // heads).transpose(1, 2)


def attended(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """(n, places, width), what each place of the query finds."""
    found = functional.scaled_dot_product_attention(query, key, value)
    return found.transpose(1, 2).flatten(2)


def open_network(folder: ImageModel) -> NomicVision:
    """Raises ModelError where weights are missing or do not fit."""
    config = read_fields(folder.path / "config.json")
    refuse_unusable(config, folder.path)
    try:
        return NomicVision(config, read_tensors(folder.path / "model.safetensors"))
    except (KeyError, RuntimeError) as error:
        raise ModelError(
            f"{folder.path}: the weights are not those of a NomicVisionModel: "
            f"{' '.join(str(error).split())}"
        ) from error
