"""One layer's weights, as torch trains them, laid out for the kernels, and where these put their
gradients.
"""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nearfield.kernels.layout import (
    LayerLayout,
    ModelLayout,
    NormLayout,
    SlopesLayout,
    TurnedLayout,
)
from nearfield.kernels.library import Kernels
from nearfield.kernels.matrix import Matrix, Turned
from nearfield.types.arrays import Floats

MATRICES = {
    "projected": ("query", "key", "value"),
    "out": ("out",),
    "up": ("up",),
    "down": ("down",),
}
"""The kernels' matrices of a layer, and the linear layers that each holds, one below the other."""
NORMS = ("attended", "finished")
# Factors of the digest of a weight: odd, so that modulo 2^64 a product loses nothing.
_DRAWN = np.random.default_rng(0).integers(2**63, size=1024)
_ODD = _DRAWN.astype(np.uint64) * 2 + 1


class LayerWeights:
    """The linear layers and layer norms `modules`, by the parts' names in `Architecture`.
    `weights`: all of theirs, in a fixed order.

    The gradients of a layer lie end to end in one array of `size` floats: each matrix's and its
    biases', then each norm's, every one of them padded to whole panels; rows of a matrix's too.
    """

    def __init__(self, kernels: Kernels, modules: Mapping[str, Any], precision: str) -> None:
        self._kernels = kernels
        self._modules = modules
        self._precision = precision
        self.weights: list[nn.Parameter] = []
        for name in (*itertools.chain.from_iterable(MATRICES.values()), *NORMS):
            self.weights += [modules[name].weight, modules[name].bias]
        self._matrices = {
            name: Matrix(kernels, *self._arrays(name), precision=precision) for name in MATRICES
        }
        self._norms: dict[str, tuple[Floats, Floats]] = {}
        self._turned: dict[str, Turned] = {}
        # -1 is no digest, which is 0 or more: the first refresh lays everything out
        self.stamp = -1
        self._turned_stamp = -1
        self.refresh()
        self.size = sum(count for _, _, count in self._places())

    def refresh(self) -> None:
        """Lay the weights out again if they have changed, as `stamp` then does too. Their versions
        do not tell: a fused optimiser counts none up.
        """
        stamp = self._stamp()
        if stamp == self.stamp:
            return
        self.stamp = stamp
        for name, matrix in self._matrices.items():
            matrix.fill(*self._arrays(name))
        for name in NORMS:  # copies, as a matrix that is laid out is one
            norm = self._modules[name]
            self._norms[name] = (_array(norm.weight).copy(), _array(norm.bias).copy())

    def refresh_turned(self) -> None:
        """The same of the weights turned round. Raises RuntimeError where they are others than
        `refresh` saw last.
        """
        stamp = self._stamp()
        if stamp != self.stamp:
            raise RuntimeError(
                "a weight was changed between the way forward and the way back through it"
            )
        if stamp == self._turned_stamp:
            return
        self._turned_stamp = stamp
        for name in MATRICES:
            weights, _ = self._arrays(name)
            if name in self._turned:
                self._turned[name].fill(weights)
            else:
                self._turned[name] = Turned(self._kernels, weights, precision=self._precision)

    def layout(self) -> LayerLayout:
        """nf_layer, which points at what this holds."""
        layout = LayerLayout()
        for name, matrix in self._matrices.items():
            setattr(layout, name, matrix.layout)
        for name, (weight, bias) in self._norms.items():
            setattr(layout, name, NormLayout(weight.ctypes.data, bias.ctypes.data))
        return layout

    def turned(self) -> TurnedLayout:
        """nf_turned, which points at what this holds."""
        return TurnedLayout(**{name: matrix.layout for name, matrix in self._turned.items()})

    def slopes(self, room: Floats) -> SlopesLayout:
        """nf_slopes, which points at the gradients in `room`: (size,)."""
        slopes = SlopesLayout()
        place = room.ctypes.data
        for name, kind, count in self._places():
            setattr(getattr(slopes, name), kind, place)
            place += 4 * count  # bytes
        return slopes

    def gradients(self, total: Tensor) -> list[Tensor]:
        """Views of the gradients in `total`: (size,), one for each of `weights`."""
        found: list[Tensor] = []
        # the same order as _places; rows and columns that only pad are cut off
        counts = [count for _, _, count in self._places()]
        parts = iter(torch.split(total, counts))
        for names in MATRICES.values():
            shapes = [self._modules[name].weight.shape for name in names]
            rows = sum(shape[0] for shape in shapes)
            columns = shapes[0][1]
            heights = [int(shape[0]) for shape in shapes]
            weights = torch.split(next(parts).view(rows, -1)[:, :columns], heights)
            biases = torch.split(next(parts)[:rows], heights)
            for weight, bias in zip(weights, biases, strict=True):
                found += [weight, bias]
        for name in NORMS:
            width = len(self._modules[name].weight)
            found += [next(parts)[:width], next(parts)[:width]]
        return found

    def _places(self) -> Iterator[tuple[str, str, int]]:
        """Each array of gradients: of which field of nf_slopes, which of nf_slope's, and how many
        floats.
        """
        padded = self._kernels.padded
        for name, parts in MATRICES.items():
            rows = sum(len(self._modules[part].weight) for part in parts)
            columns = self._modules[parts[0]].weight.shape[1]
            yield name, "weight", rows * padded(columns)
            yield name, "bias", padded(rows)
        for name in NORMS:
            for kind in ("weight", "bias"):
                yield name, kind, padded(len(self._modules[name].weight))

    def _arrays(self, name: str) -> tuple[list[Floats], list[Floats]]:
        modules = [self._modules[part] for part in MATRICES[name]]
        weights = [_array(module.weight) for module in modules]
        biases = [_array(module.bias) for module in modules]
        return weights, biases

    def _stamp(self) -> int:
        """What changes whenever a weight does, its order too, but for one time in 2^64."""
        total = 0
        for weight in self.weights:
            # By torch's counts of versions, steps went on with the first step's weights under a
            # fused optimiser (docs/log.md, Layers that go back by themselves).
            digest = _digest(_array(weight).ravel().view(np.uint32))
            total = (total * int(_ODD[-1]) + digest) % 2**64
        return total


class LayersModel:
    """nf_model without embeddings, and what it points at."""

    def __init__(
        self, facts: dict[str, Any], layers: list[LayerLayout], distances: Floats | None, panel: int
    ) -> None:
        self._layers = (LayerLayout * len(layers))(*layers)
        self._layout = ModelLayout(
            **facts, layers=ctypes.cast(self._layers, ctypes.POINTER(LayerLayout))
        )
        self.address = ctypes.addressof(self._layout)
        if distances is not None:
            # the kernels read whole registers, past the last of them
            self._distances = np.concatenate([distances.ravel(), np.zeros(panel, np.float32)])
            self._layout.distances = self._distances.ctypes.data
            self._layout.reach = (distances.shape[1] + 1) // 2


def _array(weight: Tensor) -> Floats:
    return np.ascontiguousarray(weight.detach().numpy())


def _digest(bits: npt.NDArray[np.uint32]) -> int:
    """Sums of each block and of each place in the blocks, each times a number of its own, so that
    two numbers that were exchanged change the digest, too. All of it is modulo 2^64.
    """
    whole = len(bits) // len(_ODD) * len(_ODD)
    blocks = bits[:whole].reshape(-1, len(_ODD))
    rest = bits[whole:].astype(np.uint64)
    by_block = blocks.sum(1, dtype=np.uint64)
    by_place = blocks.sum(0, dtype=np.uint64)
    by_block *= np.arange(1, 2 * len(blocks), 2, dtype=np.uint64) * _ODD[0]
    by_place *= _ODD
    rest *= _ODD[: len(rest)][::-1]
    return int(by_block.sum()) + int(by_place.sum()) + int(rest.sum())
