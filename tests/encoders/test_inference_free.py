"""Sparse models whose queries are looked up: sentence-transformers' Router folders."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers.base.modules import Router, Transformer
from sentence_transformers.sparse_encoder import SparseEncoder
from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding, SpladePooling
from transformers import AutoTokenizer

from nasty import nasty_texts
from nearfield.encoders.load import load
from nearfield.encoders.text import TextEncoder
from nearfield.errors import InputError, ModelError
from nearfield.formats.model_folder import read_model_folder
from nearfield.models.model import QUERY_WEIGHTS, TextModel
from nearfield.models.saving.save import save_encoder
from nearfield.models.surgery.new_head import HeadOptions, new_head
from nearfield.runtimes.options import OpenOptions
from nearfield.train.data.sampling import TrainingPairs
from nearfield.train.data.training_data import TokenSource, TrainingData
from nearfield.train.engine.trainer import Trainer
from nearfield.train.recipe import Recipe
from sparse_models import assert_same_as_sentence_transformers, tell_apart, tiny_splade
from tiny import WORDS, tiny_model

TEXTS = ["the cat", "the dog and the cat", "the law"]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that sentence-transformers wrote, as opensearch's models are laid out."""
    folder = tmp_path_factory.mktemp("models")
    source = str(tiny_splade(folder / "splade"))
    tokenizer = AutoTokenizer.from_pretrained(source)
    weights = torch.rand(len(tokenizer.get_vocab()), generator=torch.Generator().manual_seed(0))
    weights[::3] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        document = [
            Transformer(source, transformer_task="fill-mask"),
            SpladePooling(activation_function="log1p_relu"),
        ]
        router = Router.for_query_document([SparseStaticEmbedding(tokenizer, weights)], document)
        SparseEncoder(
            modules=[router], similarity_fn_name="dot", prompts={"query": "query : "}
        ).save(str(folder / "router"))
    return folder / "router"


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    options = HeadOptions(inference_free=True, texts=TEXTS)
    new_head(
        tell_apart(tiny_model(folder / "dense", sizes={"num_hidden_layers": 1})),
        "splade",
        to=folder / "sparse",
        options=options,
    )
    return folder / "sparse"


@pytest.mark.parametrize("runtime", ["auto", "torch"])
def test_their_folders_give_their_outputs(theirs: Path, runtime: str) -> None:
    assert_same_as_sentence_transformers(theirs, nasty_texts(), runtime=runtime)
    assert load(theirs, runtime=runtime).runtime.name == (
        "lookup" if runtime == "auto" else "torch"
    )


def test_our_folders_open_there_with_the_same_outputs(ours: Path) -> None:
    assert_same_as_sentence_transformers(ours, nasty_texts())


def test_a_changed_model_is_written_so_that_sentence_transformers_gives_the_same(
    theirs: Path, tmp_path: Path
) -> None:
    model = TextModel.open(theirs)
    with torch.no_grad():
        for weight in model.parameters().values():
            weight.mul_(1.1)
    save_encoder(model, tmp_path / "saved", name="changed")
    assert_same_as_sentence_transformers(tmp_path / "saved", nasty_texts(30))
    before, after = (
        load(folder).encode(["cat dog"], "query") for folder in (theirs, tmp_path / "saved")
    )
    np.testing.assert_allclose(after.weights, 1.1 * before.weights, rtol=1e-6)


def test_weights_by_token_in_a_file_of_their_own_are_read_too(theirs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "json"
    shutil.copytree(theirs, folder)
    query = folder / "query_0_SparseStaticEmbedding"
    (query / "config.json").write_text(json.dumps({"path": "idf.json"}))
    (query / "idf.json").write_text(json.dumps({"cat": 2.5, "dog": 0.5, "unheard-of": 9}))
    (query / "model.safetensors").unlink()
    found = load(folder).encode(["dog cat cat sun"], "query")
    assert sorted(found.weights.tolist()) == [0.5, 2.5]
    save_encoder(TextModel.open(folder), tmp_path / "saved", name="saved")
    again = load(tmp_path / "saved").encode(["dog cat cat sun"], "query")
    np.testing.assert_array_equal(again.matrix().toarray(), found.matrix().toarray())


def test_a_query_is_looked_up_without_torch(tmp_path: Path) -> None:
    known = {
        "tokenizer_class": "BertTokenizer",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "model_max_length": 64,
    }
    source = tiny_model(tmp_path / "dense", tokenizer_config=known)
    new_head(source, "splade", to=tmp_path / "sparse", options=HeadOptions(inference_free=True))
    code = (
        "import sys; from nearfield.encoders.load import load; found = "
        "load(sys.argv[1]).encode(['the cat'], 'query'); "
        "assert len(found.weights) == 2; assert 'torch' not in sys.modules and 'transformers' not "
        "in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "sparse")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_queries_begin_with_how_rare_their_terms_are(ours: Path) -> None:
    encoder = load(ours)
    found = encoder.encode(["the cat law sun"], "query")
    weights = dict(zip(found.terms.tolist(), found.weights.tolist(), strict=True))
    the, cat, law, sun = (
        weights[encoder.tokeniser.vocabulary[word]] for word in ("the", "cat", "law", "sun")
    )
    assert the < cat < law < sun == pytest.approx(1.0)
    assert law == pytest.approx(np.log1p(2.5 / 1.5) / np.log1p(3.5 / 0.5))


def test_training_changes_the_table_where_a_query_has_the_term(theirs: Path) -> None:
    model = TextModel.open(theirs)
    encoder = TextEncoder.open(theirs, OpenOptions(runtime="torch"))
    queries, documents = (
        ["cat dog", "law court"],
        ["the cat and the dog", "the law of the court", "red green blue"],
    )
    sources = [
        TokenSource(texts, lambda chosen, role=role: encoder.tokenise(chosen, role))
        for texts, role in ((queries, "query"), (documents, "document"))
    ]
    pairs = TrainingPairs(np.arange(2), np.arange(2), np.full((2, 1), 2))
    data = TrainingData(sources[0], sources[1], pairs, np.arange(3), [{0}, {1}])
    recipe = Recipe.of({"objective": {"temperature": 1.0}, "sparsity": {"query": 1.0}})
    trainer, before = Trainer(model, recipe, 6), model.parameters()[QUERY_WEIGHTS].detach().clone()
    step = data.prepare(np.arange(2), model)
    losses = [trainer.step(number, step) for number in range(1, 7)]
    assert losses[-1] < losses[0]
    # weight decay alone moves less
    changed = (model.parameters()[QUERY_WEIGHTS].detach() - before).abs() > 1e-4
    assert changed.any()
    assert set(np.flatnonzero(changed.numpy()).tolist()) <= set(
        encoder.tokenise(queries, "query").ids.tolist()
    )


def test_queries_and_documents_of_one_call_are_those_of_two(ours: Path) -> None:
    encoder = load(ours)
    mixed = encoder.encode_mixed(["cat dog", "cat dog", "law"], ["query", "document", "query"])
    for row, (text, role) in enumerate(
        (("cat dog", "query"), ("cat dog", "document"), ("law", "query"))
    ):
        np.testing.assert_allclose(
            mixed[[row]].matrix().toarray(),
            encoder.encode([text], role).matrix().toarray(),
            atol=1e-5,
        )


def test_only_the_greatest_weights_are_kept(tmp_path: Path) -> None:
    source = tell_apart(tiny_model(tmp_path / "dense", sizes={"num_hidden_layers": 1}))
    for name, free in (("plain", False), ("free", True)):
        new_head(
            source,
            "splade",
            to=tmp_path / name,
            options=HeadOptions(max_terms=3, inference_free=free, texts=TEXTS),
        )
        assert read_model_folder(tmp_path / name).contract.max_terms == 3
        assert_same_as_sentence_transformers(
            tmp_path / name, ["the cat law sun", " ".join(WORDS[:20])]
        )
        for role in ("query", "document"):
            assert (
                load(tmp_path / name).encode(["the cat law sun rain", "cat"], role).active.max()
                <= 3
            )
    facts = json.loads((tmp_path / "plain" / "nearfield.json").read_text())
    facts["contract"]["max_terms"] = None
    (tmp_path / "plain" / "nearfield.json").write_text(json.dumps(facts))
    # what sentence-transformers' own file says
    assert read_model_folder(tmp_path / "plain").contract.max_terms == 3


def test_other_routes_say_why(theirs: Path, tmp_path: Path, cli: Any) -> None:
    folder = tmp_path / "other"
    shutil.copytree(theirs, folder)
    config = json.loads((folder / "router_config.json").read_text())
    config["structure"]["query"] = config["structure"]["document"]
    (folder / "router_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="routes are query: Transformer, SpladePooling; document"):
        read_model_folder(folder)
    (folder / "router_config.json").write_text("{}")
    with pytest.raises(InputError, match="has no types; wanted an object"):
        read_model_folder(folder)
    told = cli("models", "head", theirs, "splade", "--to", tmp_path / "to", "--on", "stdlib")
    assert told.exit_code == 2
    assert "--inference-free" in told.stderr
