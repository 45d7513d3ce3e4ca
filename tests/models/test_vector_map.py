from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from nearfield.errors import InputError, ModelError
from nearfield.models import vector_map
from nearfield.models.vector_map import KINDS, MapConfig, VectorMap


def made(
    kind: str, *, from_dim: int = 6, to_dim: int = 6, normalise: bool = True, seed: int = 0
) -> VectorMap:
    generator = torch.Generator().manual_seed(seed)
    built = VectorMap(
        MapConfig(kind, from_dim, to_dim, 0 if kind == "linear" else 4, normalise),
        generator=generator,
    )
    with torch.no_grad():
        for weight in built.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=generator)
    return built


def vectors(rows: int = 5, dim: int = 6) -> np.ndarray:
    found = np.random.default_rng(1).normal(size=(rows, dim)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_map_is_the_identity(kind: str) -> None:
    new = VectorMap(
        MapConfig(kind, 6, 6, 0 if kind == "linear" else 4),
        generator=torch.Generator().manual_seed(0),
    )
    np.testing.assert_allclose(new.apply_to(vectors()), vectors(), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("normalise", [True, False])
def test_the_formula_by_plain_loops(kind: str, normalise: bool) -> None:
    built = made(kind, normalise=normalise)
    weights = {name: weight.detach().double().numpy() for name, weight in built.named_parameters()}
    for x, mapped in zip(vectors().astype(np.float64), built.apply_to(vectors()), strict=True):
        y = (
            list(x)
            if kind == "low-rank"
            else [sum(w * v for w, v in zip(row, x, strict=True)) for row in weights["weight"]]
        )
        if kind != "low-rank":
            y = [value + b for value, b in zip(y, weights["bias"], strict=True)]
        if kind != "linear":
            hidden = [sum(w * v for w, v in zip(row, x, strict=True)) for row in weights["down"]]
            if kind == "mlp":
                shifted = [h + c for h, c in zip(hidden, weights["shift"], strict=True)]
                hidden = [h * 0.5 * (1 + math.erf(h / math.sqrt(2))) for h in shifted]
            y = [
                value + sum(u * h for u, h in zip(row, hidden, strict=True))
                for value, row in zip(y, weights["up"], strict=True)
            ]
        expected = np.array(y) / (np.linalg.norm(y) if normalise else 1)
        np.testing.assert_allclose(mapped, expected, atol=1e-5)


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = made("mlp").apply_to(vectors(11))
    monkeypatch.setattr(vector_map, "_ROWS", 4)
    np.testing.assert_allclose(made("mlp").apply_to(vectors(11)), whole, atol=1e-6)


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_it_goes_from_one_dim_to_another(kind: str) -> None:
    assert made(kind, from_dim=6, to_dim=9).apply_to(vectors()).shape == (5, 9)


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_gives_the_same_map_back(tmp_path: Path, kind: str) -> None:
    made(kind).save(tmp_path / "map")
    np.testing.assert_array_equal(
        VectorMap.open(tmp_path / "map").apply_to(vectors()), made(kind).apply_to(vectors())
    )


def test_what_cannot_be_says_what_was_wanted(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no map 'lineer'.*Did you mean 'linear'"):
        MapConfig("lineer", 3, 3)
    with pytest.raises(InputError, match="stays in one space; 3 to 4"):
        MapConfig("low-rank", 3, 4, 2)
    with pytest.raises(InputError, match="width of 0"):
        MapConfig("mlp", 3, 3)
    with pytest.raises(InputError, match="takes vectors of 6 dimensions and got 4"):
        made("linear").apply_to(vectors(dim=4))
    made("mlp").save(tmp_path / "map")
    (tmp_path / "map" / "map.safetensors").write_bytes(b"no")
    with pytest.raises(ModelError, match="the weights could not be read"):
        VectorMap.open(tmp_path / "map")
    with pytest.raises(InputError, match="does not exist"):
        VectorMap.open(tmp_path / "nothing")
