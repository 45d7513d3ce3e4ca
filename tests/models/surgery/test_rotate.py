"""Models with turned vectors: the same similarities, the most in the first dimensions, and a folder
that sentence-transformers opens.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense

from nasty import nasty_texts
from nearfield.encoders.text import TextEncoder
from nearfield.errors import InputError, ModelError
from nearfield.formats.modules import read_modules
from nearfield.models.surgery.rotate import rotate
from nearfield.types.arrays import Floats
from peer import assert_same_as_sentence_transformers
from sparse_models import tiny_splade
from static_models import sentence_transformers_folder
from tiny import WORDS, tiny_model

pytestmark = pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
TEXTS = [*(" ".join(WORDS[at::7]) for at in range(7)), *nasty_texts(40)]


def vectors_of(folder: Path) -> Floats:
    return TextEncoder.open(folder).encode(TEXTS, "document").floats()


def projected(folder: Path, activation: torch.nn.Module) -> Path:
    """A tiny model with a Dense module behind its pooling."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = SentenceTransformer(str(tiny_model(folder / "whole", normalise=False)))
        torch.manual_seed(0)
        model = SentenceTransformer(
            modules=[*whole, Dense(32, 16, activation_function=activation)], device="cpu"
        )
        model.save(str(folder / "projected"))
    return folder / "projected"


@pytest.mark.parametrize(
    ("kind", "dense"),
    [("normalised", 1), ("plain", 1), ("linear", 1), ("tanh", 2), ("static", 0)],
)
def test_similarities_stay_and_the_first_dimensions_hold_the_most(
    kind: str, dense: int, tmp_path: Path
) -> None:
    if kind == "static":
        model = sentence_transformers_folder(tmp_path / "model")
    elif kind in ("linear", "tanh"):
        activation = torch.nn.Identity() if kind == "linear" else torch.nn.Tanh()
        model = projected(tmp_path, activation)
    else:
        model = tiny_model(tmp_path / "model", normalise=kind == "normalised")
    before = vectors_of(model)
    made = rotate(model, to=tmp_path / "made", vectors=before)
    after = vectors_of(made.folder)
    scale = float(np.abs(before @ before.T).max())
    np.testing.assert_allclose(after @ after.T, before @ before.T, atol=1e-4 * scale)
    energies = np.square(np.linalg.svd(before.astype(np.float64))[1])
    np.testing.assert_allclose(
        np.square(after, dtype=np.float64).sum(0), energies, atol=1e-4 * energies[0]
    )
    assert [module.kind for module in read_modules(made.folder)].count("Dense") == dense
    assert_same_as_sentence_transformers(made.folder, TEXTS)
    # a further rotation lies in the layer of the one before
    again = rotate(made.folder, to=tmp_path / "again", vectors=after[:, ::-1])
    assert [module.kind for module in read_modules(again.folder)].count("Dense") == dense
    turned = vectors_of(again.folder)
    np.testing.assert_allclose(turned @ turned.T, before @ before.T, atol=1e-4 * scale)


def test_what_cannot_be_turned_is_refused(tmp_path: Path) -> None:
    model, to = tiny_model(tmp_path / "model"), tmp_path / "made"
    for shape in ((0, 32), (4, 16)):
        with pytest.raises(InputError, match=r"wanted some of the 32 dimensions of model"):
            rotate(model, to=to, vectors=np.ones(shape, np.float32))
    vectors = np.ones((4, 32), np.float32)
    with pytest.raises(ModelError, match="its vectors are sparse; only plain dense ones"):
        rotate(tiny_splade(tmp_path / "splade"), to=to, vectors=vectors)
    normed = tiny_model(tmp_path / "nomic", nearfield={"contract": {"layer_norm": True}})
    with pytest.raises(ModelError, match="its vectors are cut after a layer norm"):
        rotate(normed, to=to, vectors=vectors)
    assert not to.exists()
