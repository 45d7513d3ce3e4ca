"""What every head promises: each test runs over the whole registry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from late_models import tiny_late
from nearfield.batch.packed import Packed, packed_batches
from nearfield.batch.tokens import Tokeniser
from nearfield.encoders.load import load
from nearfield.formats.model_folder import read_model_folder
from nearfield.models.heads import HEADS
from nearfield.models.heads.head import Given
from nearfield.models.model import TextModel
from nearfield.models.saving.save import save_encoder
from nearfield.similarity import EMBEDDINGS
from sparse_models import tiny_splade
from three_head_models import tiny_three_heads
from tiny import tiny_model

# a head that joins the registry joins this table
FOLDERS = {
    "dense": tiny_model,
    "late-interaction": tiny_late,
    "splade": tiny_splade,
    "three": tiny_three_heads,
}
TEXTS = ["a cat and a dog", "", "the cat", "read a file line by line in the sun", "tax law"]
every_head = pytest.mark.parametrize("name", list(HEADS))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("heads")
    return {name: make(root / name) for name, make in FOLDERS.items()}


def batches(model: TextModel, texts: list[str], budget: int = 4096) -> list[Packed]:
    tokeniser = Tokeniser.open(model.folder.transformer, max_tokens=32)
    return packed_batches(tokeniser.tokenise(texts), budget)


def assert_close(ours: Any, theirs: Any) -> None:
    """The same items, but for rounding."""
    one, other = ours.arrays(), theirs.arrays()
    assert list(one) == list(other)
    for part, array in one.items():
        np.testing.assert_allclose(array, other[part], atol=2e-6, err_msg=part)


def in_order(model: TextModel, parts: list[Packed]) -> Any:
    """What the model makes of all parts, in the texts' order."""
    made = [model.represent(part) for part in parts]
    order = np.argsort(np.concatenate([part.items for part in parts]))
    return type(made[0]).join(made)[order]


def test_this_suite_has_a_folder_for_every_head() -> None:
    assert set(FOLDERS) == set(HEADS)


@every_head
def test_a_folder_opens_with_the_head_that_it_states(name: str, folders: dict[str, Path]) -> None:
    folder = read_model_folder(folders[name])
    model = TextModel(folder)
    assert folder.head_name == name
    assert type(model.head) is HEADS[name]
    assert folder.contract.kind == model.head.kind
    made = model.represent(batches(model, TEXTS)[0])
    assert type(made) is EMBEDDINGS[model.head.kind]
    assert len(made) == len(TEXTS)
    (nothing,) = batches(model, [""])
    assert len(model.represent(nothing)) == 1


@every_head
def test_neighbours_and_batches_change_no_item(name: str, folders: dict[str, Path]) -> None:
    model = TextModel.open(folders[name])
    whole = in_order(model, batches(model, TEXTS))
    assert_close(in_order(model, batches(model, TEXTS, budget=9)), whole)
    for at, text in enumerate(TEXTS):
        assert_close(in_order(model, batches(model, [text])), whole[[at]])


@every_head
def test_numpy_and_torch_finish_alike(name: str, folders: dict[str, Path]) -> None:
    model = TextModel.open(folders[name])
    if model.head.task:
        pytest.skip("its weights are those of transformers' own head")
    config = model.backbone.config
    head = HEADS[name].open(Given(model.folder, config.hidden_size, config.vocab_size))
    for batch in batches(model, TEXTS, budget=12):
        with torch.inference_mode():
            states = model.states(batch).numpy()
        made = head.embeddings(head.forward(states, batch), batch)
        assert_close(made, model.represent(batch))


@every_head
def test_a_loss_sees_the_scores_of_the_embeddings(name: str, folders: dict[str, Path]) -> None:
    model = TextModel.open(folders[name])
    parts = batches(model, TEXTS, budget=12)
    place = torch.from_numpy(np.argsort(np.concatenate([part.items for part in parts])))
    items = model.head.represented([model.embed(part) for part in parts], parts, place)
    stored = in_order(model, parts)
    queries, documents = torch.tensor([3, 0, 3]), torch.tensor([0, 2, 3, 4])
    scores = items[queries].scores(items[documents])
    wanted = stored[queries.numpy()].scores(stored[documents.numpy()])
    np.testing.assert_allclose(scores.detach(), wanted, rtol=1e-4, atol=1e-5)
    scores.sum().backward()
    for key, weight in model.head.parameters().items():
        assert weight.grad is not None, key
        assert torch.isfinite(weight.grad).all(), key


@every_head
def test_changed_weights_are_saved_and_open_again(
    name: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    model = TextModel.open(folders[name])
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters().values():
            weight += 0.1 * torch.randn(weight.shape, generator=generator)
    save_encoder(model, tmp_path / "changed", name="changed")
    again = TextModel.open(tmp_path / "changed")
    before, after = model.parameters(), again.parameters()
    assert before.keys() == after.keys()
    for key, weight in before.items():
        torch.testing.assert_close(after[key], weight, rtol=0, atol=0)
    assert_close(in_order(again, batches(again, TEXTS)), in_order(model, batches(model, TEXTS)))
    assert load(tmp_path / "changed").contract.kind == model.head.kind
