"""Arrays of safetensors files against the library's own reader and writer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from safetensors.torch import save_file as save_torch

from nearfield.errors import ModelError
from nearfield.store.mapped import map_tensors, write_rows


@pytest.mark.parametrize(
    "dtype", ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8"]
)
def test_arrays_are_those_that_were_written(dtype: str, tmp_path: Path) -> None:
    arrays = {
        "a": np.arange(12).reshape(3, 4).astype(dtype),
        "b": np.zeros((0, 2), dtype),
        "c": np.array([7], dtype),
    }
    save_file(arrays, tmp_path / "x.safetensors")
    mapped = map_tensors(tmp_path / "x.safetensors")
    assert set(mapped) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(mapped[name], array)
        assert mapped[name].dtype == array.dtype


def test_blocks_of_rows_are_one_array_to_the_library(tmp_path: Path) -> None:
    blocks = [
        np.random.default_rng(size).standard_normal((size, 5)).astype(np.float32)
        for size in (3, 1, 7)
    ]
    assert write_rows(tmp_path / "x.safetensors", "rows", iter(blocks)) == 11
    np.testing.assert_array_equal(
        load_file(tmp_path / "x.safetensors")["rows"], np.concatenate(blocks)
    )


def test_what_is_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="could not be read"):
        map_tensors(tmp_path / "none")
    (tmp_path / "x").write_bytes(b"abc")
    with pytest.raises(ModelError, match="could not be read"):
        map_tensors(tmp_path / "x")
    save_file({"a": np.ones((100, 100), np.float32)}, tmp_path / "x")
    (tmp_path / "x").write_bytes((tmp_path / "x").read_bytes()[:-4])
    with pytest.raises(ModelError, match="a does not lie in the file"):
        map_tensors(tmp_path / "x")
    save_torch({"a": torch.ones(2, dtype=torch.bfloat16)}, tmp_path / "x")
    with pytest.raises(ModelError, match="a is stored as BF16"):
        map_tensors(tmp_path / "x")
