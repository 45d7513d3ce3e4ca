"""The layers of BERT and its kin on a CPU by this package's kernels, forward and back, as one
differentiable function.
"""

from __future__ import annotations

import ctypes
import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nearfield.formats.architectures import NATIVE
from nearfield.kernels.layout import SlopesLayout, TurnedLayout
from nearfield.kernels.library import kernels, runnable
from nearfield.models.backbones.layer_weights import LayersModel, LayerWeights
from nearfield.models.backbones.native_config import model_facts, why_not_config
from nearfield.models.backbones.native_units import Rooms, Sum, Turns, on_threads
from nearfield.types.arrays import Floats, Positions

Offsets = Positions
Places = Positions
UNITS = 4  # units of work per thread, at most
UNIT_TOKENS = 512  # tokens of a unit, at least


def why_not(backbone: Any) -> str | None:
    """In words why these layers cannot stand for the backbone's own, or None where they can."""
    if not runnable():
        return "the kernels are not compiled here"
    dropouts = [module for module in backbone.modules() if isinstance(module, nn.Dropout)]
    if backbone.training and any(module.p for module in dropouts):
        return "they have no dropout"
    for weight in backbone.parameters():
        if weight.device.type != "cpu" or weight.dtype != torch.float32:
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
        names = NATIVE[config["model_type"]]
        self.kernels = kernels(level)
        self.threads = threads or torch.get_num_threads()
        self._facts = model_facts(config)
        self.layers: list[LayerWeights] = []
        self.weights: list[nn.Parameter] = []
        for at in range(self._facts["layer_count"]):
            layer = backbone.get_submodule(names.layer.format(at).removesuffix("."))
            modules = {part: layer.get_submodule(name) for part, name in names.parts.items()}
            self.layers.append(LayerWeights(self.kernels, modules, precision))
            self.weights += self.layers[at].weights
        self.rooms = Rooms()

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
        if picked is not None:
            fits = len(picked) == len(offsets) - 1
            if not fits or (picked < 0).any() or (picked >= np.diff(offsets)).any():
                raise ValueError(
                    f"the places {picked} are no token of each of {len(offsets) - 1} sequences"
                )
        # the weights are arguments, so that autograd asks for their gradients
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
        on_threads(self.threads, LayerWeights.refresh, self.layers)
        model = self.model(distances)

        def part(share: slice) -> Floats:
            own, places = _of_share(share, offsets, picked)
            kept = None
            if keep:
                size = self.kernels.call("kept", model.address, int(own[-1] - own[0]))
                kept = self.rooms.take(len(self.layers) * size)
            scratch = self.scratch("forward_scratch", model, own)
            self.kernels.call(
                "forward",
                model.address,
                states[own[0] : own[-1]],
                own,
                len(own) - 1,
                places,
                kept,
                scratch,
            )
            self.rooms.give_back(scratch)
            return np.empty(0, np.float32) if kept is None else kept

        kept = on_threads(self.threads, part, self.units(offsets))
        return Pass(offsets, picked, distances, kept, tuple(layer.stamp for layer in self.layers))

    def backward(
        self, made: Pass, first: Floats, gradient: Floats, *, wanted: bool = True
    ) -> tuple[list[Tensor], Floats | None]:
        """The gradients by each of `weights` and by the distances, once per `Pass`.

        `gradient` (T, hidden), of a loss by the states after all layers, becomes that by `first`
        (T, hidden), the states before them, where it is `wanted`. Raises RuntimeError where a
        weight is no longer as it was on the way forward.
        """
        # another call may have laid changed weights out since; refresh_turned finds later changes
        if made.stamps != tuple(layer.stamp for layer in self.layers):
            raise RuntimeError(
                "a weight was changed between the way forward and the way back through it"
            )
        on_threads(self.threads, LayerWeights.refresh_turned, self.layers)
        way = _WayBack(self, made, first, gradient, wanted)
        # One sum per thread and one to spare. Which units go into which sum, and in which order, is
        # fixed, so that the rounding is the same however the threads are scheduled.
        units = range(len(way.units))
        count = min(len(units), self.threads + 1)
        sums = [Sum(made.distances) for _ in range(count)]
        groups = [list(units[at::count]) for at in range(count)]
        turns = Turns(way.unit, sums, groups)
        on_threads(self.threads, turns.run, range(self.threads))
        rooms = [total.room for total in sums if total.room is not None]
        by_layer = torch.split(torch.from_numpy(self._summed(rooms)), way.sizes)
        self.rooms.give_back(*rooms)
        gradients: list[Tensor] = []
        for layer, own in zip(self.layers, by_layer, strict=True):
            gradients += layer.gradients(own)
        by_distance = [total.distances for total in sums if total.distances is not None]
        return gradients, np.sum(by_distance, axis=0) if by_distance else None

    def _summed(self, rooms: list[Floats]) -> Floats:
        """The sum of the gradients of all weights in each room, a layer at a time."""
        cuts = np.cumsum([0, *(layer.size for layer in self.layers)])
        summed = np.empty(cuts[-1], np.float32)

        def add(layer: int) -> None:
            here = slice(cuts[layer], cuts[layer + 1])
            np.copyto(summed[here], rooms[0][here])
            for room in rooms[1:]:
                summed[here] += room[here]

        on_threads(self.threads, add, range(len(self.layers)))
        return summed

    def model(self, distances: Floats | None) -> LayersModel:
        """The layers as they were laid out last."""
        layouts = [layer.layout() for layer in self.layers]
        return LayersModel(self._facts, layouts, distances, self.kernels.panel)

    def units(self, offsets: Offsets) -> list[slice]:
        """The sequences in units of about as much work each: some for every thread, but none of few
        tokens, which would waste work.
        """
        lengths = np.diff(offsets)
        hidden = self._facts["hidden"]
        inner = self._facts["intermediate"]
        # two operations per token and weight of four matrices hidden x hidden and two hidden x
        # inner; those of attention count double
        of_token = 8.0 * hidden**2 + 4.0 * hidden * inner
        work = lengths * of_token + 8.0 * lengths**2 * hidden
        ends = np.cumsum(work)
        count = 1
        if self.threads > 1:
            most = min(UNITS * self.threads, int(offsets[-1]) // UNIT_TOKENS)
            count = max(self.threads, most)
        # a cut comes before the first sequence whose middle lies past an equal share of the work
        wanted = ends[-1] * np.arange(1, count) / count
        cuts = [0, *np.searchsorted(ends - work / 2, wanted).tolist(), len(lengths)]
        units = [slice(start, end) for start, end in itertools.pairwise(cuts)]
        return [unit for unit in units if offsets[unit.stop] > offsets[unit.start]]

    def scratch(self, function: str, model: LayersModel, offsets: Offsets) -> Floats:
        """Room for what one unit needs on its way."""
        tokens = int(offsets[-1] - offsets[0])
        longest = int(np.diff(offsets).max())
        return self.rooms.take(self.kernels.call(function, model.address, tokens, longest))


@dataclass
class _WayBack:
    """What the units of one way back share."""

    layers: NativeLayers
    made: Pass
    first: Floats
    gradient: Floats
    wanted: bool

    def __post_init__(self) -> None:
        own = self.layers.layers
        self.model = self.layers.model(self.made.distances)
        self.turned = (TurnedLayout * len(own))(*(layer.turned() for layer in own))
        self.sizes = [layer.size for layer in own]
        self.units = self.layers.units(self.made.offsets)

    def unit(self, total: Sum, at: int) -> None:
        """Go back through unit `at` and add its gradients to `total`."""
        layers = self.layers
        made = self.made
        size = sum(self.sizes)
        own, places = _of_share(self.units[at], made.offsets, made.picked)
        if total.room is None:
            total.room = layers.rooms.take(size)
            # a room that was given back holds what was in it last
            total.room[:size] = 0.0
        by_layer = np.split(total.room[:size], np.cumsum(self.sizes)[:-1])
        slopes = (SlopesLayout * len(by_layer))()
        for number, layer in enumerate(layers.layers):
            slopes[number] = layer.slopes(by_layer[number])
        rows = slice(own[0], own[-1])
        scratch = layers.scratch("backward_scratch", self.model, own)
        layers.kernels.call(
            "backward",
            self.model.address,
            ctypes.addressof(self.turned),
            self.first[rows],
            own,
            len(own) - 1,
            places,
            made.kept[at],
            ctypes.addressof(slopes),
            total.distances,
            self.gradient[rows],
            int(self.wanted),
            scratch,
        )
        layers.rooms.give_back(scratch, made.kept[at])


def _of_share(
    share: slice, offsets: Offsets, picked: Places | None
) -> tuple[Offsets, Places | None]:
    own = offsets[share.start : share.stop + 1]
    if picked is None:
        return own, None
    return own, np.ascontiguousarray(picked[share], np.int64)


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
        # the kernels write over what they get, and autograd keeps the states before the layers
        made: Tensor = states.detach().clone(memory_format=torch.contiguous_format)
        by_distance = None
        if distances is not None:
            by_distance = np.ascontiguousarray(distances.detach().numpy(), np.float32)
        ctx.layers = layers
        ctx.made = layers.forward(made.numpy(), offsets, picked, by_distance, keep=keep)
        if keep:
            ctx.save_for_backward(states)
        return made

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (states,) = ctx.saved_tensors
        # what a pass kept is given back on the way, so that it can be gone back through once
        if ctx.made is None:
            raise RuntimeError("backward was already called; its saved activations have been freed")
        made = ctx.made
        ctx.made = None
        # a copy, as it becomes the gradient by the first states in place
        gradient = gradients[0].detach().float().clone(memory_format=torch.contiguous_format)
        first = np.ascontiguousarray(states.detach().numpy())
        wanted = ctx.needs_input_grad[5]  # of the states
        by_weight, by_distance = ctx.layers.backward(made, first, gradient.numpy(), wanted=wanted)
        distances = None if by_distance is None else torch.from_numpy(by_distance)
        return None, None, None, None, distances, gradient if wanted else None, *by_weight
