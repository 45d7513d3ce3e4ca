"""Texts alone: what each objective learns, and the folder that it leaves."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from torch import nn

from nearfield.data.collection import Collection
from nearfield.data.trained_on import TrainedOn, TrainingRun
from nearfield.encoders.load import load
from nearfield.encoders.text import TextEncoder
from nearfield.errors import InputError, ModelError, RecipeError
from nearfield.models.model import TextModel
from nearfield.runtimes.torch_runtime import TorchRuntime
from nearfield.train.data.batch import Asked
from nearfield.train.engine.trainer import Trainer
from nearfield.train.objectives.compose import objective_of
from nearfield.train.pretraining import PRETRAINING
from nearfield.train.pretraining.decoder import Decoder
from nearfield.train.pretraining.reconstruction import RETROMAE, before, some
from nearfield.train.pretraining.views import crops, inverse_cloze
from nearfield.train.recipe import Recipe, default_recipe
from nearfield.train.runs.pretrain import pretrain
from tiny import tiny_model

SCHEDULE = {"epochs": 2, "batch": 8, "rate": 1e-3, "evaluations": 3, "precision": "float32"}
RECIPE = Recipe.of({"schedule": SCHEDULE})
TEXT = "One is first. Two comes after it! Is three next? Four is the last."


def losses(run: Path) -> list[float]:
    rows = [json.loads(line) for line in (run / "training.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


class Killed(Exception):
    """In place of kill -9."""


def killed_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the next run end at this step."""
    true = Trainer.step

    def trained(self: Any, number: int, batch: Any) -> float:
        if number == step:
            raise Killed
        return true(self, number, batch)

    monkeypatch.setattr(Trainer, "step", trained)


@pytest.mark.parametrize("objective", list(PRETRAINING))
def test_it_learns_resumes_and_opens_in_sentence_transformers(
    objective: str,
    tiny: Path,
    collection: Collection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run(to: str) -> Path:
        asked: dict[str, Any] = {"objective": objective, "recipe": RECIPE, "guards": ()}
        return pretrain(str(tiny), collection, to=tmp_path / to, **asked)

    whole = run("whole")
    assert np.mean(losses(tmp_path / "whole")[-5:]) < np.mean(losses(tmp_path / "whole")[:5])
    texts = list(collection.document_texts[:4])
    ours, peer = load(whole).encode_document(texts), SentenceTransformer(str(whole)).encode(texts)
    np.testing.assert_allclose(np.asarray(ours), peer, atol=1e-5)
    assert abs(peer - np.asarray(load(tiny).encode_document(texts))).max() > 1e-3
    with monkeypatch.context() as patched:
        killed_at(17, patched)
        with pytest.raises(Killed):
            run("killed")
    again = run("killed")
    weights = [(folder / "model.safetensors").read_bytes() for folder in (whole, again)]
    assert weights[0] == weights[1]
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")


def test_what_the_base_was_trained_on_stays_known(
    tiny: Path, collection: Collection, tmp_path: Path
) -> None:
    base = Path(shutil.copytree(tiny, tmp_path / "base"))
    TrainedOn((TrainingRun.of(["what is a cat"]),)).save(base)
    made = pretrain(
        str(base),
        collection,
        objective="cropping",
        to=tmp_path / "run",
        recipe=RECIPE,
        guards=(),
    )
    assert TrainedOn.read(made).seen(["what is a cat"]).all()


def test_what_a_guard_lost_is_told(
    tiny: Path, collection: Collection, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    collection.save(tmp_path / "data")
    rows = [
        {"sentence1": f"cat dog {at}", "sentence2": f"tax {at % 3} law", "score": at % 2}
        for at in range(40)
    ]
    guard = tmp_path / "guard.jsonl"
    guard.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["pretrain", tiny, "--on", tmp_path / "data", "--to", tmp_path / "run"]
    words += ["--objective", "cropping", "--guard", guard, "--device", "cpu"]
    shown = cli(*words)
    assert shown.exit_code == 0, shown.stderr
    (lost,) = json.loads((tmp_path / "run" / "guards.json").read_text())
    assert f"guard: Spearman from {lost['before']:.3f} to {lost['after']:.3f}" in shown.stdout
    assert json.loads(cli(*words, "--json").stdout)["guards"] == [lost]


def test_a_run_with_another_guard_is_another_run(
    tiny: Path, collection: Collection, tmp_path: Path
) -> None:
    asked: dict[str, Any] = {"objective": "cropping", "to": tmp_path / "run", "recipe": RECIPE}
    pretrain(str(tiny), collection, guards=(), **asked)
    with pytest.raises(InputError, match=r"data.json has another guards \("):
        pretrain(str(tiny), collection, guards=("pydoc-topics",), **asked)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"distil": "mpnet"}, "distil.teacher is set; wanted none"),
        ({"objective": {"rotate": True}}, "objective.rotate is set; wanted none"),
        ({"lora": {"rank": 2, "per_role": True}}, "lora.per_role is set; wanted none"),
        ({"objective": {"name": "guided", "guide": "mpnet"}}, "objective.guide is set"),
        (
            {"sparsity": {"query": 0.1}},
            "sparsity is for sparse vectors; those of tiny-bert are dense",
        ),
        ({"schedule": {"towers": ["image"]}}, "schedule.towers is for models of images and text"),
        ({"objective": {"dims": [512]}}, "objective.dims has 512; tiny-bert has 32 dimensions"),
    ],
)
def test_a_recipe_that_texts_alone_cannot_carry_out_is_refused(
    facts: dict[str, Any], message: str, tiny: Path, collection: Collection, tmp_path: Path
) -> None:
    with pytest.raises((RecipeError, InputError), match=message):
        pretrain(
            str(tiny),
            collection,
            objective="cropping",
            to=tmp_path / "run",
            recipe=Recipe.of(facts),
            guards=(),
        )
    assert not (tmp_path / "run").exists()


def test_each_view_is_a_part_of_its_text() -> None:
    random = np.random.default_rng(0)
    sentences = ["One is first.", "Two comes after it!", "Is three next?", "Four is the last."]
    for _ in range(50):
        for crop in (*crops(TEXT, random), *crops("x", random), *crops("中文没有空格", random)):
            assert crop in TEXT or crop in "x中文没有空格"
        sentence, rest = inverse_cloze(TEXT, random)
        assert sentence in sentences
        assert rest.replace("  ", " ") in (TEXT, TEXT.replace(sentence, "").strip(), "".join(rest))
    without = [
        sentence not in rest for sentence, rest in (inverse_cloze(TEXT, random) for _ in range(500))
    ]
    assert 0.85 < np.mean(without) < 0.95
    assert crops("", random) == ("", "")


@pytest.mark.parametrize("sees", [before, some])
def test_a_decoded_word_does_not_see_itself(sees: Callable[..., np.ndarray]) -> None:
    """A change of one word changes what is made at no place that may not see it."""
    torch.manual_seed(0)
    decoder, (n, longest, width) = Decoder(6, 8, 20), (2, 7, 8)
    vectors, words = torch.randn(n, 6), torch.randn(n, longest, width)
    mask = torch.from_numpy(sees(n, longest, np.random.default_rng(0)).copy())
    made = decoder(vectors, words, mask)
    for at in range(longest):
        changed = words.clone()
        changed[:, at] += 1.0
        differs = (decoder(vectors, changed, mask) - made).abs().amax(-1) > 1e-6
        assert not differs[:, at].any()
        assert torch.equal(differs, mask[:, :, at])


@torch.no_grad()
def test_the_loss_is_the_mean_cross_entropy_of_what_was_hidden(
    tiny: Path, collection: Collection
) -> None:
    model = TextModel.open(tiny)
    recipe = RETROMAE.recipe(default_recipe("dense"))
    encoder = TextEncoder(model.folder, TorchRuntime(model))
    texts = collection.document_texts
    learner = RETROMAE.learner(model, 64)
    batch = RETROMAE.material(encoder, texts, recipe).prepare(
        np.arange(12), learner, Asked(budget=100)
    )
    assert len(batch) == 12
    assert len(batch.parts) > 1
    outputs = [learner.embed(part) for part in batch.parts]
    loss = objective_of(recipe, "infonce", None)(batch.examples(learner, outputs))
    total, count = 0.0, 0
    ids = encoder.tokenise(list(texts[:12]), "document")
    for part in batch.parts:
        states = model.states(part.given)
        vectors = model.head.forward(states, part.given)
        for row, item in enumerate(part.given.items.tolist()):
            own = torch.from_numpy(ids.of(item).astype(np.int64))
            inner = torch.arange(1, len(own) - 1)  # not [CLS] and [SEP]
            spoilt = part.given.ids[part.given.offsets[row] : part.given.offsets[row + 1]]
            assert spoilt[0] == own[0]
            assert spoilt[-1] == own[-1]
            assert [
                part.words[row][: len(own)].tolist(),
                part.named[row].nonzero()[:, 0].tolist(),
            ] == [
                own.tolist(),
                inner.tolist(),
            ]
            embedded = learner.table[own][None]
            sees = part.sees[row : row + 1, : len(own), : len(own)]
            decoded = learner.beside["decoder"](vectors[row : row + 1], embedded, sees)[0, inner]
            total += float(
                nn.functional.cross_entropy(decoded @ learner.table.T, own[inner], reduction="sum")
            )
            count += len(inner)
        named = learner.beside["masked"](states[part.chosen])
        targets = part.targets[: len(part.chosen)]
        total += float(
            nn.functional.cross_entropy(named @ learner.table.T, targets, reduction="sum")
        )
        count += len(targets)
    assert float(loss) == pytest.approx(total / count, rel=1e-5)


def test_what_cannot_be_had_is_one_line(tiny: Path, collection: Collection, tmp_path: Path) -> None:
    def refused(model: Path, objective: str) -> None:
        pretrain(str(model), collection, objective=objective, to=tmp_path / "run")

    with pytest.raises(InputError, match=r"no pre-training objective.*simcse"):
        refused(tiny, "simsce")
    still = tiny_model(
        tmp_path / "still",
        sizes={"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
    )
    with pytest.raises(ModelError, match="has no dropout"):
        refused(still, "simcse")
    vocabulary = json.loads((still / "tokenizer.json").read_text())
    text = json.dumps(vocabulary).replace("[MASK]", "[NONE]")
    (still / "tokenizer.json").write_text(text)
    for file in ("tokenizer_config.json",):
        (still / file).write_text((still / file).read_text().replace("[MASK]", "[NONE]"))
    with pytest.raises(ModelError, match="has no mask token"):
        refused(still, "mlm")
    shutil.rmtree(still)
