from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nearfield as nf
from nearfield.encoders.load import load_text_encoder, stated_contract
from nearfield.errors import InputError, ModelError
from nearfield.models.surgery.join import join
from sparse_models import tiny_splade
from tiny import tiny_model
from towers import images_of_each_kind, tiny_image_model, write_json

TEXTS = ["the cat", "a red tree in the sun", ""]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A model of texts, one of images, and both joined."""
    place = tmp_path_factory.mktemp("parts")
    text = tiny_model(place / "text", nearfield={"contract": {"prompts": {"query": "query : "}}})
    image = tiny_image_model(place / "image", "dinov2")
    join(text, image, to=place / "joined")
    return text, image, place / "joined"


def test_a_joined_model_is_its_two_models(parts: tuple[Path, Path, Path], tmp_path: Path) -> None:
    text, image, joined = (nf.load(part) for part in parts)
    images = images_of_each_kind(tmp_path, 3)
    for role in ("query", "document"):
        np.testing.assert_array_equal(
            np.asarray(joined.encode(TEXTS, role)), np.asarray(text.encode(TEXTS, role))
        )
    mixed = np.asarray(joined.encode([TEXTS[0], *images, TEXTS[1]], "document"))
    weights: Any = joined
    layer = weights.projection.weights
    made = np.asarray(image.encode(images)) @ layer["linear.weight"].T + layer["linear.bias"]
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    np.testing.assert_allclose(mixed[1:-1], made, atol=1e-6)
    np.testing.assert_allclose(mixed[[0, -1]], text.encode(TEXTS[:2], "document"), atol=1e-6)
    assert joined.roles_differ
    assert joined.identity != text.identity
    assert stated_contract(parts[2]) == joined.contract
    assert joined.contract.prompts == {"query": "query : ", "image": ""}


def test_joining_twice_is_the_same(parts: tuple[Path, Path, Path], tmp_path: Path) -> None:
    join(*parts[:2], to=tmp_path / "again")
    again, first = nf.load(tmp_path / "again"), nf.load(parts[2])
    assert again.identity == first.identity


def test_an_aligned_image_encoder_keeps_its_vectors(
    parts: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    join(*parts[:2], to=tmp_path / "aligned", aligned=True)
    images = images_of_each_kind(tmp_path / "images", 3)
    found = nf.load(tmp_path / "aligned").encode_document(images)
    np.testing.assert_allclose(found, nf.load(parts[1]).encode(images), atol=1e-6)
    other = tiny_image_model(tmp_path / "other", "convnext")
    with pytest.raises(ModelError, match="16 numbers and a text 32, so that they are not aligned"):
        join(parts[0], other, to=tmp_path / "to", aligned=True)


def test_what_cannot_be_joined_is_refused(
    parts: tuple[Path, Path, Path], cli: Callable[..., Any], tmp_path: Path
) -> None:
    text, image, joined = parts
    with pytest.raises(ModelError, match="by the cosine of one vector each"):
        join(tiny_splade(tmp_path / "splade"), image, to=tmp_path / "to")
    with pytest.raises(ModelError, match="is not the folder of an encoder of images"):
        join(text, text, to=tmp_path / "to")
    with pytest.raises(ModelError, match="is a model of images, which encodes"):
        load_text_encoder(joined)
    result = cli("models", "join", str(text), str(image), "--to", str(tmp_path / "to"))
    assert result.exit_code == 0
    assert "images and texts" in result.stdout
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="other"):
        join(text, image, to=tmp_path / "other")


def test_a_damaged_joined_folder_is_refused(parts: tuple[Path, Path, Path], tmp_path: Path) -> None:
    broken = shutil.copytree(parts[2], tmp_path / "broken")
    config = broken / "projection" / "config.json"
    write_json(config, {"in_features": 3, "out_features": 2})
    with pytest.raises(ModelError, match="the weights do not fit"):
        nf.load(broken)
    shutil.rmtree(broken / "image")
    with pytest.raises(ModelError, match="is not the folder of an encoder of images"):
        nf.load(broken)
    write_json(broken / "joined.json", {"format": 2})
    with pytest.raises(ModelError, match="format is 2; wanted 1"):
        nf.load(broken)
