"""Tuning a model of images and text."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import nearfield as nf
from nearfield.data.readers.image import image_url, open_image
from nearfield.encoders.image.images import ImageEncoder
from nearfield.errors import InputError, ModelError, RecipeError
from nearfield.formats.towers.joined import LAYOUT
from nearfield.formats.towers.towers import Logits
from nearfield.models.surgery.join import join
from nearfield.store.run import RunFolder
from nearfield.train.data.sampling import TrainingPairs
from nearfield.train.engine import loop
from nearfield.train.engine.checkpoint import kept_step, kept_weights
from nearfield.train.engine.lora import scaled_base
from nearfield.train.engine.step import training_step
from nearfield.train.engine.trainer import trainable
from nearfield.train.fits.blend import put_weights
from nearfield.train.images.augment import colour, crop, flip
from nearfield.train.images.joined import DEFAULT, begin
from nearfield.train.images.sources import ImageSource, image_data
from nearfield.train.images.vectors import AsItStands
from nearfield.train.objectives.both_ways import Symmetric
from nearfield.train.recipe import Lora, Negatives, Recipe, Schedule
from nearfield.train.runs.joined import image_training, learned_logits
from nearfield.train.runs.tune import tune, tuning_recipe
from nearfield.types.verdict import Verdict
from tiny import tiny_model
from tiny_data import tiny_collection
from towers import KINDS, tiny_image_model, tiny_towers

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 40, 220)}
THINGS = ("cat", "dog", "sun", "tree", "team", "game", "song", "court")
SHORT = replace(DEFAULT, schedule=Schedule(epochs=20.0, batch=8, evaluations=2))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A joined model, and images in a colour each beside captions that name it."""
    place = tmp_path_factory.mktemp("joined")
    join(tiny_model(place / "text"), tiny_image_model(place / "image", "vit"), to=place / "model")
    draw = np.random.default_rng(0)
    (place / "photos").mkdir()
    rows = []
    for at, thing in enumerate(THINGS):
        for name, values in COLOURS.items():
            shade = np.clip(np.array(values) + draw.integers(-25, 25, 3), 0, 255)
            pixels = np.broadcast_to(shade.astype(np.uint8), (32, 32, 3)).copy()
            pixels[at : at + 8, at * 3 : at * 3 + 6] = 255
            Image.fromarray(pixels).save(place / "photos" / f"{name}-{thing}.png")
            split = "test" if at == 7 else "dev" if at == 6 else "train"
            row = {"file": f"{name}-{thing}.png", "caption": f"{name} {thing}", "split": split}
            rows.append(json.dumps(row))
    (place / "photos" / "captions.jsonl").write_text("\n".join(rows))
    return place


def tuned(
    place: Path, to: Path, recipe: Recipe = SHORT, guards: tuple[str, ...] | None = ()
) -> Verdict:
    model, data = str(place / "model"), str(place / "photos")
    return tune(model, data, to=to, recipe=recipe, guards=guards)


@pytest.fixture(scope="module")
def run(place: Path) -> tuple[Path, Verdict]:
    return place / "run", tuned(place, place / "run")


def test_a_tune_trains_the_projection_and_keeps_the_texts(
    place: Path, run: tuple[Path, Verdict]
) -> None:
    folder, verdict = run
    before, after = nf.load(place / "model"), nf.load(folder / "model")
    texts = ["red cat", "the blue sun"]
    np.testing.assert_array_equal(after.encode(texts), before.encode(texts))
    image = place / "photos" / "red-cat.png"
    assert (
        np.abs(np.asarray(after.encode([image])) - np.asarray(before.encode([image]))).max() > 0.01
    )
    rows = [json.loads(line) for line in (folder / "training.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows if "loss" in row]
    assert losses[-1] < losses[0]
    assert verdict.queries == 3
    # CLIP's temperature is learned from .07, and kept with the model
    assert before.logits == Logits()
    assert after.logits.bias == 0
    assert 1 < after.logits.scale != pytest.approx(1 / 0.07)
    assert "bm25" not in (folder / "comparison.json").read_text()


def killed_after_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the second checkpoint be a run's last work."""
    saved: list[int] = []
    keep = loop.save_checkpoint

    def killed(*given: Any) -> None:
        keep(*given)
        saved.append(1)
        if len(saved) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save_checkpoint", killed)


def test_a_run_that_stopped_goes_on_to_the_same_model(
    place: Path, run: tuple[Path, Verdict], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_after_two(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        tuned(place, tmp_path / "run")
    monkeypatch.undo()
    asked: list[int] = []
    encode = ImageEncoder.images_as_vectors

    def counted(self: ImageEncoder, items: Any, places: Any) -> Any:
        asked.append(len(places))
        return encode(self, items, places)

    monkeypatch.setattr(ImageEncoder, "images_as_vectors", counted)
    tuned(place, tmp_path / "run")
    assert sum(asked) == 2 * 3  # those of test, by both models
    for part in ("projection/model.safetensors", "joined.json"):
        ours, theirs = (folder / "model" / part for folder in (tmp_path / "run", run[0]))
        assert ours.read_bytes() == theirs.read_bytes()


def test_what_the_loss_made_of_a_cosine_is_read_from_its_weights() -> None:
    learned = {
        "objective.log_temperature": torch.tensor(-2.0),
        "objective.bias": torch.tensor(-9.0),
    }
    assert learned_logits(learned, 0.07) == (pytest.approx(np.exp(2.0)), -9.0)
    assert learned_logits({}, 0.05) == (20.0, 0.0)


def test_lora_trains_the_texts_too_and_is_merged(place: Path, tmp_path: Path) -> None:
    schedule = replace(SHORT.schedule, epochs=4.0, rate=1e-2, towers=("text",))
    recipe = replace(SHORT, lora=Lora(rank=2), schedule=schedule)
    tuned(place, tmp_path / "run", recipe, guards=None)
    before, after = nf.load(place / "model"), nf.load(tmp_path / "run" / "model")
    merged = json.loads((tmp_path / "run" / "merge.json").read_text())
    assert merged[0]["guards"].keys() == {"pydoc-topics"}
    moved = np.abs(np.asarray(after.encode(["red"])) - np.asarray(before.encode(["red"]))).max()
    chosen = next(row["ratio"] for row in merged if row["chosen"])
    assert (moved > 1e-4) == (chosen > 0)


def test_a_batch_in_parts_has_the_gradient_of_the_whole(place: Path) -> None:
    """What is embedded twice, of texts with adapters and of images, adds up to the same."""
    schedule = Schedule(batch=24, towers=("text", "image"), precision="float32")
    found = []
    for graph_tokens in (100_000, 1):
        recipe = Recipe(lora=Lora(rank=2), schedule=replace(schedule, graph_tokens=graph_tokens))
        found.append(stepped(place, recipe)[1])
    torch.testing.assert_close(found[1], found[0])
    assert any("lora_B" in name and grad.any() for name, grad in found[0].items())


def stepped(place: Path, recipe: Recipe) -> tuple[AsItStands, dict[str, Any]]:
    """A model before its first step, and the gradients of it by name."""
    encoder = begin(LAYOUT.read(place / "model"), recipe, precision="float32", device="cpu")
    photos = sorted((place / "photos").glob("*.png"))
    captions = [photo.stem.replace("-", " ") for photo in photos]
    own = np.arange(len(photos))
    pairs = TrainingPairs(own, own, np.empty((len(own), 0), np.int64))
    images = [image_url(photo) for photo in photos]
    data = image_data(encoder, recipe, captions, images, pairs, own, [{at} for at in own.tolist()])
    weights = trainable(encoder.model, recipe)
    batch = data.prepare(own, encoder.model)
    training_step(
        encoder.model, batch, Symmetric(0.1), [*weights.values()], schedule=recipe.schedule
    )
    return encoder, {name: weight.grad for name, weight in weights.items()}


@pytest.mark.parametrize("towers", [(), ("text",), ("image",), ("text", "image")])
@pytest.mark.parametrize("rank", [0, 2])
def test_gradients_reach_the_towers_that_learn_and_no_other(
    place: Path, towers: tuple[str, ...], rank: int
) -> None:
    recipe = Recipe(lora=Lora(rank=rank), schedule=Schedule(towers=towers))
    encoder, grads = stepped(place, recipe)
    model = encoder.model
    reached = {name for name, grad in grads.items() if grad is not None and grad.any()}
    assert {name for name in reached if name.startswith("projection.")} == {
        "projection.linear.weight",
        "projection.linear.bias",
    }
    assert any(name.startswith("image.") for name in reached) == ("image" in towers)
    assert any(name.partition(".")[0] in ("encoder", "adapters") for name in reached) == (
        "text" in towers
    )
    # beside adapters, and of a locked tower, the weights themselves have none
    for tower, weights in (
        ("text", model.text.whole.parameters()),
        ("image", model.tower.network.parameters()),
    ):
        whole = tower in towers and not rank
        assert any(weight.grad is not None for weight in weights) == whole


IMAGE = replace(
    SHORT,
    schedule=replace(
        SHORT.schedule, epochs=4.0, towers=("image",), image_rate=1e-3, augment=("crop", "colour")
    ),
)


@pytest.fixture(scope="module")
def places(place: Path) -> dict[str, Path]:
    """The same photos beside models with other image towers, by what these are."""
    network = tiny_image_model(place / "network", "efficientnet-lite")
    shutil.copy(place / "image" / "preprocessor_config.json", network)
    join(place / "text", network, to=place / "lite" / "model")
    for kind in KINDS:
        tiny_towers(place / kind / "model", kind)
    for kind in ("lite", *KINDS):
        shutil.copytree(place / "photos", place / kind / "photos")
    return {kind: place / kind for kind in ("lite", *KINDS)} | {"vit": place}


BOTH = ("text", "image")


@pytest.mark.parametrize(
    ("kind", "towers", "rank", "kills"),
    [
        ("vit", ("image",), 2, False),
        ("lite", ("image",), 0, True),
        ("clip", ("image",), 0, True),
        ("siglip", BOTH, 2, False),
        ("siglip2", BOTH, 0, False),
    ],
)
def test_towers_that_learn_are_saved_as_they_were_trained(
    places: dict[str, Path],
    kind: str,
    towers: tuple[str, ...],
    rank: int,
    kills: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Through a kill, the merge and the folder."""
    whole = tmp_path / "whole"
    place = places[kind]
    schedule = replace(IMAGE.schedule, towers=towers)
    recipe = replace(IMAGE, lora=Lora(rank=rank), schedule=schedule)
    tuned(place, whole, recipe)
    if kills:
        killed_after_two(monkeypatch)
        with pytest.raises(KeyboardInterrupt):
            tuned(place, tmp_path / "run", recipe)
        monkeypatch.undo()
        tuned(place, tmp_path / "run", recipe)
        for file in (whole / "model").rglob("*.safetensors"):
            other = tmp_path / "run" / file.relative_to(whole)
            assert other.read_bytes() == file.read_bytes()

    photos = sorted((place / "photos").glob("*.png"))[:4]
    before, after = nf.load(place / "model"), nf.load(whole / "model")
    moved = np.abs(np.asarray(after.encode(photos)) - np.asarray(before.encode(photos)))
    assert moved.max() > 1e-3
    if "text" not in towers:
        np.testing.assert_array_equal(after.encode(["red"]), before.encode(["red"]))
    encoder = as_merged(place / "model", RunFolder(whole), recipe)
    expected = encoder.encode([image_url(photo) for photo in photos], "document")
    np.testing.assert_allclose(after.encode(photos), expected, atol=2e-6)
    np.testing.assert_allclose(after.encode(["red"]), encoder.encode(["red"], "query"), atol=2e-6)
    assert after.logits.scale != before.logits.scale


def as_merged(model: Path, run: RunFolder, recipe: Recipe) -> AsItStands:
    """The model with the weights that the run chose, as its checkpoint and its merge say."""
    kind, facts = image_training(model)
    encoder = kind.begin(facts, recipe, precision="float32", device="cpu")
    weights = trainable(encoder.model, recipe)
    kept = kept_weights(run, kept_step(run))
    kept = {name: kept[name] for name in weights}
    base = {name: weight.detach().clone() for name, weight in weights.items()}
    (share,) = (row["ratio"] for row in run.read("merge.json") if row["chosen"])
    put_weights(weights, scaled_base(base, kept), kept, share)
    return encoder


def test_a_checkpoint_is_tuned_by_the_loss_it_was_trained_with(
    places: dict[str, Path], tmp_path: Path
) -> None:
    clip, siglip = (str(places[kind] / "model") for kind in ("clip", "siglip"))
    logits = nf.load(clip).logits
    start = tuning_recipe(clip)
    assert start.objective.name == "symmetric"
    assert start.objective.temperature == pytest.approx(1 / logits.scale)
    assert start.schedule.towers == ("text",)
    logits = nf.load(siglip).logits
    assert tuning_recipe(siglip).objective.name == "sigmoid"
    assert tuning_recipe(siglip).objective.parameters == {"bias": logits.bias}
    nothing = replace(SHORT, schedule=replace(SHORT.schedule, towers=()))
    with pytest.raises(RecipeError, match="towers is empty; wanted text, image or both"):
        tuned(places["clip"], tmp_path / "run", nothing)


def test_a_checkpoint_that_training_did_not_improve_stays_as_it_was(
    places: dict[str, Path], tmp_path: Path
) -> None:
    schedule = replace(SHORT.schedule, epochs=1.0, rate=1e-9, towers=("text",))
    tuned(places["clip"], tmp_path / "run", replace(SHORT, schedule=schedule))
    before, after = nf.load(places["clip"] / "model"), nf.load(tmp_path / "run" / "model")
    np.testing.assert_array_equal(after.encode(["red"]), before.encode(["red"]))
    assert after.logits == pytest.approx(before.logits)


def test_images_change_from_step_to_step_and_the_same_when_a_step_is_made_again(
    place: Path,
) -> None:
    recipe = Recipe(schedule=Schedule(towers=("image",), augment=("crop", "flip", "colour")))
    encoder, _ = stepped(place, recipe)
    photos = [image_url(photo) for photo in sorted((place / "photos").glob("*.png"))[:3]]
    own = np.arange(3)
    source = ImageSource(photos, encoder.model.tower, recipe.schedule.augment)
    first, again, other = (
        source.of_step((0, *order)).tokens(own).given["pixel_values"]
        for order in ((0, 1, 2), (0, 1, 2), (2, 1, 0))
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    plain = ImageSource(photos, encoder.model.tower, ()).tokens(own).given["pixel_values"]
    images = [open_image(photo) for photo in photos]
    assert torch.equal(plain, encoder.model.tower.prepared(images)["pixel_values"])


def test_a_crop_holds_most_of_the_image_and_a_flip_is_its_mirror() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))
    draw = np.random.default_rng(0)
    sizes = {crop(image, draw).size for _ in range(50)}
    assert len(sizes) > 10
    for width, height in sizes:
        assert 0 < width <= 60
        assert 0 < height <= 40
        assert (width + 0.5) * (height + 0.5) >= 0.9 * 60 * 40  # sides are whole pixels
    pixels = np.asarray(image)
    flips = [np.asarray(flip(image, draw)) for _ in range(20)]
    mirrored = [np.array_equal(made, pixels[:, ::-1]) for made in flips]
    same = [np.array_equal(made, pixels) for made in flips]
    assert sum(mirrored) + sum(same) == 20
    assert 0 < sum(mirrored) < 20
    assert colour(image, draw).size == image.size


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (
            replace(SHORT, lora=Lora(rank=2, per_role=True)),
            "lora.per_role is set; wanted none: a model of images and text has none",
        ),
        (replace(SHORT, negatives=Negatives(per_query=1)), "bm25 finds no images"),
        (
            replace(SHORT, lora=Lora(rank=2)),
            "schedule.towers is empty beside lora; wanted the towers that get adapters",
        ),
    ],
)
def test_what_it_has_not_is_refused(place: Path, recipe: Recipe, said: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=said):
        tuned(place, tmp_path / "run", recipe)


def test_texts_and_other_models_are_refused(
    place: Path, places: dict[str, Path], cli: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="no linear layer for lora"):
        tuned(places["lite"], tmp_path / "lora", replace(IMAGE, lora=Lora(rank=2)))
    with pytest.raises(InputError, match="towers is for models of images and text"):
        tune(str(place / "text"), tiny_collection(), to=tmp_path / "text", recipe=IMAGE)
    with pytest.raises(InputError, match="is a text; a model of images and text learns from"):
        tune(str(place / "model"), tiny_collection(), to=tmp_path / "texts")
    with pytest.raises(ModelError, match="is a model of images alone"):
        tune(str(place / "image"), str(place / "photos"), to=tmp_path / "image-run")
    (tmp_path / "recipe.toml").write_text('objective = "sigmoid"\n')
    result = cli(
        *("tune", place / "model", "--on", place / "photos", "--to", tmp_path / "run"),
        *("--recipe", tmp_path / "recipe.toml", "--pairs", place / "photos" / "captions.jsonl"),
    )
    assert result.exit_code != 0
    assert "pairs are texts" in result.output
