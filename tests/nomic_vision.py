"""A tiny model in nomic-embed-vision's published layout."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import CLIPImageProcessorPil

WIDTH, HEADS, LAYERS, INNER, PATCH, SIDE = 32, 2, 2, 24, 8, 32
GRID = SIDE // PATCH
CONFIG = {
    "architectures": ["NomicVisionModel"],
    "auto_map": {
        "AutoConfig": "nomic-ai/nomic-bert-2048--configuration_hf_nomic_bert.NomicBertConfig",
        "AutoModel": "nomic-ai/nomic-bert-2048--modeling_hf_nomic_bert.NomicVisionModel",
    },
    "model_type": "nomic_bert",
    "activation_function": "swiglu",
    "img_size": SIDE,
    "layer_norm_epsilon": 1e-6,
    "learned_pos_embedding": False,
    "n_embd": WIDTH,
    "n_head": HEADS,
    "n_inner": float(INNER),
    "n_layer": LAYERS,
    "norm_mlp": True,
    "patch_size": PATCH,
    "prenorm": True,
    "ref_feat_shape": [GRID, GRID],
    "use_rotary_pos_emb": True,
}


def tiny(folder: Path) -> Path:
    """Random weights by the published names."""
    draw = torch.Generator().manual_seed(0)
    made: dict[str, torch.Tensor] = {}

    def plain(name: str, *shape: int) -> None:
        made[name] = torch.randn(*shape, generator=draw) * 0.5

    def linear(name: str, into: int, out: int) -> None:
        made[f"{name}.weight"] = torch.randn(out, into, generator=draw) / into**0.5
        plain(f"{name}.bias", out)

    def norm(name: str, width: int) -> None:
        made[f"{name}.weight"] = 1 + torch.randn(width, generator=draw) * 0.2
        plain(f"{name}.bias", width)

    def perceptron(name: str) -> None:
        linear(f"{name}.fc11", WIDTH, INNER)
        linear(f"{name}.fc12", WIDTH, INNER)
        linear(f"{name}.fc2", INNER, WIDTH)

    plain("embeddings.cls_token", 1, 1, WIDTH)
    plain("embeddings.pos_embed", 1, 1 + GRID**2, WIDTH)
    linear("embeddings.proj", 3 * PATCH**2, WIDTH)
    for at in range(LAYERS):
        linear(f"layers.{at}.attn.Wqkv", WIDTH, 3 * WIDTH)
        linear(f"layers.{at}.attn.out_proj", WIDTH, WIDTH)
        norm(f"layers.{at}.norm1", WIDTH)
        norm(f"layers.{at}.norm2", WIDTH)
        perceptron(f"layers.{at}.mlp")
        norm(f"layers.{at}.mlp.norm", INNER)
    plain("selector.attn.latent", 1, 1, WIDTH)
    linear("selector.attn.Wq", WIDTH, WIDTH)
    linear("selector.attn.Wkv", WIDTH, 2 * WIDTH)
    linear("selector.attn.out_proj", WIDTH, WIDTH)
    norm("selector.norm1", WIDTH)
    perceptron("selector.mlp")
    folder.mkdir(parents=True)
    save_file(made, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    square = {"height": SIDE, "width": SIDE}
    CLIPImageProcessorPil(size=square, do_center_crop=False).save_pretrained(folder)
    return folder
