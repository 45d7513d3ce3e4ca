"""Documents without the gap between texts and images: means and spread of both are equal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import nearfield as nf
from nearfield.cli.app import build
from nearfield.encoders.image.centred import Centred
from nearfield.errors import ContractError, InputError, ModelError, StorageError
from nearfield.formats.other_folder import CENTRED
from towers import images_of_each_kind, tiny_towers

TEXTS = ["a red cat", "the blue dog", "a photo of the green house", "a star", "face of a tree"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_towers(tmp_path_factory.mktemp("centred") / "clip", "clip")


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    return [*TEXTS, *images_of_each_kind(tmp_path_factory.mktemp("images"), 6)]


def test_neither_kind_is_closer_or_spread_wider(model: Path, items: list[Any]) -> None:
    own = nf.load(model)
    found = Centred.fitted(own, items)
    assert found.gap > 0.1
    queries = np.asarray(found.encode_query(TEXTS))
    np.testing.assert_allclose(queries, np.asarray(own.encode_query(TEXTS)), atol=1e-6)
    documents = np.asarray(found.encode_document(items))
    plain = np.asarray(own.encode_document(items))
    for kind, rows in enumerate((slice(0, 5), slice(5, None))):
        np.testing.assert_allclose(found.means[kind], plain[rows].mean(0), atol=1e-6)
        length = np.linalg.norm(documents[rows], axis=1)
        np.testing.assert_allclose(length, found.lengths[kind], rtol=1e-5)
    others = (plain[:5] @ documents[:5].T)[~np.eye(5, dtype=bool)]
    assert (plain[:5] @ documents[5:].T).std() == pytest.approx(others.std(), rel=1e-4)
    # a later document is treated alike, whatever it is encoded with
    for later in (found.encode_document(items[-1:]), found.encode(items[-1:], "image")):
        np.testing.assert_allclose(np.asarray(later), documents[-1:], atol=1e-5)


def test_its_folder_opens_it_everywhere(model: Path, items: list[Any], tmp_path: Path) -> None:
    found = Centred.fitted(nf.load(model), items)
    folder = tmp_path / "centred"
    found.save(folder, str(model))
    opened = nf.load(folder)
    documents = np.asarray(found.encode_document(items))
    np.testing.assert_array_equal(np.asarray(opened.encode_document(items)), documents)
    assert opened.identity != nf.load(model).identity
    kept = nf.index(opened, items, tmp_path / "kept")
    hits = kept.search("a red cat", k=11)
    order = np.argsort(-(documents @ np.asarray(found.encode_query(["a red cat"]))[0]))
    assert [hit.id for hit in hits] == [kept.collection.document_ids[at] for at in order.tolist()]
    # the model's own vectors are not taken for these, nor the reverse
    parts = nf.load(f"{folder}@chunk=50").encode_document(items[-1:])
    np.testing.assert_allclose(parts.tokens.floats(), documents[-1:], atol=1e-5)
    with pytest.raises(StorageError, match="by clip centred as document, which would be replaced"):
        nf.index(nf.load(model), items, tmp_path / "kept")
    with pytest.raises(ModelError, match="takes the gap out"):
        nf.load(f"{folder}@pooling=cls")


def test_what_does_not_fit_is_refused(model: Path, items: list[Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="got 5 texts and 0 images; wanted two of each"):
        Centred.fitted(nf.load(model), TEXTS)
    found = Centred.fitted(nf.load(model), items)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("x")
    with pytest.raises(InputError, match="is not a centred model"):
        found.save(tmp_path / "other", str(model))
    other = tiny_towers(tmp_path / "siglip", "siglip")
    found.save(tmp_path / "centred", str(other))
    with pytest.raises(ContractError, match="was made for another model than"):
        nf.load(tmp_path / "centred")
    file = tmp_path / "centred" / CENTRED
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(InputError, match=r"centred\.safetensors"):
        nf.load(tmp_path / "centred")


def test_the_command_makes_it_and_evaluate_compares(model: Path, tmp_path: Path) -> None:
    def told(*words: object) -> Any:
        result = CliRunner().invoke(build(), [*map(str, words), "--json"])
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    data = tmp_path / "data"
    images = images_of_each_kind(data, 4)
    rows = [
        {"file": image.name, "caption": text} for image, text in zip(images, TEXTS, strict=False)
    ]
    (data / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    rows = [{"id": f"t{at}", "text": text} for at, text in enumerate(TEXTS)]
    (data / "texts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    made = tmp_path / "centred"
    found = told("models", "centre", model, data, "--to", made)
    assert found["documents"] == 9
    assert found["gap"] > 0.1
    rows = told("evaluate", model, made, "--on", data)["rows"]
    assert {row["name"] for row in rows} >= {"clip", "centred"}
