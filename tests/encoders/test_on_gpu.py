"""Models of every kind on a GPU that is pretended: what they make there is what they make on the
processor.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from decoders import decoder_model
from late_models import tiny_late
from nearfield.encoders.reranker import Reranker
from nearfield.encoders.text import TextEncoder
from nearfield.formats.reranker_folder import read_reranker_folder
from nearfield.models.model import TextModel
from nearfield.models.pair_model import PairModel
from nearfield.runtimes.torch_runtime import TorchRuntime
from pretended_gpu import pretended_gpu
from sparse_models import tiny_splade
from static_models import model2vec_folder
from three_head_models import tiny_three_heads
from tiny import CONFIGS, WORDS, tiny_model
from tiny_cross import tiny_cross, tiny_decoder

pytestmark = pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
TEXTS = [
    " ".join(WORDS[start : start + length])
    for start, length in [(0, 5), (9, 5), (3, 12), (1, 1), (20, 30), (5, 12)]
] + ["", "cat"]


def encoded(folder: Path, device: str, precision: str, role: str = "document") -> Any:
    model = TextModel.open(folder, device=device, precision=precision)
    return TextEncoder(model.folder, TorchRuntime(model), batch_tokens=40).encode(TEXTS, role)


# others share their attention with one of these
KINDS = ("bert", "modernbert", "mpnet", "nomic_bert", "gemma3_text", "mistral", "qwen3")


@pytest.mark.parametrize(
    ("kind", "precision"),
    [("bert", "float32"), ("qwen3", "float32"), *((kind, "bfloat16") for kind in KINDS)],
)
def test_architectures(tmp_path: Path, kind: str, precision: str) -> None:
    folder = (
        tiny_model(tmp_path / kind, kind=kind)
        if kind in CONFIGS
        else decoder_model(tmp_path / kind, kind)
    )
    plain = encoded(folder, "cpu", precision).vectors
    with pretended_gpu() as gpu:
        there = encoded(folder, "cuda:0", precision).vectors
    np.testing.assert_allclose(there, plain, atol=1e-5 if precision == "float32" else 0.05, rtol=0)
    assert bool(gpu.attended) == (precision == "bfloat16" and kind != "mpnet"), (
        "flash attention takes half precision"
    )
    assert set(gpu.waits) == {"bring"}, "only for the vectors"


@pytest.mark.parametrize(
    "kind", ["late bert", "late modernbert", "max splade", "sum splade", "three heads", "static"]
)
def test_every_head(tmp_path: Path, kind: str) -> None:
    which, _, backbone = kind.partition(" ")
    unattended = {"strategy": "fixed", "attend": False, "token": "[MASK]", "length": 24}
    make = {
        "late": lambda folder: tiny_late(folder, backbone, query_expansion=unattended),
        "max": tiny_splade,
        "sum": lambda folder: tiny_splade(folder, pooling="sum"),
        "three": tiny_three_heads,
        "static": model2vec_folder,
    }[which]
    folder = make(tmp_path / "model")
    for role in ("query", "document"):
        plain = encoded(folder, "cpu", "float32", role)
        with pretended_gpu():
            there = encoded(folder, "cuda:0", "float32", role)
        np.testing.assert_allclose(there.scores(there), plain.scores(plain), atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("kind", ["bert", "deberta-v2", "mpnet", "modernbert", "yes and no"])
def test_cross_encoders(tmp_path: Path, kind: str) -> None:
    folder = read_reranker_folder(
        tiny_decoder(tmp_path / "model")
        if kind == "yes and no"
        else tiny_cross(tmp_path / "model", kind)
    )
    plain = Reranker(folder, TorchRuntime(PairModel(folder))).score("read a file", TEXTS)
    with pretended_gpu() as gpu:
        np.testing.assert_allclose(
            Reranker(folder, TorchRuntime(PairModel(folder, device="cuda:0"))).score(
                "read a file", TEXTS
            ),
            plain,
            atol=1e-4,
        )
    assert set(gpu.waits) == {"bring"}


@pytest.mark.parametrize("size", [26, 264])
def test_heads_that_flash_attention_does_not_take(tmp_path: Path, size: int) -> None:
    """26 dimensions has rubert-tiny2; flash attention pads no head and ends at 256."""
    folder = tiny_model(
        tmp_path / "model", sizes={"hidden_size": 2 * size, "num_attention_heads": 2}
    )
    with pretended_gpu() as gpu:
        there = encoded(folder, "cuda:0", "bfloat16").vectors
    np.testing.assert_allclose(there, encoded(folder, "cpu", "float32").vectors, atol=0.05)
    assert not gpu.attended


def test_the_pretended_gpu_is_as_strict_as_one() -> None:
    with pretended_gpu() as gpu:
        there = torch.ones(3, device="cuda:0")
        with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
            there + torch.ones(3)
        with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
            torch.ones(3)[torch.arange(2, device="cuda:0")]
        with pytest.raises(TypeError, match="can't convert cuda:0 device type tensor to numpy"):
            there.numpy()
        with pytest.raises(AssertionError, match="multiple of 8"):
            at = torch.tensor([0, 3], dtype=torch.int32, device="cuda:0")
            rows = torch.ones(3, 1, 26, device="cuda:0", dtype=torch.bfloat16)
            torch.ops.torch_attn._varlen_attn(rows, rows, rows, at, at, 3, 3, False, None, [-1, -1])
        assert float(there[torch.arange(3)].sum()) == 3
        assert gpu.waits["_local_scalar_dense"] == 1
        assert (there * 2).cpu().numpy().tolist() == [2, 2, 2]
