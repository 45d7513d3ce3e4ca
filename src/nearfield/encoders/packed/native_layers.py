"""The layers of BERT and its kin on a CPU by this package's kernels, forward and back, as one differentiable function."""

from __future__ import annotations

import ctypes
import functools
import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nearfield.encoders.packed.layer_weights import LayerWeights
from nearfield.encoders.runtimes.architectures import ACTIVATIONS, ARCHITECTURES, why_not_config
from nearfield.kernels.layout import LayerLayout, ModelLayout, SlopesLayout, TurnedLayout
from nearfield.kernels.library import kernels, runnable
from nearfield.kernels.matrix import Floats, aligned

Offsets = npt.NDArray[np.int64]
Places = npt.NDArray[np.int64]
Item = TypeVar("Item")
Made = TypeVar("Made")


def why_not(backbone: Any) -> str | None:
    """In words why these layers cannot stand for the backbone's own, or None where they can."""
    if not runnable():
        return "the kernels are not compiled here"
    if backbone.training and any(module.p for module in backbone.modules() if isinstance(module, nn.Dropout)):
        return "they have no dropout"
    if any(weight.device.type != "cpu" or weight.dtype != torch.float32 for weight in backbone.parameters()):
        return "they train float32 weights on a CPU"
    return why_not_config(backbone.config.to_dict())


@dataclass(frozen=True)
class Pass:
    """One way forward: of which sequences and tokens, what was added to scores by distance, what each thread kept for the way back, and the
    layers' stamps, by which their weights are known."""

    offsets: Offsets
    picked: Places | None
    distances: Floats | None
    kept: list[Floats]
    stamps: tuple[int, ...]


class NativeLayers:
    """What stands between a backbone's embeddings and its last states, run on `threads` threads (0: as many as torch has).

    It reads the backbone's weights as they are at each call, and autograd gets their gradients from it. Products are of `precision`,
    float32 or bfloat16, all else float32. Each thread takes sequences of its own, so the last digits of a gradient depend on the
    number of threads, and on nothing else.
    """

    def __init__(self, backbone: Any, *, precision: str = "float32", threads: int = 0, level: str | None = None) -> None:
        config = backbone.config.to_dict()
        architecture = ARCHITECTURES[config["model_type"]]
        fact = functools.partial(architecture.fact, config)
        self._kernels, self._threads = kernels(level), threads or torch.get_num_threads()
        self._facts: dict[str, Any] = {"hidden": int(fact("hidden_size")), "heads": int(fact("num_attention_heads"))}
        self._facts |= {"intermediate": int(fact("intermediate_size")), "layer_count": int(fact("num_hidden_layers"))}
        self._facts |= {"activation": ACTIVATIONS[fact("hidden_act")], "epsilon": float(fact("layer_norm_eps"))}
        self._layers = []
        for at in range(self._facts["layer_count"]):
            names = {part: architecture.layer.format(at) + name for part, name in architecture.parts.items()}
            modules = {part: backbone.get_submodule(name) for part, name in names.items()}
            self._layers.append(LayerWeights(self._kernels, modules, precision))
        self.weights: list[nn.Parameter] = [weight for layer in self._layers for weight in layer.weights]
        self._free: list[Floats] = []
        self._lock = threading.Lock()

    def __call__(self, states: Tensor, offsets: Offsets, distances: Tensor | None = None, picked: Places | None = None) -> Tensor:
        """The states (T, hidden) after all layers, of those (T, hidden) before them; sequence i is the rows offsets[i]... offsets[i + 1].

        `distances` (heads, 2 r - 1): what is added to a head's scores by key place - query place, from 1 - r; no sequence is longer
        than r. `picked` (n,): the places, in sequences of at least one token, of the tokens whose states alone are wanted; all others
        are zeros then, and the last layer is run for these tokens only. Raises ValueError where there is no such token.
        """
        if picked is not None and (len(picked) != len(offsets) - 1 or (picked < 0).any() or (picked >= np.diff(offsets)).any()):
            raise ValueError(f"the places {picked} are no token of each of {len(offsets) - 1} sequences")
        found: Tensor = _Layers.apply(self, offsets, picked, torch.is_grad_enabled(), distances, states.float(), *self.weights)  # type: ignore[no-untyped-call]
        return found

    def forward(self, states: Floats, offsets: Offsets, picked: Places | None, distances: Floats | None, *, keep: bool) -> Pass:
        """`states` (T, hidden) become those after all layers. What the way back needs is there only where it is to be kept."""
        self._on_threads(LayerWeights.refresh, self._layers)
        model = _Model(self._facts, [layer.layout() for layer in self._layers], distances, self._kernels.panel)

        def part(share: slice) -> Floats:
            own, places = _of_share(share, offsets, picked)
            tokens = int(own[-1] - own[0])
            kept = self._room(len(self._layers) * self._kernels.call("kept", model.address, tokens)) if keep else None
            scratch = self._scratch("forward_scratch", model, own)
            self._kernels.call("forward", model.address, states[own[0] : own[-1]], own, len(own) - 1, places, kept, scratch)
            self._give_back(scratch)
            return np.empty(0, np.float32) if kept is None else kept

        kept = self._on_threads(part, self._shares(offsets))
        return Pass(offsets, picked, distances, kept, tuple(layer.stamp for layer in self._layers))

    def backward(self, made: Pass, first: Floats, gradient: Floats, *, wanted: bool = True) -> tuple[list[Tensor], Floats | None]:
        """The gradients by each of `weights` and by the distances, once a `Pass`.

        `gradient` (T, hidden), of a loss by the states after all layers, becomes that by `first` (T, hidden), the states before them,
        where it is `wanted`. Raises RuntimeError where a weight is no longer as it was on the way forward.
        """
        if made.stamps != tuple(layer.stamp for layer in self._layers):
            raise RuntimeError("a weight was changed between the way forward and the way back through it")
        self._on_threads(LayerWeights.refresh_turned, self._layers)
        model = _Model(self._facts, [layer.layout() for layer in self._layers], made.distances, self._kernels.panel)
        turned = (TurnedLayout * len(self._layers))(*(layer.turned() for layer in self._layers))
        sizes = [layer.size for layer in self._layers]

        def part(at: int, share: slice) -> tuple[Floats, Floats | None]:
            own, places = _of_share(share, made.offsets, made.picked)
            room = self._room(sum(sizes))
            room[: sum(sizes)] = 0.0
            by_layer = np.split(room[: sum(sizes)], np.cumsum(sizes)[:-1])
            slopes = (SlopesLayout * len(sizes))(*(layer.slopes(own) for layer, own in zip(self._layers, by_layer, strict=True)))
            distances = None if made.distances is None else np.zeros_like(made.distances)
            rows, scratch = slice(own[0], own[-1]), self._scratch("backward_scratch", model, own)
            self._kernels.call(
                "backward", model.address, ctypes.addressof(turned), first[rows], own, len(own) - 1, places, made.kept[at],
                ctypes.addressof(slopes), distances, gradient[rows], int(wanted), scratch,
            )  # fmt: skip
            self._give_back(scratch, made.kept[at])
            return room, distances

        parts = self._on_threads(lambda share: part(*share), list(enumerate(self._shares(made.offsets))))
        total = sum((torch.from_numpy(room[: sum(sizes)]) for room, _ in parts[1:]), torch.from_numpy(parts[0][0][: sum(sizes)]))
        total = total.clone() if len(parts) == 1 else total
        self._give_back(*(room for room, _ in parts))
        gradients = [part for layer, own in zip(self._layers, torch.split(total, sizes), strict=True) for part in layer.gradients(own)]
        by_distance = [distances for _, distances in parts if distances is not None]
        return gradients, np.sum(by_distance, axis=0) if by_distance else None

    def _shares(self, offsets: Offsets) -> list[slice]:
        """Each thread's sequences, about as much work each; of threads for which none is left, nothing."""
        lengths = np.diff(offsets)
        hidden, inner = self._facts["hidden"], self._facts["intermediate"]
        work = lengths * (8.0 * hidden**2 + 4.0 * hidden * inner) + 8.0 * lengths**2 * hidden
        ends = np.cumsum(work)
        wanted = ends[-1] * np.arange(1, self._threads) / self._threads
        cuts = [0, *np.searchsorted(ends - work / 2, wanted).tolist(), len(lengths)]
        return [slice(start, end) for start, end in itertools.pairwise(cuts) if offsets[end] > offsets[start]]

    def _scratch(self, function: str, model: _Model, offsets: Offsets) -> Floats:
        return self._room(self._kernels.call(function, model.address, int(offsets[-1] - offsets[0]), int(np.diff(offsets).max())))

    def _room(self, size: int) -> Floats:
        """At least `size` floats, not set: the smallest that were given back and are not far too many, or new ones."""
        with self._lock:
            fitting = [at for at, room in enumerate(self._free) if size <= len(room) <= 2 * size]
            if fitting:
                return self._free.pop(min(fitting, key=lambda at: len(self._free[at])))
        return aligned(size + size // 8)  # the next step may need a little more, and memory that nobody used yet costs time

    def _give_back(self, *rooms: Floats) -> None:
        with self._lock:
            self._free += rooms

    def _on_threads(self, work: Callable[[Item], Made], items: list[Item]) -> list[Made]:
        if self._threads == 1 or len(items) == 1:
            return [work(item) for item in items]
        return list(_pool(self._threads).map(work, items))


def _of_share(share: slice, offsets: Offsets, picked: Places | None) -> tuple[Offsets, Places | None]:
    return offsets[share.start : share.stop + 1], None if picked is None else np.ascontiguousarray(picked[share], np.int64)


class _Model:
    """nf_model without embeddings, and what it points at."""

    def __init__(self, facts: dict[str, Any], layers: list[LayerLayout], distances: Floats | None, panel: int) -> None:
        self._layers = (LayerLayout * len(layers))(*layers)
        self._layout = ModelLayout(**facts, layers=ctypes.cast(self._layers, ctypes.POINTER(LayerLayout)))
        self.address = ctypes.addressof(self._layout)
        if distances is not None:
            self._distances = np.concatenate([distances.ravel(), np.zeros(panel, np.float32)])
            self._layout.distances, self._layout.reach = self._distances.ctypes.data, (distances.shape[1] + 1) // 2


class _Layers(torch.autograd.Function):
    """NativeLayers as autograd sees them."""

    @staticmethod
    def forward(ctx: Any, layers: NativeLayers, offsets: Offsets, picked: Places | None, keep: bool, *given: Any) -> Tensor:
        distances, states, *_ = given
        made: Tensor = states.detach().clone(memory_format=torch.contiguous_format)
        by_distance = None if distances is None else np.ascontiguousarray(distances.detach().numpy(), np.float32)
        ctx.layers, ctx.made = layers, layers.forward(made.numpy(), offsets, picked, by_distance, keep=keep)
        if keep:
            ctx.save_for_backward(states)
        return made

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (states,) = ctx.saved_tensors
        if ctx.made is None:
            raise RuntimeError("these layers were gone back through already, and what was kept for it is gone")
        made, ctx.made = ctx.made, None
        gradient = gradients[0].detach().float().clone(memory_format=torch.contiguous_format)
        first = np.ascontiguousarray(states.detach().numpy())
        wanted = ctx.needs_input_grad[5]
        by_weight, by_distance = ctx.layers.backward(made, first, gradient.numpy(), wanted=wanted)
        distances = None if by_distance is None else torch.from_numpy(by_distance)
        return None, None, None, None, distances, gradient if wanted else None, *by_weight


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="layers")
