"""Tiny random models of images and text, in the layouts in which such models are published, and
images of each kind.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    PreTrainedTokenizerFast,
    Siglip2Config,
    Siglip2ImageProcessorPil,
    Siglip2Model,
    SiglipConfig,
    SiglipImageProcessorPil,
    SiglipModel,
)

WORDS = [
    "a",
    "photo",
    "of",
    "the",
    "red",
    "green",
    "blue",
    "cat",
    "dog",
    "house",
    "tree",
    "star",
    "face",
]
LENGTH = 12
TEXTS = ["a photo of a cat", "red", "the green house of the blue dog " * 4, ""]
_TOWER: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
PIXELS = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
KINDS = ("clip", "siglip", "siglip2")


def tokeniser(folder: Path) -> None:
    """Words between <start> and <end>; <end> has the greatest id, as CLIP's has."""
    words = ["<pad>", "<unk>", *WORDS, "<start>", "<end>"]
    ids = {word: at for at, word in enumerate(words)}
    made = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]
    made.post_processor = processors.TemplateProcessing(  # type: ignore[assignment]
        single="<start> $A <end>",
        special_tokens=[("<start>", ids["<start>"]), ("<end>", ids["<end>"])],
    )
    PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="<pad>",
        unk_token="<unk>",
        eos_token="<end>",
        model_input_names=["input_ids"],
        model_max_length=LENGTH,
    ).save_pretrained(folder)


def tiny_towers(folder: Path, kind: str) -> Path:
    """A folder as transformers writes it, with random weights."""
    torch.manual_seed(0)
    size = len(WORDS) + 4
    text = _TOWER | {
        "vocab_size": size,
        "max_position_embeddings": LENGTH,
        "bos_token_id": size - 2,
        "eos_token_id": size - 1,
        "pad_token_id": 0,
    }
    vision = _TOWER | {"image_size": 32, "patch_size": 8}
    square = {"height": 32, "width": 32}
    if kind == "clip":
        model: Any = CLIPModel(
            CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)
        )
        processor: Any = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=square)
    elif kind == "siglip":
        model = SiglipModel(SiglipConfig(text_config=text, vision_config=vision))
        processor = SiglipImageProcessorPil(size=square)
    else:
        patches = _TOWER | {"patch_size": 8, "num_patches": 16}
        model = Siglip2Model(Siglip2Config(text_config=text, vision_config=patches))
        processor = Siglip2ImageProcessorPil(patch_size=8, max_num_patches=16)
    with torch.no_grad():
        for weight in model.parameters():  # else a tower's outputs are nearly equal
            weight.add_(torch.randn_like(weight) * 0.1)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    tokeniser(folder)
    return folder


def images_of_each_kind(folder: Path, count: int = 24) -> list[Path]:
    """Files of every mode and format that are opened, of different sizes, of coloured noise."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(0)
    made = []
    for number in range(count):
        height, width = draw.integers(20, 90, 2).tolist()
        small = draw.integers(0, 256, (5, 4, 4), np.uint8)
        image = Image.fromarray(small, "RGBA").resize((width, height), Image.Resampling.BICUBIC)
        made.append(save(image, folder / f"{number:03}", number))
    return made


def save(image: Image.Image, stem: Path, number: int) -> Path:
    """The RGBA image in one of ten ways of storing it."""
    kind = number % 10
    rgb = image.convert("RGB")
    path = stem.with_suffix(
        (".png", ".jpg", ".png", ".jpg", ".png", ".gif", ".webp", ".bmp", ".png", ".jpg")[kind]
    )
    if kind == 0:
        image.save(path)
    elif kind == 1:
        exif = Image.Exif()
        exif[0x0112] = 1 + number % 8
        rgb.save(path, exif=exif)
    elif kind == 2:
        rgb.quantize(16).save(path)
    elif kind == 3:
        rgb.convert("CMYK").save(path)
    elif kind == 4:
        Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 257).save(path)
    elif kind == 5:
        rgb.save(path, save_all=True, append_images=[rgb.transpose(Image.Transpose.ROTATE_180)])
    elif kind == 8:
        image.convert("LA").save(path)
    elif kind == 9:
        rgb.convert("L").save(path)
    else:
        rgb.save(path)
    return path


def png(array: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, "png")
    return file.getvalue()


def bad_files(folder: Path) -> dict[str, str]:
    """Files that are called images and are none, each with what is said of it."""
    whole = png(PIXELS)
    header = b"BM" + bytes(8) + (54).to_bytes(4, "little") + (40).to_bytes(4, "little")
    huge = header + (60_000).to_bytes(4, "little") * 2 + b"\1\0\x18\0" + bytes(24)
    files = {
        "empty.png": (b"", "is empty; wanted an image"),
        "truncated.png": (whole[: len(whole) // 2], "is a damaged image: "),
        "corrupt.png": (whole[:60] + b"????" + whole[64:], "is a damaged image: "),
        "text.jpg": (b"no image at all", "is no image that can be read"),
        "huge.bmp": (huge, "is too large: "),
    }
    for name, (content, _) in files.items():
        (folder / name).write_bytes(content)
    return {name: why for name, (_, why) in files.items()}


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value))


def tiny_image_model(folder: Path, kind: str) -> Path:
    """The folder of an image encoder with random weights, as transformers writes it; or of an
    EfficientNet-Lite, whose weights alone are published.
    """
    from safetensors.torch import save_file
    from transformers import (
        BitImageProcessorPil,
        ConvNextConfig,
        ConvNextImageProcessorPil,
        ConvNextModel,
        Dinov2Config,
        Dinov2Model,
        ViTConfig,
        ViTImageProcessorPil,
        ViTModel,
    )

    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "efficientnet-lite":
        save_file(efficientnet_weights(), folder / "model.safetensors")
        return folder
    square = {"height": 32, "width": 32}
    sized = _TOWER | {"image_size": 32, "patch_size": 8}
    if kind == "vit":
        model: Any = ViTModel(ViTConfig(**sized), add_pooling_layer=False)
        processor: Any = ViTImageProcessorPil(size=square)
    elif kind == "dinov2":
        model = Dinov2Model(Dinov2Config(**sized))
        processor = BitImageProcessorPil(size={"shortest_edge": 32}, crop_size=square)
    else:
        sizes = {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2}
        model = ConvNextModel(ConvNextConfig(**sizes))
        processor = ConvNextImageProcessorPil(size={"shortest_edge": 32})
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


# channels into and out of each block, the factor between, the kernel and the stride
BLOCKS = [(8, 4, 1, 3, 1), (4, 6, 2, 3, 2), (6, 6, 2, 3, 1), (6, 8, 2, 5, 2)]


def efficientnet_weights() -> dict[str, Any]:
    """Random weights of BLOCKS between a stem and a head, by the names of the published ones."""
    made: dict[str, Any] = {}

    def layer(name: str, norm: str, *shape: int) -> None:
        made[f"{name}.weight"] = torch.randn(*shape) / torch.tensor(shape[1:]).prod() ** 0.5
        made[f"{norm}.weight"] = torch.rand(shape[0]) + 0.5
        made[f"{norm}.bias"] = torch.randn(shape[0]) * 0.1
        made[f"{norm}.running_mean"] = torch.randn(shape[0]) * 0.1
        made[f"{norm}.running_var"] = torch.rand(shape[0]) + 0.5
        made[f"{norm}.num_batches_tracked"] = torch.tensor(1)

    layer("_conv_stem", "_bn0", 8, 3, 3, 3)
    for number, (before, after, factor, kernel, _) in enumerate(BLOCKS):
        block, inner = f"_blocks.{number}.", before * factor
        if factor > 1:
            layer(f"{block}_expand_conv", f"{block}_bn0", inner, before, 1, 1)
        layer(f"{block}_depthwise_conv", f"{block}_bn1", inner, 1, kernel, kernel)
        layer(f"{block}_project_conv", f"{block}_bn2", after, inner, 1, 1)
    layer("_conv_head", "_bn1", 16, 8, 1, 1)
    return made
