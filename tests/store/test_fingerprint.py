"""A model's hash is over all that is opened of it, wherever it lies, and over nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nearfield.store.fingerprint import model_hash


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("model/config.json", "elsewhere/1_Dense/model.safetensors", "blobs/weights"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "model" / "1_Dense").symlink_to(tmp_path / "elsewhere" / "1_Dense")
    (tmp_path / "model" / "model.safetensors").symlink_to(tmp_path / "blobs" / "weights")
    return tmp_path / "model"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "1_Dense/model.safetensors"])
def test_what_is_opened_counts_behind_links_too(folder: Path, name: str) -> None:
    before, about = model_hash(folder), (folder / name).stat()
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content.swapcase())
    os.utime(folder / name, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert model_hash(folder) != before
    (folder / name).write_bytes(content)
    assert model_hash(folder) == before


def test_a_hidden_folder_that_a_module_may_lie_in_counts(folder: Path) -> None:
    before = model_hash(folder)
    (folder / ".pooling").mkdir()
    (folder / ".pooling" / "config.json").write_text("{}")
    assert model_hash(folder) != before


def test_files_of_other_purposes_do_not_count(folder: Path) -> None:
    before = model_hash(folder)
    others = [
        "README.md",
        ".gitattributes",
        ".nearfield/onnx-int8/model.onnx",
        ".cache/huggingface/x",
        ".DS_Store",
    ]
    for name in [*others, ".a.json.partial-12-ab", ".nearfield-verified.json", ".x.lock"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    assert model_hash(folder) == before


def test_the_same_folder_by_link_or_by_copy_is_the_same_model(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    (copy / "1_Dense").mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "1_Dense/model.safetensors"):
        (copy / name).write_bytes((folder / name).read_bytes())
    assert model_hash(copy) == model_hash(folder)


def test_links_in_a_circle_end(folder: Path) -> None:
    before = model_hash(folder)
    (folder / "again").symlink_to(folder)
    assert model_hash(folder) == before
