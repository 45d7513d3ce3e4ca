from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer
from typer.testing import CliRunner

import nearfield as nf
from nearfield.cli.app import build
from nearfield.data.open import open_stream
from nearfield.data.readers.image import image_url
from nearfield.encoders.image.two_tower import TwoTowerEncoder
from nearfield.encoders.load import load_text_encoder, stated_contract
from nearfield.errors import ContractError, InputError, ModelError, TruncationWarning
from nearfield.evaluate.open_task import open_task
from nearfield.evaluate.task import Options
from nearfield.types.progress import Progress, silent
from nearfield.vectors.account import Account
from nearfield.vectors.encode_to import encode_to
from towers import (
    KINDS,
    LENGTH,
    TEXTS,
    bad_files,
    images_of_each_kind,
    tiny_towers,
    write_json,
)

EMOJI = Path(__file__).parents[3] / "shared" / "data" / "emoji" / "images"


@pytest.fixture(scope="module", params=KINDS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_towers(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return images_of_each_kind(tmp_path_factory.mktemp("images"))


def opened(folder: Path) -> TwoTowerEncoder:
    encoder = nf.load(folder)
    assert isinstance(encoder, TwoTowerEncoder)
    return encoder


def unit(features: Any) -> Any:
    return torch.nn.functional.normalize(features.pooler_output, dim=-1).numpy()


def plain(path: Path) -> Image.Image:
    """As any script opens an image; but for 16 bits, which it would cut off at 255."""
    with Image.open(path) as image:
        image.load()
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    turned: Any = ImageOps.exif_transpose(image)
    return turned.convert("RGB")


@pytest.mark.filterwarnings("ignore::nearfield.errors.TruncationWarning")
def test_features_are_those_of_transformers(folder: Path, images: list[Path]) -> None:
    model, encoder = AutoModel.from_pretrained(folder), opened(folder)
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    padding = "longest" if model.config.model_type == "clip" else "max_length"
    given = AutoTokenizer.from_pretrained(folder)(
        TEXTS, padding=padding, truncation=True, max_length=LENGTH, return_tensors="pt"
    )
    with torch.inference_mode():
        texts = unit(model.get_text_features(**given))
        pixels = processor(images=[plain(path) for path in images], return_tensors="pt")
        seen = unit(model.get_image_features(**pixels))
    np.testing.assert_allclose(encoder.encode(TEXTS), texts, atol=1e-5)
    np.testing.assert_allclose(encoder.encode(images), seen, atol=1e-5)
    own = [*map(str, images)]
    np.testing.assert_array_equal(encoder.encode(own, role="image"), encoder.encode(images))
    assert encoder.contract.dim == texts.shape[1]
    assert np.abs(texts @ texts.T - 1).max() > 1e-3  # the random towers tell texts apart
    assert np.abs(seen @ seen.T - 1).max() > 1e-3


def test_gradients_are_those_of_transformers(folder: Path, images: list[Path]) -> None:
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    given = processor(images=[plain(path) for path in images[:3]], return_tensors="pt")
    networks = [opened(folder).model.model, AutoModel.from_pretrained(folder)]
    for network in networks:
        network.get_image_features(**given).pooler_output.square().sum().backward()
    ours, theirs = (dict(network.vision_model.named_parameters()) for network in networks)
    for name, weight in theirs.items():
        torch.testing.assert_close(ours[name].grad, weight.grad, rtol=1e-4, atol=1e-5)


def test_logits_are_those_of_transformers(folder: Path, images: list[Path]) -> None:
    model, encoder = AutoModel.from_pretrained(folder), opened(folder)
    texts, seen = encoder.encode(["red", "a cat"]), encoder.encode(images[:3])
    given = AutoTokenizer.from_pretrained(folder)(
        ["red", "a cat"], padding="max_length", max_length=LENGTH, return_tensors="pt"
    )
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    pixels = processor(images=[plain(path) for path in images[:3]], return_tensors="pt")
    with torch.inference_mode():
        expected = model(**given, **pixels).logits_per_image.numpy()
    np.testing.assert_allclose(encoder.logits.of(np.asarray(seen @ texts.T)), expected, atol=1e-4)


@pytest.mark.filterwarnings("ignore:Palette images with Transparency")
def test_pixels_are_those_of_the_processor(folder: Path, tmp_path: Path) -> None:
    """Of 200 images of every kind, real ones where they are there, none differs in any pixel."""
    paths = images_of_each_kind(tmp_path / "made", 100)
    real = sorted(EMOJI.glob("*.png"))[::19][:100] if EMOJI.is_dir() else []
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    encoder = opened(folder)
    from nearfield.data.readers.image import open_image

    for path in [*paths, *real]:
        expected = processor(images=plain(path), return_tensors="pt")
        found = encoder.model.prepared([open_image(path)])
        assert set(found) == set(expected)
        for name in found:
            torch.testing.assert_close(found[name], expected[name], rtol=0, atol=0)


def test_all_ways_of_giving_an_image_are_one(folder: Path, images: list[Path]) -> None:
    encoder, path = opened(folder), images[0]
    ways = [path, path.read_bytes(), image_url(path), plain(path), np.asarray(plain(path))]
    mixed = encoder.encode([ways[0], "a photo of a cat", *ways[1:]])
    np.testing.assert_allclose(
        np.delete(np.asarray(mixed), 1, 0), np.repeat(mixed[:1].floats(), 5, 0), atol=1e-6
    )
    np.testing.assert_allclose(mixed[1], encoder.encode(["a photo of a cat"])[0], atol=1e-6)
    assert encoder.encode([]).shape == (0, encoder.contract.dim)


def test_what_cannot_be_encoded_is_named(folder: Path, images: list[Path], tmp_path: Path) -> None:
    encoder = opened(folder)
    with pytest.raises(ContractError, match="has no role 'clustering'"):
        encoder.encode(["a"], "clustering")
    with pytest.raises(InputError, match=r"item 1: .*broken.png: is no image"):
        broken = tmp_path / "broken.png"
        broken.write_text("no image")
        encoder.encode([images[0], broken])
    with pytest.warns(TruncationWarning, match="1 of 1 texts were longer"):
        encoder.encode(["a b " * 40])
    with pytest.raises(ModelError, match="run with torch in float32"):
        nf.load(folder, precision="int8")
    with pytest.raises(InputError, match="a list of texts is wanted"):
        encoder.encode("a cat")


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_that_lacks_a_file_is_named(kind: str, tmp_path: Path) -> None:
    folder = tiny_towers(tmp_path, kind)
    (folder / "preprocessor_config.json").unlink(missing_ok=True)
    (folder / "processor_config.json").unlink(missing_ok=True)
    with pytest.raises(ModelError, match="says how images are prepared"):
        nf.load(folder)


def test_nothing_that_a_folder_says_is_trusted(tmp_path: Path) -> None:
    folder = tiny_towers(tmp_path / "model", "clip")
    weights, config = folder / "model.safetensors", folder / "config.json"
    whole, stated = weights.read_bytes(), json.loads(config.read_text(encoding="utf-8"))
    write_json(config, stated | {"auto_map": {"AutoModel": "own.Model"}})
    with pytest.raises(ModelError, match=r"auto_map names own.Model for AutoModel, which is code"):
        nf.load(folder)
    write_json(config, stated)
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=r"cannot be opened"):
        nf.load(folder)
    (tmp_path / "outside.safetensors").write_bytes(whole)
    weights.unlink()
    index = {"weight_map": {"logit_scale": "../outside.safetensors"}}
    write_json(folder / "model.safetensors.index.json", index)
    with pytest.raises(InputError, match=r"which leads out of .*nothing outside is read"):
        nf.load(folder)


def test_a_folder_of_images_is_encoded_through_an_interruption(tmp_path: Path) -> None:
    folder = tiny_towers(tmp_path / "model", "clip")
    photos = tmp_path / "photos"
    paths = images_of_each_kind(photos, 20)
    said = bad_files(photos)
    encoder = nf.load(folder)
    fresh = 0

    def interrupted(done: int, total: int, note: str = "") -> None:
        nonlocal fresh
        fresh = done
        if done > 9:
            raise KeyboardInterrupt

    def encoded(to: str, progress: Progress = silent, *, cache: bool = True) -> Account:
        stream = open_stream(photos, "document")
        return encode_to(
            encoder, stream, tmp_path / to, shard_rows=4, cache=cache, progress=progress
        )

    with pytest.raises(KeyboardInterrupt):
        encoded("killed", interrupted)
    assert fresh > 9
    account = encoded("killed")
    assert account.failed == len(said)
    assert all(any(name in fault for fault in account.faults) for name in list(said)[:3])
    encoded("whole", cache=False)
    killed, whole = (tmp_path / name / "vectors.npy" for name in ("killed", "whole"))
    assert killed.read_bytes() == whole.read_bytes()
    np.testing.assert_allclose(np.load(whole), encoder.encode(paths), atol=1e-6)
    paths[0].rename(photos / "renamed.png")
    assert encoded("renamed").cached == len(paths)


def test_captions_and_folders_are_evaluated(tmp_path: Path) -> None:
    encoder = nf.load(tiny_towers(tmp_path / "model", "clip"))
    photos = tmp_path / "photos"
    paths = images_of_each_kind(photos / "images", 6)
    captions = ["a red cat", "a blue dog", "a tree", "a star", "a face", "a house"]
    rows = [
        json.dumps({"file": path.name, "caption": caption, "split": "test"})
        for path, caption in zip(paths, captions, strict=True)
    ]
    (photos / "captions.jsonl").write_text("\n".join(rows))
    data = nf.open_collection(photos)
    assert list(data.query_texts) == captions
    scores = np.asarray(encoder.encode(captions)) @ np.asarray(encoder.encode(paths)).T
    expected = float((scores.argmax(1) == np.arange(6)).mean())
    table = nf.compare([encoder], data, measures=["R@1", "nDCG@10"])
    assert table.rows[0].means["R@1"] == pytest.approx(expected)
    assert len(table.rows) == 1, "BM25 has nothing to read"
    back = nf.compare([encoder], data, task="image-to-text", measures=["Success@1", "Success@5"])
    expected = float((scores.T.argmax(1) == np.arange(6)).mean())
    assert back.rows[0].means["Success@1"] == pytest.approx(expected)
    apart = np.asarray(encoder.encode(captions)).mean(0) - np.asarray(encoder.encode(paths)).mean(0)
    assert f"modality gap {np.linalg.norm(apart):.3f}" in " ".join(back.notes)
    swapped = [" ".join(caption.split()[::-1]) for caption in captions]
    (photos / "captions.jsonl").write_text(
        "\n".join(
            json.dumps(json.loads(row) | {"foils": foil})
            for row, foil in zip(rows, swapped, strict=True)
        )
    )
    probe = nf.compare([encoder], photos, task="reranking", measure="P@1")
    foiled = np.asarray(encoder.encode(swapped)) @ np.asarray(encoder.encode(paths)).T
    expected = float((np.diag(scores) > np.diag(foiled)).mean())
    assert probe.rows[0].means["P@1"] == pytest.approx(expected)
    hits = nf.index(encoder, data).search(captions[0], k=2)
    assert [hit.id for hit in hits] == [
        f"images/{paths[at].name}" for at in (-scores[0]).argsort()[:2]
    ]
    command = ["evaluate", str(tmp_path / "model"), "--on", str(photos)]
    shown = CliRunner().invoke(build(), command)
    assert shown.stderr.endswith(f"Next: nearfield {shlex.join(command)} --details\n")
    search = ["search", str(photos), captions[0], "--model", str(tmp_path / "model"), "-k", "2"]
    found = json.loads(CliRunner().invoke(build(), [*search, "--json"]).stdout)["results"]
    assert [(row["id"], row["text"]) for row in found] == [(hit.id, "(image)") for hit in hits]
    (photos / "captions.jsonl").write_text('{"file": "none.png", "caption": "x"}')
    with pytest.raises(InputError, match=r"captions\.jsonl:1: image 'none\.png' is not a file of"):
        nf.open_collection(photos)
    labels = np.arange(6) % 2
    for label, path in zip(labels, paths, strict=True):
        place = tmp_path / "labelled" / "test" / ("cat", "dog")[label]
        place.mkdir(parents=True, exist_ok=True)
        (place / path.name).write_bytes(path.read_bytes())
    table = nf.compare([encoder], tmp_path / "labelled", task="zero-shot")
    scores = np.asarray(encoder.encode(paths)) @ np.asarray(encoder.encode(["cat", "dog"])).T
    expected = float((scores.argmax(1) == labels).mean())
    assert table.rows[0].means["Accuracy"] == pytest.approx(expected)
    templates = ["a photo of a {}", "the {}", "a red {}"]
    file = tmp_path / "labelled" / "templates.jsonl"
    file.write_text("\n".join(json.dumps({"template": each}) for each in templates))
    weights = []
    for name in ("cat", "dog"):  # as open_clip's build_zero_shot_classifier does
        mean = np.asarray(encoder.encode([each.format(name) for each in templates])).mean(0)
        weights.append(mean / np.linalg.norm(mean))
    scores = np.asarray(encoder.encode(paths)) @ np.array(weights).T
    task = open_task(tmp_path / "labelled", "zero-shot")
    (row,) = task.measure([encoder], ["Accuracy", "Accuracy@5"], Options())
    np.testing.assert_array_equal(
        np.sort(row.scores["Accuracy"]), np.sort(scores.argmax(1) == labels)
    )
    assert row.scores["Accuracy@5"].all(), "of two labels"
    file.write_text('{"template": "a photo"}')
    with pytest.raises(InputError, match=r"templates\.jsonl:1: template 'a photo' has no \{\}"):
        open_task(tmp_path / "labelled", "zero-shot")


def test_what_wants_a_text_model_names_one_of_images(folder: Path) -> None:
    assert stated_contract(folder) == opened(folder).contract
    with pytest.raises(ModelError, match="is a model of images"):
        load_text_encoder(folder)


def test_a_text_model_refuses_an_image(images: list[Path], tmp_path: Path) -> None:
    from tiny import tiny_model

    encoder = nf.load(tiny_model(tmp_path / "text"))
    with pytest.raises(ModelError, match="item 1 is an image, and text reads texts alone"):
        encoder.encode(["a", image_url(images[0])])


def test_changed_weights_and_files_are_another_model(tmp_path: Path) -> None:
    first, second = (opened(tiny_towers(tmp_path / name, "clip")) for name in ("a", "b"))
    assert first.facts("document") is not None
    with torch.no_grad():
        next(first.model.parameters()).mul_(2)
    assert first.facts("document") is None
    (tmp_path / "b" / "config.json").touch()
    assert second.facts("document") is None
