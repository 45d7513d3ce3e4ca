"""A small map of finished vectors: a query-side adapter, or a bridge from one model's space to
another's.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from nearfield.errors import InputError, nearest
from nearfield.store.atomic import staged_folder, write_json
from nearfield.store.fields import read_fields
from nearfield.store.tensors import read_tensors, write_tensors
from nearfield.types.arrays import Floats

KINDS = ("linear", "low-rank", "mlp")
_ROWS = 65_536  # vectors that are mapped at a time


@dataclass(frozen=True)
class MapConfig:
    """`kind` is linear, low-rank or mlp; `width` is the rank of low-rank and the hidden width of
    mlp, and unused in linear.
    """

    kind: str
    from_dim: int
    to_dim: int
    width: int = 0
    normalise: bool = True

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(
                f"there is no map {self.kind!r}; wanted one of "
                f"{', '.join(KINDS)}.{nearest(self.kind, KINDS)}"
            )
        if self.kind == "low-rank" and self.from_dim != self.to_dim:
            raise InputError(
                f"a low-rank map stays in one space; {self.from_dim} to "
                f"{self.to_dim} dimensions wants linear or mlp"
            )
        if self.kind != "linear" and self.width < 1:
            raise InputError(
                f"a map of kind {self.kind} has a width of {self.width}; wanted at least 1"
            )

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each of its weights."""
        found: dict[str, tuple[int, ...]] = {}
        if self.kind != "low-rank":
            found |= {"weight": (self.to_dim, self.from_dim), "bias": (self.to_dim,)}
        if self.kind != "linear":
            found |= {"down": (self.width, self.from_dim), "up": (self.to_dim, self.width)}
        if self.kind == "mlp":
            found["shift"] = (self.width,)
        return found


class VectorMap(nn.Module):
    """linear: W x + b; low-rank: x + U V x; mlp: W x + b + U gelu(V x + c). (n, from_dim) to (n,
    to_dim), of unit length where asked.

    A new one is the identity where the dims are equal: W = I, b = 0, U = 0; V has small random
    numbers from `generator`.
    """

    def __init__(self, config: MapConfig, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        # the parameters are those that `shapes` names, by which a file is checked
        if config.kind != "low-rank":
            self.weight = nn.Parameter(torch.eye(config.to_dim, config.from_dim))
            self.bias = nn.Parameter(torch.zeros(config.to_dim))
        if config.kind != "linear":
            self.down = nn.Parameter(
                torch.randn(config.width, config.from_dim, generator=generator)
                * config.from_dim**-0.5
            )
            self.up = nn.Parameter(torch.zeros(config.to_dim, config.width))
        if config.kind == "mlp":
            self.shift = nn.Parameter(torch.zeros(config.width))

    def forward(self, vectors: Tensor) -> Tensor:
        """(n, from_dim) to (n, to_dim) float32, differentiable."""
        if self.config.kind == "low-rank":
            mapped = vectors + (vectors @ self.down.T) @ self.up.T
        else:
            mapped = vectors @ self.weight.T + self.bias
        if self.config.kind == "mlp":
            mapped = mapped + nn.functional.gelu(vectors @ self.down.T + self.shift) @ self.up.T
        if self.config.normalise:
            return nn.functional.normalize(mapped, dim=-1)
        return mapped

    @torch.inference_mode()
    def apply_to(self, vectors: Floats) -> Floats:
        """(n, from_dim) float32 to (n, to_dim) float32, a block of rows at a time. Raises
        InputError for other dims.
        """
        if vectors.shape[1] != self.config.from_dim:
            raise InputError(
                f"the map takes vectors of {self.config.from_dim} dimensions and got "
                f"{vectors.shape[1]}"
            )
        mapped = np.empty((len(vectors), self.config.to_dim), np.float32)
        for start in range(0, len(vectors), _ROWS):
            block = torch.from_numpy(
                np.ascontiguousarray(vectors[start : start + _ROWS], np.float32)
            )
            mapped[start : start + _ROWS] = self(block).numpy()
        return mapped

    def save(self, path: str | Path) -> None:
        """Write `map.json` and `map.safetensors` into a folder at `path`, whole or not at all."""
        with staged_folder(path) as stage:
            write_json(stage / "map.json", {"format": 1} | asdict(self.config))
            write_tensors(stage / "map.safetensors", self.state_dict())

    @classmethod
    def open(cls, path: str | Path) -> VectorMap:
        """The map in a folder that `save` wrote. Raises InputError where it is none or its parts do
        not fit.
        """
        path = Path(path)
        facts = read_fields(path / "map.json")
        config = MapConfig(
            facts.text("kind"),
            facts.integer("from_dim", low=1),
            facts.integer("to_dim", low=1),
            facts.integer("width", 0),
            facts.flag("normalise", True),
        )
        weights = read_tensors(path / "map.safetensors")
        shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
        if shapes != config.shapes:  # before memory is taken for what the config claims
            raise InputError(
                f"is no whole vector map: its weights are {shapes}; wanted {config.shapes}",
                path=path,
            )
        wrong = [name for name, weight in weights.items() if not torch.isfinite(weight).all()]
        if wrong:
            raise InputError(
                f"is no whole vector map: {wrong[0]} holds NaN or infinite values", path=path
            )
        opened = cls(config)
        opened.load_state_dict(weights)
        return opened
