"""What every runtime promises: each test runs over the whole registry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from late_models import tiny_late
from nearfield.encoders.load import load, load_text_encoder
from nearfield.encoders.reranker import Reranker
from nearfield.encoders.text import TextEncoder
from nearfield.errors import InputError, ModelError
from nearfield.formats.model_folder import read_model_folder
from nearfield.formats.reranker_folder import read_reranker_folder
from nearfield.models.surgery.new_head import HeadOptions, new_head
from nearfield.runtimes import RUNTIMES
from nearfield.runtimes.choose import choose
from nearfield.runtimes.options import PRECISIONS, OpenOptions
from nearfield.runtimes.runtime import Folder
from nearfield.similarity import EMBEDDINGS
from sparse_models import tell_apart, tiny_splade
from static_models import model2vec_folder
from three_head_models import tiny_three_heads
from tiny import tiny_model
from tiny_cross import tiny_cross

TEXTS = ["a cat and a dog", "", "the cat", "read a file line by line in the sun", "tax law"]


def looked_up(folder: Path) -> Path:
    """A sparse model whose queries are looked up."""
    dense = tell_apart(tiny_model(folder.with_name("dense"), sizes={"num_hidden_layers": 1}))
    options = HeadOptions(inference_free=True, texts=TEXTS)
    new_head(dense, "splade", to=folder, options=options)
    return folder


# a runtime that joins the registry joins this table, with a folder that it runs
FOLDERS = {
    "static": model2vec_folder,
    "native": tiny_model,
    "lookup": looked_up,
    "torch": tiny_model,
    "openvino": tiny_model,
    "onnx": tiny_model,
}
# one folder for each kind of embeddings
KINDS = {
    "dense": tiny_model,
    "multi-vector": tiny_late,
    "several": tiny_three_heads,
    "sparse": tiny_splade,
}
every_runtime = pytest.mark.parametrize("name", list(RUNTIMES))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("runtimes")
    return {name: make(root / name) for name, make in FOLDERS.items()}


def opened(name: str, folder: Path, *, batch_tokens: int | None = None) -> TextEncoder[Any]:
    """The folder on this runtime. Skips where the runtime is not installed here."""
    hindrance = RUNTIMES[name].why_not(read_model_folder(folder))
    if hindrance is not None and ("is not installed" in hindrance or "not compiled" in hindrance):
        pytest.skip(f"{name} {hindrance}")
    options = OpenOptions(name, device="cpu")
    return TextEncoder.open(folder, options, batch_tokens=batch_tokens)


def assert_close(ours: Any, theirs: Any, *, atol: float) -> None:
    one, other = ours.arrays(), theirs.arrays()
    assert list(one) == list(other)
    for part, array in one.items():
        np.testing.assert_allclose(array, other[part], atol=atol, err_msg=part)


@every_runtime
def test_it_states_what_it_can_do(name: str) -> None:
    runtime = RUNTIMES[name]
    assert runtime.name == name
    assert set(runtime.precisions) <= set(PRECISIONS)
    assert set(runtime.kinds) <= set(EMBEDDINGS)


@every_runtime
@pytest.mark.parametrize("role", ["query", "document"])
def test_its_embeddings_are_torchs(name: str, role: str, folders: dict[str, Path]) -> None:
    ours = opened(name, folders[name]).encode(TEXTS, role)
    assert_close(ours, opened("torch", folders[name]).encode(TEXTS, role), atol=1e-5)


@every_runtime
def test_a_text_is_encoded_alike_whatever_is_encoded_with_it(
    name: str, folders: dict[str, Path]
) -> None:
    whole = opened(name, folders[name]).encode(TEXTS, "document")
    small = opened(name, folders[name], batch_tokens=5)
    assert_close(small.encode(TEXTS, "document"), whole, atol=2e-6)
    backwards = small.encode(TEXTS[::-1], "document")
    assert_close(backwards[np.arange(len(TEXTS))[::-1]], whole, atol=2e-6)
    for row, text in enumerate(TEXTS):
        assert_close(small.encode([text], "document"), whole[[row]], atol=2e-6)


@every_runtime
def test_no_texts_and_empty_texts(name: str, folders: dict[str, Path]) -> None:
    encoder = opened(name, folders[name])
    nothing = encoder.encode([], "document")
    assert type(nothing) is type(encoder.encode(TEXTS, "document"))
    assert len(nothing) == 0
    empty = encoder.encode(["", ""], "document")
    assert len(empty) == 2
    assert np.isfinite(empty.peaks()).all()


@every_runtime
@pytest.mark.parametrize("kind", KINDS)
def test_it_runs_a_kind_or_says_why_not(name: str, kind: str, tmp_path: Path) -> None:
    folder = read_model_folder(KINDS[kind](tmp_path / "model"))
    refused = _why_not(name, folder)
    if refused is None:
        found = load(folder.path, runtime=name, device="cpu").encode(TEXTS, "document")
        assert found.kind == kind
    elif kind not in RUNTIMES[name].kinds:
        assert f"embeddings, and this model's are {kind}" in refused
    with pytest.raises(ModelError, match=rf"{name}: runs on the processor|torch: has no int8"):
        choose(folder, OpenOptions(name, "int8" if name == "torch" else "float32", "cuda"))


@every_runtime
def test_it_runs_cross_encoders_or_says_why_not(name: str, tmp_path: Path) -> None:
    folder = read_reranker_folder(tiny_cross(tmp_path / "model"))
    refused = _why_not(name, folder)
    if not RUNTIMES[name].pairs:
        assert "does not run cross-encoders" in str(refused)
        return
    if refused is not None:
        pytest.skip(refused)
    ours, theirs = (
        Reranker.open(folder.path, OpenOptions(runtime, device="cpu"))
        for runtime in (name, "torch")
    )
    np.testing.assert_allclose(
        ours.score("the cat", TEXTS), theirs.score("the cat", TEXTS), atol=1e-5
    )


def _why_not(name: str, folder: Folder) -> str | None:
    """What `choose` says of this runtime on the processor."""
    try:
        choose(folder, OpenOptions(name, device="cpu"))
    except ModelError as error:
        return str(error)
    return None


def test_an_unknown_name_is_refused_with_the_nearest(folders: dict[str, Path]) -> None:
    with pytest.raises(InputError, match=r"no runtime 'onx'; known: static, .*Did you mean 'onnx'"):
        load_text_encoder(folders["torch"], OpenOptions("onx"))
