"""Images as they go through a network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nearfield.encoders.image.images import seen


class Recording(torch.nn.Module):
    """A network whose patches are `patch` pixels wide, and how many images each call had."""

    def __init__(self, patch: int) -> None:
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 4, patch, stride=patch)
        self.calls: list[int] = []

    def prepared(self, images: Sequence[Any]) -> dict[str, torch.Tensor]:
        pixels = np.stack([np.asarray(image.resize((32, 32)), np.float32) for image in images])
        return {"pixel_values": torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255}

    def images(self, prepared: dict[str, torch.Tensor]) -> torch.Tensor:
        self.calls.append(len(prepared["pixel_values"]))
        made: torch.Tensor = self.layer(prepared["pixel_values"]).mean((2, 3))
        return made


@pytest.mark.parametrize(("patch", "calls"), [(32, [32, 8]), (16, [8] * 5), (14, [8] * 5)])
def test_a_call_has_about_as_many_patches_whatever_their_size(patch: int, calls: list[int]) -> None:
    torch.manual_seed(0)
    tower = Recording(patch)
    draw = np.random.default_rng(0)
    images = [Image.fromarray(draw.integers(0, 256, (40, 40, 3), np.uint8)) for _ in range(40)]
    found: Iterator[tuple[Sequence[int], Any]] = seen(tower, images, range(40))
    rows = {
        place: vector for at, vectors in found for place, vector in zip(at, vectors, strict=True)
    }
    assert tower.calls == calls
    assert list(rows) == list(range(40))
    with torch.inference_mode():
        alone = tower.images(tower.prepared(images[7:8]))
    np.testing.assert_allclose(rows[7], torch.nn.functional.normalize(alone)[0], atol=1e-6)
