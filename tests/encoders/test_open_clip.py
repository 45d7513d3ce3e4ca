"""OpenCLIP's own models and losses as oracles; its image transform wants torchvision, which has no
place beside this torch, and is stood in for by the documented steps.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import nearfield as nf
from nearfield.encoders.image.two_tower import TwoTowerEncoder
from nearfield.errors import ModelError
from nearfield.train.runs.joined import image_training
from towers import LENGTH, TEXTS, WORDS, images_of_each_kind, tokeniser, write_json

CONFIG: dict[str, Any] = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 8, "patch_size": 8},
    "text_cfg": {
        "context_length": LENGTH,
        "vocab_size": len(WORDS) + 4,
        "width": 16,
        "heads": 4,
        "layers": 3,
    },
}
MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.3, 0.4]


class _Members(type):
    """Of a class that has every member."""

    def __getattr__(cls, name: str) -> str:
        return name


class _Anything(ModuleType):
    """A module that has every name, each a class that does nothing."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Members(name, (), {})


@pytest.fixture(scope="module")
def open_clip() -> Iterator[Any]:
    names = [f"torchvision{rest}" for rest in ("", ".ops", ".ops.misc", ".transforms")]
    stood_in = {name: _Anything(name) for name in [*names, "torchvision.transforms.functional"]}
    with pytest.MonkeyPatch.context() as patch:
        for name, module in stood_in.items():
            patch.setitem(sys.modules, name, module)
            parent, _, own = name.rpartition(".")
            if parent:
                setattr(stood_in[parent], own, module)
        patch.setitem(sys.modules, "timm", None)
        yield pytest.importorskip("open_clip", reason="open_clip_torch is not installed")
        for name in [name for name in sys.modules if name.split(".")[0] == "open_clip"]:
            del sys.modules[name]


@pytest.fixture(params=[False, True], ids=["gelu", "quick_gelu"])
def pair(open_clip: Any, request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Any, Path]:
    """OpenCLIP's model, and its folder as OpenCLIP pushes it to the hub."""
    torch.manual_seed(0)
    config = CONFIG | {"quick_gelu": request.param}
    model = open_clip.CLIP(**config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    save_file(
        {k: v.contiguous() for k, v in model.state_dict().items()},
        tmp_path / "open_clip_model.safetensors",
    )
    stated = {"model_cfg": config, "preprocess_cfg": {"mean": MEAN, "std": STD}}
    write_json(tmp_path / "open_clip_config.json", stated)
    tokeniser(tmp_path)
    return model, tmp_path


def prepared(image: Image.Image, size: int = 32) -> torch.Tensor:
    """open_clip.transform.image_transform: shortest side, middle, 0 to 1, mean and deviation."""
    scale = size / min(image.size)
    sides = [size if side == min(image.size) else int(side * scale) for side in image.size]
    image = image.resize((sides[0], sides[1]), Image.Resampling.BICUBIC)
    left, top = (side - size for side in image.size)
    left, top = round(left / 2), round(top / 2)  # as torchvision's center_crop
    image = image.crop((left, top, left + size, top + size))
    pixels = torch.from_numpy(np.asarray(image.convert("RGB")).copy()).permute(2, 0, 1) / 255
    return (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


@pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
def test_a_trained_model_is_saved_with_the_same_vectors(
    pair: tuple[Any, Path], tmp_path: Path
) -> None:
    kind, facts = image_training(pair[1])
    training = kind.begin(facts, kind.start(facts), precision="float32", device="cpu")
    training.save(tmp_path / "saved", training.logits)
    before, after = nf.load(pair[1]), nf.load(tmp_path / "saved")
    images = images_of_each_kind(tmp_path / "images", 3)
    np.testing.assert_allclose(after.encode(images), before.encode(images), atol=1e-6)
    np.testing.assert_allclose(after.encode(TEXTS), before.encode(TEXTS), atol=1e-6)
    assert after.logits == pytest.approx(before.logits)
    assert after.contract.max_tokens == before.contract.max_tokens


@pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
def test_features_are_those_of_open_clip(pair: tuple[Any, Path], tmp_path: Path) -> None:
    model, folder = pair
    encoder = nf.load(folder)
    assert isinstance(encoder, TwoTowerEncoder)
    given = encoder.model.tokeniser(
        TEXTS, padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt"
    )["input_ids"]
    from nearfield.data.readers.image import open_image

    images = images_of_each_kind(tmp_path / "images")
    pixels = torch.stack([prepared(open_image(path)) for path in images])
    torch.testing.assert_close(
        encoder.model.prepared([open_image(path) for path in images])["pixel_values"],
        pixels,
        rtol=0,
        atol=1e-5,
    )
    with torch.inference_mode():
        texts = model.encode_text(given, normalize=True).numpy()
        seen = model.encode_image(pixels, normalize=True).numpy()
    np.testing.assert_allclose(encoder.encode(TEXTS), texts, atol=1e-5)
    np.testing.assert_allclose(encoder.encode(images), seen, atol=1e-5)
    assert np.abs(texts @ texts.T - 1).max() > 1e-3
    assert np.abs(seen @ seen.T - 1).max() > 1e-3
    assert encoder.model.logits.scale == pytest.approx(model.logit_scale.exp().item(), rel=1e-6)


def test_another_architecture_is_named(tmp_path: Path) -> None:
    foreign = CONFIG | {"vision_cfg": {"timm_model_name": "vit_base_patch16_siglip_224"}}
    write_json(tmp_path / "open_clip_config.json", {"model_cfg": foreign})
    with pytest.raises(ModelError, match="vision_cfg has timm_model_name, which CLIP's"):
        nf.load(tmp_path)


def test_losses_and_gradients_are_those_of_open_clip(open_clip: Any) -> None:
    """Of unit vectors; whole or in chunks."""
    from open_clip.loss import ClipLoss, SigLipLoss

    from nearfield.train.objectives.both_ways import clip
    from nearfield.train.objectives.sigmoid import sigmoid

    torch.manual_seed(0)
    pairs = [torch.randn(30, 16) for _ in range(2)]
    scale, bias = torch.tensor(7.0), torch.tensor(-3.0)

    def found(loss: Any) -> list[torch.Tensor]:
        given = [torch.nn.functional.normalize(each, dim=1).requires_grad_() for each in pairs]
        value = loss(*given)
        return [value.detach(), *torch.autograd.grad(value, given)]

    def across(gradient: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        """Without its part along the vectors: `clip` makes them of unit length, and they are."""
        unit = torch.nn.functional.normalize(at, dim=1)
        return gradient - (gradient * unit).sum(1, keepdim=True) * unit

    def alike(mine: list[torch.Tensor], theirs: list[torch.Tensor]) -> None:
        torch.testing.assert_close(mine[0], theirs[0], rtol=0, atol=1e-5)
        for own, other, at in zip(mine[1:], theirs[1:], pairs, strict=True):
            torch.testing.assert_close(across(own, at), across(other, at), rtol=0, atol=1e-5)

    alike(
        found(lambda a, b: clip(a, b, temperature=1 / scale)),
        found(lambda a, b: ClipLoss()(a, b, scale)),
    )
    theirs = found(lambda a, b: SigLipLoss()(a, b, scale, bias))
    for chunk in (7, 1024):
        one = partial(sigmoid, temperature=1 / scale, bias=bias, chunk=chunk)
        alike(found(one), theirs)
