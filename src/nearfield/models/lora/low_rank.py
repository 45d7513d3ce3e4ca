"""One LoRA adapter: for each layer that it changes, two small matrices whose product is added to
the layer's weight.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from nearfield.errors import ModelError, nearest
from nearfield.formats.lora_folder import CONFIG, WEIGHTS, LoRAFolder, lora_json
from nearfield.store.atomic import staged_folder, write_json
from nearfield.store.tensors import read_tensors, write_tensors

ALL = "all-linear"
_PREFIX = "base_model.model."
_KEY = re.compile(r"(?P<module>.+)\.lora_(?:embedding_)?(?P<part>[AB])(?:\.weight)?")


@dataclass(frozen=True)
class Pair:
    """What is added to a layer of `fan_in` inputs and `fan_out` outputs: scale x up @ down.

    `down`: (rank, fan_in), `up`: (fan_out, rank). `embeds`: the layer is an embedding, and fan_in
    the number of its rows.
    """

    down: nn.Parameter
    up: nn.Parameter
    scale: float
    embeds: bool = False

    def delta(self, layer: nn.Module) -> Tensor:
        """What the layer's weight grows by, in its shape."""
        product = (self.up @ self.down) * self.scale  # (fan_out, fan_in)
        if isinstance(layer, nn.Embedding | Conv1D):
            return product.T
        return product


@dataclass(frozen=True)
class LowRank:
    """An adapter: `pairs` by the names of the layers, which are those of the model that it was
    opened or made for.

    `weights` are whole weights and biases that were trained beside it, by name, and stand in the
    place of the model's. `base` is what opens the model that it belongs to, where that is known.
    """

    pairs: Mapping[str, Pair]
    weights: Mapping[str, Tensor] = field(default_factory=dict)
    base: str | None = None

    @classmethod
    def open(cls, folder: LoRAFolder, model: nn.Module) -> LowRank:
        """The adapter in `folder` for `model`. Raises ModelError where it is damaged or does not
        fit the model.
        """
        file = folder.path / WEIGHTS
        known_weights = dict(model.named_parameters())
        halves: dict[str, dict[str, Tensor]] = {}
        weights: dict[str, Tensor] = {}
        for key, tensor in read_tensors(file).items():
            if not torch.isfinite(tensor).all():
                raise ModelError(
                    f"{file}: {key} holds NaN or infinite values; the file is "
                    "damaged or its training failed"
                )
            name = key.removeprefix(_PREFIX)
            for wrapped in (".base_layer.", ".modules_to_save."):  # modules of PEFT's own
                name = name.replace(wrapped, ".")
            match = _KEY.fullmatch(name)
            if match is None:
                weights[_known(name, known_weights, model, file)] = tensor.float()
            else:
                halves.setdefault(match["module"], {})[match["part"]] = tensor.float()
        layers = dict(model.named_modules())
        pairs = {}
        for name, parts in halves.items():
            known = _known(name, layers, model, file)
            pairs[known] = _pair(parts, layers[known], folder, name)
        return cls(pairs, _fitting(weights, model, file), folder.base)

    @classmethod
    def fresh(
        cls,
        model: nn.Module,
        targets: Sequence[str],
        *,
        rank: int,
        scale: float,
        generator: torch.Generator,
        device: torch.device,
    ) -> LowRank:
        """A new adapter that changes nothing yet: up is zero, down uniform within 1 / sqrt(fan_in),
        as in the paper's code and in PEFT.

        `targets` are endings of layers' names, one regular expression for whole names, or
        `all-linear` alone, for every linear layer. Raises ModelError where no linear layer is
        called so.
        """
        pairs = {}
        for name in target_layers(model, targets):
            fan_out, fan_in = _fans(model.get_submodule(name))
            drawn = torch.rand(rank, fan_in, generator=generator)  # from 0 to 1
            down = (drawn * 2 - 1) / math.sqrt(fan_in)
            pairs[name] = Pair(
                nn.Parameter(down.to(device)),
                nn.Parameter(torch.zeros(fan_out, rank, device=device)),
                scale,
            )
        return cls(pairs)

    def parameters(self) -> dict[str, nn.Parameter]:
        """The matrices by name, as `encoder.layer.0.attention.self.query.lora_A`."""
        named = {}
        for name, pair in self.pairs.items():
            named[f"{name}.lora_A"] = pair.down
            named[f"{name}.lora_B"] = pair.up
        return named

    def save(self, path: str | Path, *, base: str | None = None) -> None:
        """Write the folder that PEFT reads, whole or not at all. `base`: what opens its model; what
        was known of it, else.
        """
        tensors = {}
        for name, pair in self.pairs.items():
            for half, weight in (("A", pair.down), ("B", pair.up)):
                key = f"lora_embedding_{half}" if pair.embeds else f"lora_{half}.weight"
                tensors[f"{_PREFIX}{name}.{key}"] = weight.detach().contiguous()
        for name, whole in self.weights.items():
            module, _, part = name.rpartition(".")
            # the bias of a layer that has an adapter, too
            key = f"{module}.base_layer.{part}" if module in self.pairs else name
            tensors[_PREFIX + key] = whole.contiguous()
        ranks = {name: len(pair.down) for name, pair in self.pairs.items()}
        # a reader scales by alpha / rank, which gives the scale again
        alphas = {name: pair.scale * len(pair.down) for name, pair in self.pairs.items()}
        facts = lora_json(ranks, alphas, base=base or self.base, beside=tuple(self.weights))
        with staged_folder(path) as stage:
            write_tensors(stage / WEIGHTS, tensors)
            write_json(stage / CONFIG, facts)


def target_layers(model: nn.Module, targets: Sequence[str]) -> list[str]:
    """The names of the linear layers that `targets` mean, as PEFT reads target_modules.

    Raises ModelError for a target that no linear layer's name ends in or matches.
    """
    linear = [
        name for name, layer in model.named_modules() if isinstance(layer, nn.Linear | Conv1D)
    ]
    if tuple(targets) == (ALL,):
        output = getattr(model, "get_output_embeddings", lambda: None)()
        inner = [name for name in linear if model.get_submodule(name) is not output]
        return [name for name in inner if not name.startswith("pooler.")]
    chosen: set[str] = set()
    for target in targets:
        found = [name for name in linear if name == target or name.endswith(f".{target}")]
        if not found and len(targets) == 1:
            with suppress(re.error):  # it is a name that no layer has
                found = [name for name in linear if re.fullmatch(target, name)]
        if not found:
            known = sorted({name.rpartition(".")[2] for name in linear})
            raise ModelError(
                f"no linear layer is called {target!r}; the model has "
                f"{', '.join(known)}.{nearest(target, known)}"
            )
        chosen.update(found)
    return [name for name in linear if name in chosen]


def _known(name: str, names: Mapping[str, object], model: nn.Module, file: Path) -> str:
    """The model's own name for what an adapter calls `name`: with or without the prefix of a model
    that has a head.
    """
    prefix = f"{getattr(model, 'base_model_prefix', '')}."
    # as it is called counts first, in case a model has both
    for candidate in (name, name.removeprefix(prefix), prefix + name):
        if candidate in names:
            return candidate
    raise ModelError(
        f"{file}: changes {name}, which the base does not have; is it of another model?"
    )


def _fans(layer: nn.Module) -> tuple[int, int]:
    """Outputs and inputs of a layer."""
    rows, columns = layer.get_parameter("weight").shape
    if isinstance(layer, nn.Embedding | Conv1D):  # whose weights lie the other way round
        return columns, rows
    return rows, columns


def _pair(parts: Mapping[str, Tensor], layer: nn.Module, folder: LoRAFolder, name: str) -> Pair:
    file = folder.path / WEIGHTS
    if not isinstance(layer, nn.Linear | nn.Embedding | Conv1D):
        raise ModelError(
            f"{file}: changes {name}, a {type(layer).__name__}; wanted a linear "
            "layer or an embedding"
        )
    if set(parts) != {"A", "B"}:
        raise ModelError(
            f"{file}: of {name} it holds only lora_{next(iter(parts))}; the file is damaged"
        )
    device = layer.get_parameter("weight").device
    down = parts["A"].to(device)
    up = parts["B"].to(device)
    fits = down.dim() == up.dim() == 2 and up.shape[1] == len(down)
    if not fits or (len(up), down.shape[1]) != _fans(layer):
        raise ModelError(
            f"{file}: {name} is {tuple(up.shape)} x {tuple(down.shape)} and the base's layer "
            f"{_fans(layer)}; is it another base?"
        )
    return Pair(
        nn.Parameter(down),
        nn.Parameter(up),
        folder.scale(name, len(down)),
        isinstance(layer, nn.Embedding),
    )


def _fitting(weights: dict[str, Tensor], model: nn.Module, file: Path) -> dict[str, Tensor]:
    for name, weight in weights.items():
        if model.get_parameter(name).shape != weight.shape:
            raise ModelError(
                f"{file}: {name} is of shape {tuple(weight.shape)}; the base's is "
                f"{tuple(model.get_parameter(name).shape)}"
            )
    return weights
