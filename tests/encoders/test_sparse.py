from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers.sparse_encoder import SparseEncoder
from torch import nn
from transformers import (
    AutoModelForMaskedLM,
    BertConfig,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    MPNetConfig,
    PreTrainedConfig,
    RobertaConfig,
    XLMRobertaConfig,
)

from nasty import nasty_texts
from nearfield.encoders.load import load_encoder
from nearfield.encoders.model import TextModel
from nearfield.encoders.save import save_encoder
from nearfield.errors import ContractError, ModelError
from nearfield.similarity.sparse import Sparse
from nearfield.store.model_folder import read_model_folder
from tiny import SIZES, tiny_tokenizer

KINDS: dict[str, type[PreTrainedConfig]] = {
    "bert": BertConfig,
    "distilbert": DistilBertConfig,
    "electra": ElectraConfig,
    "modernbert": ModernBertConfig,
    "mpnet": MPNetConfig,
    "roberta": RobertaConfig,
    "xlm-roberta": XLMRobertaConfig,
}


def tiny_splade(folder: Path, kind: str = "bert", *, pooling: str = "max", activation: str = "relu", task: str = "fill-mask") -> Path:
    """A SparseEncoder folder with random weights, as sentence-transformers writes it."""
    (folder / "1_SpladePooling").mkdir(parents=True)
    tokenizer = tiny_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    sizes: dict[str, Any] = {**SIZES, "vocab_size": tokenizer.get_vocab_size(), "max_position_embeddings": 130, "pad_token_id": 0}
    if kind == "distilbert":
        sizes |= {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}
    if kind == "electra":
        sizes |= {"embedding_size": 16}
    if kind == "modernbert":
        sizes |= {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3, "local_attention": 16}
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        model = AutoModelForMaskedLM.from_config(KINDS[kind](**sizes))
        for weight in model.parameters():
            nn.init.normal_(weight, std=0.3) if weight.dim() > 1 else nn.init.normal_(weight, mean=0.2, std=0.3)
    model.save_pretrained(folder)
    types = {"": "base.modules.transformer.Transformer", "1_SpladePooling": "sparse_encoder.modules.splade_pooling.SpladePooling"}
    modules = [
        {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.{kind}"} for at, (path, kind) in enumerate(types.items())
    ]
    output = {"text": {"method": "forward", "method_output_name": "logits"}}
    files: dict[str, Any] = {
        "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 64, **special},
        "modules.json": modules,
        "sentence_bert_config.json": {"transformer_task": task, "modality_config": output, "module_output_name": "token_embeddings"},
        "1_SpladePooling/config.json": {"pooling_strategy": pooling, "activation_function": activation, "embedding_dimension": None},
        "config_sentence_transformers.json": {
            "model_type": "SparseEncoder",
            "prompts": {"query": "query : ", "document": ""},
            "default_prompt_name": None,
            "similarity_fn_name": "dot",
        },
    }
    for name, value in files.items():
        (folder / name).write_text(json.dumps(value), encoding="utf-8")
    return folder


def assert_same_as_sentence_transformers(folder: Path, texts: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = SparseEncoder(str(folder), device="cpu")
        encoder = load_encoder(folder)
        for role, peer_encode in (("query", peer.encode_query), ("document", peer.encode_document)):
            ours = encoder.encode(texts, role)
            assert isinstance(ours, Sparse)
            theirs = peer_encode(texts, convert_to_sparse_tensor=False).numpy()
            np.testing.assert_allclose(ours.matrix().toarray(), theirs, atol=1e-5, rtol=1e-6)  # weights of a sum reach hundreds


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_those_of_sentence_transformers(tmp_path: Path, kind: str) -> None:
    assert_same_as_sentence_transformers(tiny_splade(tmp_path / "model", kind), nasty_texts())


@pytest.mark.parametrize(("pooling", "activation"), [("sum", "relu"), ("max", "log1p_relu"), ("sum", "log1p_relu")])
def test_the_other_poolings_and_activations_too(tmp_path: Path, pooling: str, activation: str) -> None:
    folder = tiny_splade(tmp_path / "model", pooling=pooling, activation=activation)
    assert_same_as_sentence_transformers(folder, nasty_texts())


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
    from nearfield.index.blocked import blocked_top_k
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
    found, _ = blocked_top_k(encoder.encode(test.query_texts, "query"), documents, 100)
    np.testing.assert_array_equal(systems[0].ranking.documents, found)
    for wrong in ({"dims": (8,)}, {"similarity": "cosine"}, {"storages": ("binary",)}):
        with pytest.raises(ContractError):
            model_systems(encoder, test, name="splade", **wrong)
    collection.save(tmp_path / "data")
    told = cli("evaluate", tmp_path / "model", "--on", tmp_path / "data", "--json")
    assert told.exit_code == 0, told.stderr
    assert {row["name"] for row in json.loads(told.stdout)["rows"]} == {"model", "bm25"}
