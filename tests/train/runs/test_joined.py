"""Tuning a model of images and text."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import nearfield as nf
from nearfield.batch.packed import packed_batches
from nearfield.encoders.image.images import ImageEncoder
from nearfield.encoders.text import TextEncoder
from nearfield.errors import InputError, ModelError, RecipeError
from nearfield.formats.towers.joined import LAYOUT
from nearfield.formats.towers.towers import Logits
from nearfield.models.image.trainable import Made, TrainableJoined
from nearfield.models.surgery.join import join
from nearfield.runtimes.torch_runtime import TorchRuntime
from nearfield.train.engine import loop
from nearfield.train.engine.gradient_cache import cached_backward
from nearfield.train.engine.lora import add_lora
from nearfield.train.objectives.both_ways import clip
from nearfield.train.recipe import Lora, Negatives, Recipe, Schedule
from nearfield.train.runs.joined import DEFAULT, learned_logits
from nearfield.train.runs.tune import tune
from nearfield.types.verdict import Verdict
from tiny import tiny_model
from tiny_data import tiny_collection
from towers import tiny_image_model, tiny_towers

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
        for name, colour in COLOURS.items():
            shade = np.clip(np.array(colour) + draw.integers(-25, 25, 3), 0, 255)
            pixels = np.broadcast_to(shade.astype(np.uint8), (32, 32, 3)).copy()
            pixels[at : at + 8, at * 3 : at * 3 + 6] = 255
            Image.fromarray(pixels).save(place / "photos" / f"{name}-{thing}.png")
            split = "test" if at == 7 else "dev" if at == 6 else "train"
            row = {"file": f"{name}-{thing}.png", "caption": f"{name} {thing}", "split": split}
            rows.append(json.dumps(row))
    (place / "photos" / "captions.jsonl").write_text("\n".join(rows))
    return place


def tuned(place: Path, to: Path, recipe: Recipe = SHORT) -> Verdict:
    return tune(str(place / "model"), str(place / "photos"), to=to, recipe=recipe)


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


def test_a_run_that_stopped_goes_on_to_the_same_model(
    place: Path, run: tuple[Path, Verdict], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[int] = []
    keep = loop.save_checkpoint

    def killed(*given: Any) -> None:
        keep(*given)
        saved.append(1)
        if len(saved) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save_checkpoint", killed)
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
    recipe = replace(
        SHORT, lora=Lora(rank=2), schedule=replace(SHORT.schedule, epochs=4.0, rate=1e-2)
    )
    tuned(place, tmp_path / "run", recipe)
    before, after = nf.load(place / "model"), nf.load(tmp_path / "run" / "model")
    merged = json.loads((tmp_path / "run" / "merge.json").read_text())
    moved = np.abs(np.asarray(after.encode(["red"])) - np.asarray(before.encode(["red"]))).max()
    chosen = next(row["ratio"] for row in merged if row["chosen"])
    assert (moved > 1e-4) == (chosen > 0)


def test_a_batch_in_parts_has_the_gradient_of_the_whole(place: Path) -> None:
    """What is embedded twice, of texts with adapters and of images, adds up to the same."""
    facts = LAYOUT.read(place / "model")
    model = TrainableJoined(facts, precision="float32", device="cpu")
    add_lora(model.text, Recipe(lora=Lora(rank=2)))
    encoder = TextEncoder(facts.text, TorchRuntime(model.text))
    tokens = encoder.tokenise(["red cat", "green dog", "blue sun"], "query")
    own = np.arange(3)
    images = Made(own, own, torch.randn(3, facts.image.width), image=True)
    found = []
    for held, budget in ((9, 1000), (1, 4)):
        parts: list[Any] = [*packed_batches(tokens, budget), images]
        order = np.argsort(np.concatenate([part.items for part in parts[:-1]]))

        def loss(outputs: Any, order: Any = order) -> Any:
            return clip(torch.cat(list(outputs[:-1]))[order], outputs[-1], temperature=0.1)

        weights = model.parameters()
        for weight in weights.values():
            weight.grad = None
        value = cached_backward(model.embed, parts, loss, held=held)
        found.append((value, {name: part.grad for name, part in weights.items()}))
    torch.testing.assert_close(found[1], found[0])
    assert any("lora_B" in name and grad.any() for name, grad in found[0][1].items())


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (replace(SHORT, lora=Lora(rank=2, per_role=True)), "lora.per_role is True"),
        (replace(SHORT, negatives=Negatives(per_query=1)), "bm25 finds no images"),
    ],
)
def test_what_it_has_not_is_refused(place: Path, recipe: Recipe, said: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=said):
        tuned(place, tmp_path / "run", recipe)


def test_texts_and_other_models_are_refused(
    place: Path, cli: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="is a text; a model of images and text learns from"):
        tune(str(place / "model"), tiny_collection(), to=tmp_path / "texts")
    clip = tiny_towers(tmp_path / "clip", "clip")
    with pytest.raises(ModelError, match="only a model that nearfield models join wrote"):
        tune(str(clip), str(place / "photos"), to=tmp_path / "clip-run")
    (tmp_path / "recipe.toml").write_text('objective = "sigmoid"\n')
    result = cli(
        *("tune", place / "model", "--on", place / "photos", "--to", tmp_path / "run"),
        *("--recipe", tmp_path / "recipe.toml", "--pairs", place / "photos" / "captions.jsonl"),
    )
    assert result.exit_code != 0
    assert "pairs are texts" in result.output
