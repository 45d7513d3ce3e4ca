"""OpenVINO and ONNX Runtime give torch's vectors, and say what is missing where they cannot."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasty import nasty_texts
from nearfield.batch.packed import packed_batches
from nearfield.encoders.text import TextEncoder
from nearfield.errors import MissingExtra, ModelError
from nearfield.formats.model_folder import read_model_folder
from nearfield.models.tokeniser import tokeniser_of
from nearfield.runtimes.onnx_runtime import ONNXRuntime
from nearfield.runtimes.openvino_runtime import OpenVINORuntime
from nearfield.runtimes.options import OpenOptions
from nearfield.runtimes.proof import Proof
from nearfield.runtimes.torch_runtime import TorchRuntime
from tiny import tiny_model

KINDS: dict[str, Any] = {"openvino": OpenVINORuntime, "onnx": ONNXRuntime}
TEXTS = nasty_texts(60)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Any:
    for package in {"openvino": ["openvino"], "onnx": ["onnxruntime", "onnx"]}[request.param]:
        pytest.importorskip(package, reason=f"{package} is not installed")
    return KINDS[request.param]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_model(tmp_path / "tiny")


@pytest.mark.parametrize("architecture", ["bert", "mpnet", "xlm-roberta"])
def test_vectors_are_those_of_torch_whatever_is_encoded_with_them(
    architecture: str, tmp_path: Path, kind: Any
) -> None:
    opened = read_model_folder(tiny_model(tmp_path / "tiny", kind=architecture))
    tokens = tokeniser_of(opened).tokenise(TEXTS)
    ours, theirs = kind.open(opened), TorchRuntime.open(opened)
    found = np.empty((len(TEXTS), 32), np.float32)
    for batch in packed_batches(tokens, 200):
        found[batch.items] = ours.run(batch).vectors
        np.testing.assert_allclose(found[batch.items], theirs.run(batch).vectors, atol=1e-5)
    for batch in packed_batches(tokens, 1):
        np.testing.assert_allclose(ours.run(batch).vectors, found[batch.items], atol=2e-6)


def test_int8(folder: Path, kind: Any) -> None:
    if kind is OpenVINORuntime:
        pytest.importorskip("nncf", reason="nncf is not installed")
    texts = tuple(text for text in TEXTS if text.strip() and len(text) < 40)
    encoder = TextEncoder.open(
        folder, OpenOptions(runtime=kind.name, precision="int8", proof=Proof(texts, fidelity=0.8))
    )
    exact = TextEncoder.open(folder, OpenOptions(runtime="torch")).encode(texts, "document").vectors
    cosines = (encoder.encode(texts, "document").vectors * exact).sum(1)
    assert cosines.mean() > 0.9  # of random weights
    assert cosines.min() < 1 - 1e-6, "it is int8"
    assert encoder.precision == "int8"


@pytest.mark.parametrize(
    ("runtime", "module"), [("openvino", "openvino"), ("onnx", "onnxruntime"), ("onnx", "onnx")]
)
def test_a_missing_package_is_named_with_the_pip_line(
    runtime: str, module: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip = rf"pip install 'nearfield\[{runtime}\]'"
    monkeypatch.setattr(
        sys.modules["nearfield.runtimes.converted"], "installed", lambda name: name != module
    )
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModelError, match=pip):
        TextEncoder.open(folder, OpenOptions(runtime=runtime))
    with pytest.raises(MissingExtra, match=pip):
        KINDS[runtime].open(read_model_folder(folder))


def test_int8_without_nncf(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino", reason="openvino is not installed")
    monkeypatch.setattr(
        sys.modules[OpenVINORuntime.__module__], "installed", lambda name: name != "nncf"
    )
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(MissingExtra, match=r"pip install 'nearfield\[openvino-int8\]'"):
        TextEncoder.open(folder, OpenOptions(runtime="openvino", precision="int8"))


def test_bfloat16_is_refused_where_openvino_would_run_float32(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = pytest.importorskip("openvino", reason="openvino is not installed")
    if "BF16" in engine.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        encoder = TextEncoder.open(
            folder, OpenOptions(runtime="openvino", precision="bfloat16", proof=Proof(fidelity=0.9))
        )
        assert encoder.precision == "bfloat16"
    else:
        with pytest.raises(ModelError, match="does not multiply bfloat16"):
            TextEncoder.open(folder, OpenOptions(runtime="openvino", precision="bfloat16"))


def test_the_default_model(minilm: Path, kind: Any) -> None:
    opened = read_model_folder(minilm)
    ours = kind.open(opened)
    batch = packed_batches(tokeniser_of(opened).tokenise(TEXTS), 4096)[0]
    np.testing.assert_allclose(
        ours.run(batch).vectors, TorchRuntime.open(opened).run(batch).vectors, atol=1e-5
    )
