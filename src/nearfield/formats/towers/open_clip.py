"""OpenCLIP's folders: open_clip_config.json beside its own names of CLIP's weights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from nearfield.errors import ModelError
from nearfield.formats.towers.towers import (
    NEAREST_CROP,
    State,
    Towers,
    TowersLayout,
    towers_contract,
)
from nearfield.store.fields import Fields, read_fields

FILE = "open_clip_config.json"
WEIGHTS = ("open_clip_model.safetensors", "model.safetensors")
# open_clip.constants.OPENAI_DATASET_MEAN and _STD
_MEAN = [0.48145466, 0.4578275, 0.40821073]
_STD = [0.26862954, 0.26130258, 0.27577711]
_RESAMPLE = {"bilinear": 2, "bicubic": 3}  # as PIL.Image.Resampling numbers them
# The settings that CLIP's architecture has; a tower with others is another architecture.
_KNOWN = {
    "vision_cfg": {
        "layers",
        "width",
        "head_width",
        "mlp_ratio",
        "patch_size",
        "image_size",
        "patch_dropout",
    },
    "text_cfg": {"context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio"},
}
_NAMES = (
    ("ln_1.", "layer_norm1."),
    ("ln_2.", "layer_norm2."),
    ("mlp.c_fc.", "mlp.fc1."),
    ("mlp.c_proj.", "mlp.fc2."),
    ("attn.out_proj.", "self_attn.out_proj."),
)
_OUTSIDE = {
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.ln_pre.weight": "vision_model.pre_layrnorm.weight",
    "visual.ln_pre.bias": "vision_model.pre_layrnorm.bias",
    "visual.ln_post.weight": "vision_model.post_layernorm.weight",
    "visual.ln_post.bias": "vision_model.post_layernorm.bias",
    "logit_scale": "logit_scale",
}
_PROJECTIONS = {
    "text_projection": "text_projection.weight",
    "visual.proj": "visual_projection.weight",
}
_BLOCK = re.compile(r"(visual\.)?transformer\.resblocks\.(\d+)\.(.+)")


def _read(path: Path) -> Towers:
    stated = read_fields(path / FILE)
    model = stated.object("model_cfg")
    text = model.object("text_cfg")
    vision = model.object("vision_cfg")
    for name, tower in (("vision_cfg", vision), ("text_cfg", text)):
        # a setting that is null or off asks for nothing
        foreign = sorted(key for key in tower if key not in _KNOWN[name] and tower[key])
        if foreign:
            raise ModelError(
                f"{path / FILE}: {name} has {', '.join(foreign)}, which CLIP's architecture has "
                "not; wanted an OpenCLIP model with CLIP's own two towers"
            )
    weights = [path / file for file in WEIGHTS if (path / file).is_file()]
    if not weights:
        raise ModelError(f"{path}: has no weights; wanted {' or '.join(WEIGHTS)}")
    dim = model.integer("embed_dim")
    length = text.integer("context_length", 77)
    size = vision.integer("image_size", 224)
    shared = {
        "projection_dim": dim,
        "hidden_act": "quick_gelu" if model.flag("quick_gelu", False) else "gelu",
    }
    texts = _tower(text, text.integer("heads", 8)) | shared
    texts |= {
        "vocab_size": text.integer("vocab_size", 49408),
        "max_position_embeddings": length,
        "eos_token_id": 2,  # asks for the place of the greatest id, as OpenCLIP does
    }
    # the image tower states the width of a head, the text tower the number of heads
    heads = vision.integer("width", 768) // vision.integer("head_width", 64)
    images = _tower(vision, heads) | shared
    images |= {"image_size": size, "patch_size": vision.integer("patch_size", 16)}
    return Towers(
        path,
        towers_contract(path, dim=dim, max_tokens=length),
        {
            "model_type": "clip",
            "projection_dim": dim,
            "text_config": texts,
            "vision_config": images,
        },
        _processor(stated.object("preprocess_cfg", {}), size),
        weights=weights[0],
        convert=_converted,
    )


def _tower(stated: Fields, heads: int) -> dict[str, Any]:
    """What transformers' configuration says of either tower; the defaults are OpenCLIP's."""
    width = stated.integer("width", 768)
    return {
        "hidden_size": width,
        "intermediate_size": int(width * stated.number("mlp_ratio", 4.0)),
        "num_hidden_layers": stated.integer("layers", 12),
        "num_attention_heads": heads,
    }


def _processor(stated: Fields, size: int) -> dict[str, Any]:
    """As open_clip.transform.image_transform does where nothing is trained."""
    mode = stated.one_of("resize_mode", ("shortest", "squash"), "shortest")
    how = stated.one_of("interpolation", tuple(_RESAMPLE), "bicubic")
    square = {"height": size, "width": size}
    return {
        "image_processor_type": "CLIPImageProcessor",
        "size": square if mode == "squash" else {"shortest_edge": size},
        "crop_size": square,
        "resample": _RESAMPLE[how],
        "image_mean": stated.get("mean", _MEAN),
        "image_std": stated.get("std", _STD),
        NEAREST_CROP: True,
    }


def _converted(state: State) -> dict[str, Any]:
    """transformers' names and shapes: query, key and value apart, projections transposed."""
    made: dict[str, Any] = {}
    for name, tensor in state.items():
        block = _BLOCK.fullmatch(name)
        if block is not None:
            made |= _block(block, tensor)
        elif name in _PROJECTIONS:
            # OpenCLIP multiplies by these from the right, a linear layer of torch from the left
            made[_PROJECTIONS[name]] = tensor.T.contiguous()
        elif name != "attn_mask":  # which older files hold, and which follows from the length
            made[_OUTSIDE.get(name, name)] = tensor
    return made


def _block(found: re.Match[str], tensor: Any) -> dict[str, Any]:
    """The tensor, or the three that it is made of, of a layer whose name was `found`."""
    visual, number, rest = found.groups()
    layer = f"{'vision' if visual else 'text'}_model.encoder.layers.{number}."
    if rest.startswith("attn.in_proj_"):
        kind = rest.removeprefix("attn.in_proj_")  # weight or bias
        pieces = zip("qkv", tensor.chunk(3), strict=True)
        return {f"{layer}self_attn.{part}_proj.{kind}": own.contiguous() for part, own in pieces}
    for old, new in _NAMES:
        if rest.startswith(old):
            rest = rest.replace(old, new)
    return {layer + rest: tensor}


LAYOUT = TowersLayout(lambda path: (path / FILE).is_file(), _read)
