"""The layers of BERT and its kin on a CPU by this package's kernels, forward and back, as one
differentiable function.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nearfield.kernels.layout import LayerLayout, ModelLayout, SlopesLayout, TurnedLayout
from nearfield.kernels.library import kernels, runnable
from nearfield.kernels.matrix import Floats, aligned
from nearfield.models.backbones.architectures import ACTIVATIONS, ARCHITECTURES, why_not_config
from nearfield.models.backbones.layer_weights import LayerWeights

Offsets = npt.NDArray[np.int64]
Places = npt.NDArray[np.int64]
UNITS, UNIT_TOKENS = 4, 512  # units a thread at most, and tokens of one at least
Item = TypeVar("Item")
Made = TypeVar("Made")


def why_not(backbone: Any) -> str | None:
    """In words why these layers cannot stand for the backbone's own, or None where they can."""
    if not runnable():
        return "the kernels are not compiled here"
    if backbone.training and any(
        module.p for module in backbone.modules() if isinstance(module, nn.Dropout)
    ):
        return "they have no dropout"
    if any(
        weight.device.type != "cpu" or weight.dtype != torch.float32
        for weight in backbone.parameters()
    ):
        return "they train float32 weights on a CPU"
    return why_not_config(backbone.config.to_dict())


@dataclass(frozen=True)
class Pass:
    """One way forward: of which sequences and tokens, what was added to scores by distance, what
    each unit kept for the way back, and the layers' stamps, by which their weights are known.
    """

    offsets: Offsets
    picked: Places | None
    distances: Floats | None
    kept: list[Floats]
    stamps: tuple[int, ...]


class NativeLayers:
    """What stands between a backbone's embeddings and its last states, run on `threads` threads (0:
    as many as torch has).

    It reads the backbone's weights as they are at each call, and autograd gets their gradients from
    it. Products are of `precision`, float32 or bfloat16, all else float32. The sequences are cut
    into units of a few hundred tokens, and each thread takes the next unit when it is done with its
    last, so that a thread that has to wait for a core holds up one unit only. Gradients are summed
    in an order that the number of threads decides, and nothing else.
    """

    def __init__(
        self,
        backbone: Any,
        *,
        precision: str = "float32",
        threads: int = 0,
        level: str | None = None,
    ) -> None:
        config = backbone.config.to_dict()
        architecture = ARCHITECTURES[config["model_type"]]
        fact = functools.partial(architecture.fact, config)
        self._kernels, self._threads = kernels(level), threads or torch.get_num_threads()
        self._facts: dict[str, Any] = {
            "hidden": int(fact("hidden_size")),
            "heads": int(fact("num_attention_heads")),
        }
        self._facts |= {
            "intermediate": int(fact("intermediate_size")),
            "layer_count": int(fact("num_hidden_layers")),
        }
        self._facts |= {
            "activation": ACTIVATIONS[fact("hidden_act")],
            "epsilon": float(fact("layer_norm_eps")),
        }
        self._layers = []
        for at in range(self._facts["layer_count"]):
            names = {
                part: architecture.layer.format(at) + name
                for part, name in architecture.parts.items()
            }
            modules = {part: backbone.get_submodule(name) for part, name in names.items()}
            self._layers.append(LayerWeights(self._kernels, modules, precision))
        self.weights: list[nn.Parameter] = [
            weight for layer in self._layers for weight in layer.weights
        ]
        self._free: list[Floats] = []
        self._lock = threading.Lock()

    def __call__(
        self,
        states: Tensor,
        offsets: Offsets,
        distances: Tensor | None = None,
        picked: Places | None = None,
    ) -> Tensor:
        """The states (T, hidden) after all layers, of those (T, hidden) before them; sequence i is
        the rows offsets[i]... offsets[i + 1].

        `distances` (heads, 2 r - 1): what is added to a head's scores by key place - query place,
        from 1 - r; no sequence is longer than r. `picked` (n,): the places, in sequences of at
        least one token, of the tokens whose states alone are wanted; all others are zeros then, and
        the last layer is run for these tokens only. Raises ValueError where there is no such token.
        """
        if picked is not None and (
            len(picked) != len(offsets) - 1
            or (picked < 0).any()
            or (picked >= np.diff(offsets)).any()
        ):
            raise ValueError(
                f"the places {picked} are no token of each of {len(offsets) - 1} sequences"
            )
        found: Tensor = _Layers.apply(
            self, offsets, picked, torch.is_grad_enabled(), distances, states.float(), *self.weights
        )  # type: ignore[no-untyped-call]
        return found

    def forward(
        self,
        states: Floats,
        offsets: Offsets,
        picked: Places | None,
        distances: Floats | None,
        *,
        keep: bool,
    ) -> Pass:
        """`states` (T, hidden) become those after all layers. What the way back needs is there only
        where it is to be kept.
        """
        self._on_threads(LayerWeights.refresh, self._layers)
        model = _Model(
            self._facts, [layer.layout() for layer in self._layers], distances, self._kernels.panel
        )

        def part(share: slice) -> Floats:
            own, places = _of_share(share, offsets, picked)
            tokens = int(own[-1] - own[0])
            kept = (
                self._room(len(self._layers) * self._kernels.call("kept", model.address, tokens))
                if keep
                else None
            )
            scratch = self._scratch("forward_scratch", model, own)
            self._kernels.call(
                "forward",
                model.address,
                states[own[0] : own[-1]],
                own,
                len(own) - 1,
                places,
                kept,
                scratch,
            )
            self._give_back(scratch)
            return np.empty(0, np.float32) if kept is None else kept

        kept = self._on_threads(part, self._units(offsets))
        return Pass(offsets, picked, distances, kept, tuple(layer.stamp for layer in self._layers))

    def backward(
        self, made: Pass, first: Floats, gradient: Floats, *, wanted: bool = True
    ) -> tuple[list[Tensor], Floats | None]:
        """The gradients by each of `weights` and by the distances, once a `Pass`.

        `gradient` (T, hidden), of a loss by the states after all layers, becomes that by `first`
        (T, hidden), the states before them, where it is `wanted`. Raises RuntimeError where a
        weight is no longer as it was on the way forward.
        """
        if made.stamps != tuple(layer.stamp for layer in self._layers):
            raise RuntimeError(
                "a weight was changed between the way forward and the way back through it"
            )
        self._on_threads(LayerWeights.refresh_turned, self._layers)
        model = _Model(
            self._facts,
            [layer.layout() for layer in self._layers],
            made.distances,
            self._kernels.panel,
        )
        turned = (TurnedLayout * len(self._layers))(*(layer.turned() for layer in self._layers))
        sizes = [layer.size for layer in self._layers]

        units = self._units(made.offsets)
        sums = [_Sum(made.distances) for _ in range(min(len(units), self._threads + 1))]

        def part(total: _Sum, at: int) -> None:
            own, places = _of_share(units[at], made.offsets, made.picked)
            if total.room is None:
                total.room = self._room(sum(sizes))
                total.room[: sum(sizes)] = 0.0
            by_layer = np.split(total.room[: sum(sizes)], np.cumsum(sizes)[:-1])
            slopes = (SlopesLayout * len(sizes))(
                *(layer.slopes(own) for layer, own in zip(self._layers, by_layer, strict=True))
            )
            rows, scratch = slice(own[0], own[-1]), self._scratch("backward_scratch", model, own)
            self._kernels.call(
                "backward",
                model.address,
                ctypes.addressof(turned),
                first[rows],
                own,
                len(own) - 1,
                places,
                made.kept[at],
                ctypes.addressof(slopes),
                total.distances,
                gradient[rows],
                int(wanted),
                scratch,
            )
            self._give_back(scratch, made.kept[at])

        groups = [list(range(at, len(units), len(sums))) for at in range(len(sums))]
        self._on_threads(_Turns(part, sums, groups).run, range(self._threads))
        rooms = [total.room for total in sums if total.room is not None]
        summed = np.empty(sum(sizes), np.float32)
        cuts = np.cumsum([0, *sizes])

        def add(layer: int) -> None:
            here = slice(cuts[layer], cuts[layer + 1])
            np.copyto(summed[here], rooms[0][here])
            for room in rooms[1:]:
                summed[here] += room[here]

        self._on_threads(add, range(len(sizes)))
        self._give_back(*rooms)
        by_layer = torch.split(torch.from_numpy(summed), sizes)
        gradients = [
            part
            for layer, own in zip(self._layers, by_layer, strict=True)
            for part in layer.gradients(own)
        ]
        by_distance = [total.distances for total in sums if total.distances is not None]
        return gradients, np.sum(by_distance, axis=0) if by_distance else None

    def _units(self, offsets: Offsets) -> list[slice]:
        """The sequences in units of about as much work each: some for every thread, but none of few
        tokens, which would waste work.
        """
        lengths = np.diff(offsets)
        hidden, inner = self._facts["hidden"], self._facts["intermediate"]
        work = lengths * (8.0 * hidden**2 + 4.0 * hidden * inner) + 8.0 * lengths**2 * hidden
        ends = np.cumsum(work)
        count = max(self._threads, min(UNITS * self._threads, int(offsets[-1]) // UNIT_TOKENS))
        count = 1 if self._threads == 1 else count
        wanted = ends[-1] * np.arange(1, count) / count
        cuts = [0, *np.searchsorted(ends - work / 2, wanted).tolist(), len(lengths)]
        return [
            slice(start, end)
            for start, end in itertools.pairwise(cuts)
            if offsets[end] > offsets[start]
        ]

    def _scratch(self, function: str, model: _Model, offsets: Offsets) -> Floats:
        return self._room(
            self._kernels.call(
                function, model.address, int(offsets[-1] - offsets[0]), int(np.diff(offsets).max())
            )
        )

    def _room(self, size: int) -> Floats:
        """At least `size` floats, not set: the smallest that were given back and are not far too
        many, or new ones.
        """
        with self._lock:
            fitting = [at for at, room in enumerate(self._free) if size <= len(room) <= 2 * size]
            if fitting:
                return self._free.pop(min(fitting, key=lambda at: len(self._free[at])))
        # the next step may need a little more, and memory that nobody used yet costs time
        return aligned(size + size // 8)

    def _give_back(self, *rooms: Floats) -> None:
        with self._lock:
            self._free += rooms

    def _on_threads(self, work: Callable[[Item], Made], items: Sequence[Item]) -> list[Made]:
        if self._threads == 1 or len(items) == 1:
            return [work(item) for item in items]
        return list(_pool(self._threads).map(work, items))


class _Sum:
    """The gradients of some units: by the weights, in a room taken when the first unit comes, and
    by the distances.
    """

    def __init__(self, distances: Floats | None) -> None:
        self.room: Floats | None = None
        self.distances = None if distances is None else np.zeros_like(distances)


class _Turns:
    """`work(sums[at], unit)` for each unit of `groups[at]`, those of a group one after the other
    and in their order.

    Each thread that calls `run` takes the next unit of the group with the most left that no other
    thread is at. One group more than there are threads is enough to leave no thread without work
    before the last units.
    """

    def __init__(
        self, work: Callable[[_Sum, int], None], sums: list[_Sum], groups: list[list[int]]
    ) -> None:
        self._work, self._sums, self._left = work, sums, [unit[::-1] for unit in groups]
        self._free = set(range(len(groups)))
        self._lock = threading.Lock()

    def run(self, _thread: int) -> None:
        while (taken := self._take()) is not None:
            group, unit = taken
            self._work(self._sums[group], unit)
            with self._lock:
                self._free.add(group)

    def _take(self) -> tuple[int, int] | None:
        with self._lock:
            open_groups = [at for at in sorted(self._free) if self._left[at]]
            if not open_groups:
                return None
            group = max(open_groups, key=lambda at: len(self._left[at]))
            self._free.remove(group)
            return group, self._left[group].pop()


def _of_share(
    share: slice, offsets: Offsets, picked: Places | None
) -> tuple[Offsets, Places | None]:
    return offsets[share.start : share.stop + 1], None if picked is None else np.ascontiguousarray(
        picked[share], np.int64
    )


class _Model:
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
            self._distances = np.concatenate([distances.ravel(), np.zeros(panel, np.float32)])
            self._layout.distances, self._layout.reach = (
                self._distances.ctypes.data,
                (distances.shape[1] + 1) // 2,
            )


class _Layers(torch.autograd.Function):
    """NativeLayers as autograd sees them."""

    @staticmethod
    def forward(
        ctx: Any,
        layers: NativeLayers,
        offsets: Offsets,
        picked: Places | None,
        keep: bool,
        *given: Any,
    ) -> Tensor:
        distances, states, *_ = given
        made: Tensor = states.detach().clone(memory_format=torch.contiguous_format)
        by_distance = (
            None
            if distances is None
            else np.ascontiguousarray(distances.detach().numpy(), np.float32)
        )
        ctx.layers, ctx.made = (
            layers,
            layers.forward(made.numpy(), offsets, picked, by_distance, keep=keep),
        )
        if keep:
            ctx.save_for_backward(states)
        return made

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (states,) = ctx.saved_tensors
        if ctx.made is None:
            raise RuntimeError(
                "these layers were gone back through already, and what was kept for it is gone"
            )
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
