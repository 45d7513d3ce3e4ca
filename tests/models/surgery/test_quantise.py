"""Weights stored at half the size: what every reader computes from them, and how far that is from
the whole model.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from model2vec import StaticModel
from safetensors.torch import load_file, save_file

from nasty import nasty_texts
from nearfield.encoders.text import TextEncoder
from nearfield.errors import ModelError
from nearfield.models.surgery.quantise import quantise
from nearfield.runtimes.options import OpenOptions
from peer import assert_same_as_sentence_transformers
from static_models import model2vec_folder, sentence_transformers_folder, table
from tiny import tiny_model


@pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
@pytest.mark.parametrize(("dtype", "least"), [("float16", 0.9999), ("bfloat16", 0.99)])
def test_every_reader_computes_in_float32_from_the_rounded_weights(
    dtype: str, least: float, tmp_path: Path
) -> None:
    whole = tiny_model(tmp_path / "whole")
    made = quantise(whole, to=tmp_path / "made", dtype=dtype)
    kinds = {weight.dtype for weight in load_file(made.folder / "model.safetensors").values()}
    assert kinds == {getattr(torch, dtype)}
    assert json.loads((made.folder / "config.json").read_text())["dtype"] == "float32"
    texts = nasty_texts(30)
    assert_same_as_sentence_transformers(made.folder, texts)
    native, by_torch, before = (
        TextEncoder.open(folder, OpenOptions(runtime=runtime)).encode(texts, "query").vectors
        for folder, runtime in ((made.folder, "native"), (made.folder, "torch"), (whole, "torch"))
    )
    np.testing.assert_allclose(native, by_torch, atol=1e-5)
    assert (by_torch * before).sum(1).min() > least


@pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_static_models_as_model2vec_reads_them(dtype: str, tmp_path: Path) -> None:
    whole = model2vec_folder(tmp_path / "whole", max_tokens=None)
    made = quantise(whole, to=tmp_path / "made", dtype=dtype)
    texts = nasty_texts(30)
    ours = TextEncoder.open(made.folder).encode(texts, "document").vectors
    tolerance = 2e-3 if dtype == "float16" else 1e-5  # model2vec sums in float16
    np.testing.assert_allclose(
        ours, StaticModel.from_pretrained(made.folder).encode(texts), atol=tolerance
    )
    before = TextEncoder.open(whole).encode(texts, "document").vectors
    known = before.any(1)
    assert (ours * before).sum(1)[known].min() > 0.999


def test_int8_is_each_row_to_the_nearest_of_255_steps(tmp_path: Path) -> None:
    made = quantise(model2vec_folder(tmp_path / "whole"), to=tmp_path / "made", dtype="int8")
    assert made.after < made.before
    tensors = load_file(made.folder / "model.safetensors")
    assert tensors["embeddings"].dtype == torch.int8
    for row, steps, scale in zip(
        table(), tensors["embeddings"].numpy(), tensors["weights"].numpy(), strict=True
    ):
        np.testing.assert_allclose(steps * scale, row, atol=float(np.abs(row).max()) / 254 + 1e-6)


def test_what_cannot_be_stored_so_is_refused(tmp_path: Path) -> None:
    whole, to = tiny_model(tmp_path / "whole"), tmp_path / "made"
    with pytest.raises(ModelError, match=r"runs in int8 as .*@openvino,int8"):
        quantise(whole, to=to, dtype="int8")
    with pytest.raises(ModelError, match="Did you mean 'float16'"):
        quantise(whole, to=to, dtype="float61")
    with pytest.raises(ModelError, match="model2vec reads no bfloat16"):
        quantise(model2vec_folder(tmp_path / "static"), to=to, dtype="bfloat16")
    with pytest.raises(ModelError, match="no place for a scale per token"):
        quantise(sentence_transformers_folder(tmp_path / "theirs"), to=to, dtype="int8")
    tensors = load_file(whole / "model.safetensors")
    name = next(name for name in tensors if name.endswith("dense.weight"))
    tensors[name][0, 0] = 1e6
    save_file(tensors, whole / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="use bfloat16"):
        quantise(whole, to=to, dtype="float16")
    assert not to.exists()
