from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional
from transformers import AutoImageProcessor, AutoModel

import nearfield as nf
from conftest import LOCAL_MODELS
from nearfield.errors import InputError, ModelError
from towers import BLOCKS, PIXELS, images_of_each_kind, tiny_image_model, write_json


@pytest.mark.parametrize("kind", ["vit", "dinov2", "convnext"])
def test_vectors_are_those_of_transformers(kind: str, tmp_path: Path) -> None:
    folder = tiny_image_model(tmp_path / "model", kind)
    paths = images_of_each_kind(tmp_path / "images", 4)[:3]
    model, encoder = AutoModel.from_pretrained(folder), nf.load(folder)
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    from nearfield.data.readers.image import open_image

    pixels = processor(images=[open_image(path) for path in paths], return_tensors="pt")
    with torch.inference_mode():
        made = model.eval()(**pixels)
    # a ViT's own pooler is not published with its weights; DINOv2's is the first token
    state = made.last_hidden_state[:, 0] if kind == "vit" else made.pooler_output
    expected = functional.normalize(state, dim=-1).numpy()
    found = np.asarray(encoder.encode(paths))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert encoder.contract.dim == expected.shape[1]
    with pytest.raises(InputError, match="is a model of images alone; join it"):
        encoder.encode(["a cat"])


def same(values: Any, weight: Any, stride: int, groups: int = 1) -> Any:
    """A convolution as TensorFlow pads it."""
    size, kernel = values.shape[-1], weight.shape[-1]
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    edge = [total // 2, total - total // 2] * 2
    return functional.conv2d(functional.pad(values, edge), weight, None, stride, 0, 1, groups)


def reference(weights: dict[str, Any], values: Any) -> Any:
    """EfficientNet-Lite step by step, normalisation unfolded."""

    def norm(given: Any, name: str) -> Any:
        parts = (f"{name}.{part}" for part in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(given, *(weights[part] for part in parts), eps=1e-3)

    values = functional.relu6(norm(same(values, weights["_conv_stem.weight"], 2), "_bn0"))
    for number, (before, after, factor, _, stride) in enumerate(BLOCKS):
        block, given = f"_blocks.{number}.", values
        if factor > 1:
            values = same(values, weights[f"{block}_expand_conv.weight"], 1)
            values = functional.relu6(norm(values, f"{block}_bn0"))
        weight = weights[f"{block}_depthwise_conv.weight"]
        values = norm(same(values, weight, stride, len(weight)), f"{block}_bn1")
        values = same(functional.relu6(values), weights[f"{block}_project_conv.weight"], 1)
        values = norm(values, f"{block}_bn2")
        if before == after and stride == 1:
            values = values + given
    head = same(values, weights["_conv_head.weight"], 1)
    return functional.relu6(norm(head, "_bn1")).mean((2, 3))


@pytest.mark.parametrize("size", [32, 45])
def test_efficientnet_lite_is_what_its_layers_make(size: int, tmp_path: Path) -> None:
    folder = tiny_image_model(tmp_path / "model", "efficientnet-lite")
    encoder: Any = nf.load(folder)
    values = torch.randn(2, 3, size, size)
    expected = reference(load_file(folder / "model.safetensors"), values)
    with torch.inference_mode():
        found = encoder.tower.images({"pixel_values": values})
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert encoder.encode([PIXELS]).shape == (1, 16)


def test_published_efficientnet_lite_sees_likeness(shared_data: Path) -> None:
    """The weights of ImageNet put two clock faces nearer to each other than to a flag."""
    folder = LOCAL_MODELS / "efficientnet-lite0"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there; ../shared/tools/get_models.py efficientnet-lite0")
    encoder = nf.load(folder)
    images = shared_data / "emoji" / "images"
    names = ("1F550.png", "1F551.png", "1F1E9-1F1EA.png")
    clock, later, flag = np.asarray(encoder.encode([images / name for name in names]))
    assert clock @ later > clock @ flag + 0.1


def test_a_damaged_image_model_is_refused(tmp_path: Path) -> None:
    vit = tiny_image_model(tmp_path / "vit", "vit")
    config = json.loads((vit / "config.json").read_text())
    write_json(vit / "config.json", config | {"num_hidden_layers": 10**20})
    with pytest.raises(ModelError, match=r"num_hidden_layers is 1[0,]+; at most 1,000"):
        nf.load(vit)
    (vit / "config.json").write_text(json.dumps(config | {"hidden_dropout_prob": math.nan}))
    with pytest.raises(ModelError, match="hidden_dropout_prob is NaN"):
        nf.load(vit)
    write_json(vit / "config.json", config)
    (vit / "preprocessor_config.json").unlink()
    with pytest.raises(ModelError, match="no preprocessor_config"):
        nf.load(vit)
    write_json(vit / "preprocessor_config.json", {"image_processor_type": "Strange"})
    with pytest.raises(ModelError, match="prepares images with Strange; wanted one of CLIP"):
        nf.load(vit)
    lite = tiny_image_model(tmp_path / "lite", "efficientnet-lite")
    from safetensors.torch import save_file

    weights = load_file(lite / "model.safetensors")
    weights.pop("_blocks.1._bn1.bias")
    save_file(weights, lite / "model.safetensors")
    with pytest.raises(ModelError, match="are not those of an EfficientNet-Lite"):
        nf.load(lite)
