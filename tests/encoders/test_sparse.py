from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nasty import nasty_texts
from nearfield.encoders.load import load_encoder
from nearfield.encoders.model import TextModel
from nearfield.encoders.save import save_encoder
from nearfield.errors import ContractError, ModelError
from nearfield.store.model_folder import read_model_folder
from sparse_models import KINDS, assert_same_as_sentence_transformers, tiny_splade
from tiny import tiny_tokenizer


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_those_of_sentence_transformers(tmp_path: Path, kind: str) -> None:
    assert_same_as_sentence_transformers(tiny_splade(tmp_path / "model", kind), nasty_texts())


@pytest.mark.parametrize(("pooling", "activation"), [("sum", "relu"), ("max", "log1p_relu"), ("sum", "log1p_relu")])
def test_the_other_poolings_and_activations_too(tmp_path: Path, pooling: str, activation: str) -> None:
    folder = tiny_splade(tmp_path / "model", pooling=pooling, activation=activation)
    assert_same_as_sentence_transformers(folder, nasty_texts())


def test_the_activation_before_the_vocabulary_is_the_one_that_the_config_names(tmp_path: Path) -> None:
    assert_same_as_sentence_transformers(tiny_splade(tmp_path / "model", "distilbert", facts={"activation": "relu"}), nasty_texts(40))


def test_a_changed_model_is_written_so_that_sentence_transformers_gives_the_same(tmp_path: Path) -> None:
    model = TextModel.open(tiny_splade(tmp_path / "model"))
    with torch.no_grad():
        for weight in model.parameters().values():
            weight.mul_(1.1)
    save_encoder(model, tmp_path / "saved", name="changed")
    assert_same_as_sentence_transformers(tmp_path / "saved", nasty_texts(40))
    opened = load_encoder(tmp_path / "saved")
    assert (opened.contract.kind, opened.contract.name, opened.contract.dim) == ("sparse", "changed", tiny_tokenizer().get_vocab_size())


def test_each_weight_is_trained_once_and_a_tied_decoder_is_the_word_embeddings(tmp_path: Path) -> None:
    model = TextModel.open(tiny_splade(tmp_path / "model"))
    weights = list(model.parameters().values())
    assert len({id(weight) for weight in weights}) == len(weights)
    assert {id(weight) for weight in weights} == {id(weight) for weight in model.whole.parameters()}


def test_what_is_no_splade_model_says_why(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="this one's task is feature-extraction"):
        read_model_folder(tiny_splade(tmp_path / "task", task="feature-extraction"))
    with pytest.raises(ModelError, match=r"no activation 'relus'.*Did you mean 'relu'"):
        TextModel.open(tiny_splade(tmp_path / "activation", activation="relus"))


def test_it_is_compared_and_searched_like_any_other_model(tmp_path: Path, cli: Any) -> None:
    from nearfield.evaluate.compare import compare
    from nearfield.evaluate.systems import bm25_system, model_systems
    from nearfield.search.retrieve import top_k
    from tiny_data import tiny_collection

    collection, encoder = tiny_collection(), load_encoder(tiny_splade(tmp_path / "model"))
    test = collection.split("test")
    systems = model_systems(encoder, test, name="splade", storages=("float32", "float16"))
    comparison = compare([*systems, bm25_system(test)], test)
    rows = {row.name: row for row in comparison.rows}
    assert set(rows) == {"splade float32", "splade float16", "bm25"}
    documents = encoder.encode(collection.document_texts, "document")
    assert rows["splade float32"].bytes_per_document == pytest.approx(documents.bytes_per_item)
    assert f"splade: {documents.active.mean():,.1f} active terms a document, of {documents.dim}" in comparison.notes
    found, _ = top_k(encoder.encode(test.query_texts, "query"), documents, 100)
    np.testing.assert_array_equal(systems[0].ranking.documents, found)
    for wrong in ({"dims": (8,)}, {"similarity": "cosine"}, {"storages": ("binary",)}):
        with pytest.raises(ContractError):
            model_systems(encoder, test, name="splade", **wrong)
    collection.save(tmp_path / "data")
    told = cli("evaluate", tmp_path / "model", "--on", tmp_path / "data", "--json")
    assert told.exit_code == 0, told.stderr
    assert {row["name"] for row in json.loads(told.stdout)["rows"]} == {"model", "bm25"}
