"""EfficientNet-Lite, as its published weights say: their shapes give its width and depth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from nearfield.errors import ModelError
from nearfield.formats.images.image_folder import ImageModel
from nearfield.models.image.network import Network
from nearfield.store.tensors import read_tensors, write_tensors

STRIDES = (1, 2, 2, 2, 1, 2, 1)
"""Of the first block of each stage; a stage begins where a block's number of channels changes."""
EPSILON = 1e-3  # of its batch normalisation


class EfficientNetLite(Network):
    """(n, 3, height, width) float32 to (n, 1280): the mean over all places of the last layer.

    Tan and Le 2019 (arXiv 1905.11946) without squeeze-and-excitation and with ReLU6, padded as
    TensorFlow does. Batch normalisation is folded into the convolution before it.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.stem = Convolution(weights, "_conv_stem", "_bn0", stride=2)
        inner = [name for name in weights if name.startswith("_blocks")]  # "_blocks.0._bn0.bias"
        blocks = sorted({int(name.split(".")[1]) for name in inner})
        self.blocks = nn.ModuleList()
        stage = -1
        before = 0
        for number in blocks:
            prefix = f"_blocks.{number}."
            after = len(weights[f"{prefix}_project_conv.weight"])
            begins = after != before
            if begins:
                stage += 1
            stride = STRIDES[stage] if begins else 1
            self.blocks.append(Block(weights, prefix, stride, added=not begins))
            before = after
        self.head = Convolution(weights, "_conv_head", "_bn1")
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # twice as fast

    def forward(self, pixel_values: Tensor) -> Tensor:
        """(n, 1280) float32."""
        given = pixel_values.contiguous(memory_format=torch.channels_last)
        values = functional.relu6(self.stem(given))
        for block in self.blocks:
            values = block(values)
        made: Tensor = functional.relu6(self.head(values)).mean((2, 3))
        return made

    def save(self, folder: Path, weights: Mapping[str, Tensor]) -> None:
        """See Network.save. The batch normalisations, which are folded, are written as ones that
        change nothing.
        """
        stored: dict[str, Tensor] = {}
        for name, module in self.named_modules():
            if isinstance(module, Convolution):
                stored |= module.stored(weights[f"{name}.weight"], weights[f"{name}.bias"])
        write_tensors(folder / "model.safetensors", stored)


class Block(nn.Module):
    """An inverted bottleneck: expand, convolve each channel, project; with the input `added`."""

    def __init__(
        self, weights: Mapping[str, Tensor], prefix: str, stride: int, *, added: bool
    ) -> None:
        super().__init__()
        self.expand = None
        if f"{prefix}_expand_conv.weight" in weights:
            self.expand = Convolution(weights, f"{prefix}_expand_conv", f"{prefix}_bn0")
        self.each = Convolution(weights, f"{prefix}_depthwise_conv", f"{prefix}_bn1", stride=stride)
        self.project = Convolution(weights, f"{prefix}_project_conv", f"{prefix}_bn2")
        self.added = added

    def forward(self, given: Tensor) -> Tensor:
        """Of the same height and width, divided by the stride."""
        values = given if self.expand is None else functional.relu6(self.expand(given))
        made: Tensor = self.project(functional.relu6(self.each(values)))
        return made + given if self.added else made


class Convolution(nn.Module):
    """A convolution and the batch normalisation after it."""

    def __init__(
        self, weights: Mapping[str, Tensor], name: str, norm: str, *, stride: int = 1
    ) -> None:
        super().__init__()
        weight = weights[f"{name}.weight"].float()
        scale = weights[f"{norm}.weight"] / (weights[f"{norm}.running_var"] + EPSILON).sqrt()
        bias = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
        self.weight = nn.Parameter(weight * scale[:, None, None, None])
        self.bias = nn.Parameter(bias)
        self.names = (name, norm)
        self.stride = stride
        # a depthwise convolution has one input channel per filter
        self.groups = len(weight) if weight.shape[1] == 1 else 1

    def forward(self, values: Tensor) -> Tensor:
        """Padded so that ceil(size / stride) places are left, the odd row and column at the end."""
        padding: list[int] = []
        for axis in (3, 2):  # width, then height: torch's pad wants the last axis first
            size = values.shape[axis]
            kernel = self.weight.shape[axis]
            after = -(-size // self.stride)
            total = max((after - 1) * self.stride + kernel - size, 0)
            padding += [total // 2, total - total // 2]
        made: Tensor = functional.conv2d(
            functional.pad(values, padding),
            self.weight,
            self.bias,
            self.stride,
            groups=self.groups,
        )
        return made

    def stored(self, weight: Tensor, bias: Tensor) -> dict[str, Tensor]:
        """This convolution with these weights, by the names of the published ones."""
        name, norm = self.names
        zeros = torch.zeros_like(bias)
        return {
            f"{name}.weight": weight,
            f"{norm}.weight": zeros + 1,
            f"{norm}.bias": bias,
            f"{norm}.running_mean": zeros,
            f"{norm}.running_var": zeros + (1 - EPSILON),  # and epsilon is exactly 1
        }


def open_network(folder: ImageModel) -> EfficientNetLite:
    """Raises ModelError where weights are missing or do not fit."""
    try:
        network = EfficientNetLite(read_tensors(folder.path / "model.safetensors"))
        with torch.inference_mode():
            # weights that do not follow on each other are found here, and not by the first image
            network(torch.zeros(1, 3, 32, 32))
    except (KeyError, IndexError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"{folder.path}: the weights are not those of an EfficientNet-Lite: {error}"
        ) from error
    return network
