from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from nasty import nasty_texts
from nearfield.encoders.load import load
from nearfield.encoders.text import TextEncoder
from nearfield.errors import ContractError, ModelError
from nearfield.formats.model_folder import read_model_folder
from nearfield.models.model import TextModel
from nearfield.models.saving.save import save_encoder
from nearfield.models.surgery.new_head import new_head
from nearfield.runtimes import native_terms
from sparse_models import KINDS, assert_same_as_sentence_transformers, tiny_splade
from tiny import tiny_model, tiny_tokenizer

NATIVE = ("bert", "camembert", "distilbert", "electra", "mpnet", "roberta", "xlm-roberta")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("runtime", ["native", "torch"])
def test_weights_are_those_of_sentence_transformers(
    tmp_path: Path, kind: str, runtime: str
) -> None:
    if runtime == "native" and kind not in NATIVE:
        with pytest.raises(
            ModelError, match=r"native: does not run the (architecture|language-model head)"
        ):
            load(tiny_splade(tmp_path / "model", kind), runtime="native")
        return
    assert_same_as_sentence_transformers(
        tiny_splade(tmp_path / "model", kind), nasty_texts(), runtime=runtime
    )


def test_the_kernels_take_the_greatest_of_any_batch_and_need_no_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, texts = (
        tiny_splade(tmp_path / "model"),
        ["a cat", "the dog and the cat and the sun and the rain", "", "tax law", "read a file"],
    )
    encoder = load(folder)
    assert encoder.runtime.name == "native"
    whole = encoder.encode(texts, "document").matrix().toarray()
    for budget in (1, 9, 4096):
        turned = TextEncoder(encoder.folder, encoder.runtime, batch_tokens=budget).encode(
            texts[::-1], "document"
        )
        np.testing.assert_allclose(turned.matrix().toarray()[::-1], whole, atol=1e-5)
    monkeypatch.setattr(native_terms, "CELLS", 2 * whole.shape[1])
    np.testing.assert_array_equal(encoder.encode(texts, "document").matrix().toarray(), whole)
    assert len(encoder.encode([], "document")) == 0
    for precision, least in (("bfloat16", 0.9999), ("int8", 0.99)):
        rounded = load(folder, precision=precision).encode(texts, "document").matrix().toarray()
        assert (rounded * whole).sum() / np.linalg.norm(rounded) / np.linalg.norm(whole) > least
    made = tmp_path / "made"
    known = {
        "tokenizer_class": "BertTokenizer",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "model_max_length": 64,
    }
    new_head(tiny_model(tmp_path / "dense", tokenizer_config=known), "splade", to=made)
    code = (
        "import sys, warnings; warnings.simplefilter('ignore'); from nearfield.encoders.load "
        "import load; "
        f"load({str(made)!r}).encode(['the cat'], 'document'); assert not {{'torch', "
        f"'transformers'}} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_the_kernels_do_not_weigh_goes_to_torch(tmp_path: Path) -> None:
    for name, how, said in (
        ("sum", {"pooling": "sum"}, "this model's pooling is sum"),
        ("untied", {"facts": {"tie_word_embeddings": False}}, "shares the word embeddings"),
    ):
        folder = tiny_splade(tmp_path / name, **how)
        assert load(folder).runtime.name == "torch"
        with pytest.raises(ModelError, match=said):
            load(folder, runtime="native")


def test_a_vocabulary_layer_of_its_own_is_read(tmp_path: Path) -> None:
    folder = tiny_splade(tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    words = next(
        weight for name, weight in weights.items() if name.endswith("word_embeddings.weight")
    )
    weights["cls.predictions.decoder.weight"] = words.flip(0).contiguous()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert_same_as_sentence_transformers(folder, nasty_texts(20), runtime="native")


@pytest.mark.parametrize(
    ("pooling", "activation"), [("sum", "relu"), ("max", "log1p_relu"), ("sum", "log1p_relu")]
)
def test_the_other_poolings_and_activations_too(
    tmp_path: Path, pooling: str, activation: str
) -> None:
    folder = tiny_splade(tmp_path / "model", pooling=pooling, activation=activation)
    assert_same_as_sentence_transformers(folder, nasty_texts())


def test_the_activation_before_the_vocabulary_is_the_one_that_the_config_names(
    tmp_path: Path,
) -> None:
    assert_same_as_sentence_transformers(
        tiny_splade(tmp_path / "model", "distilbert", facts={"activation": "relu"}), nasty_texts(40)
    )


def test_a_changed_model_is_written_so_that_sentence_transformers_gives_the_same(
    tmp_path: Path,
) -> None:
    model = TextModel.open(tiny_splade(tmp_path / "model"))
    with torch.no_grad():
        for weight in model.parameters().values():
            weight.mul_(1.1)
    save_encoder(model, tmp_path / "saved", name="changed")
    assert_same_as_sentence_transformers(tmp_path / "saved", nasty_texts(40))
    opened = load(tmp_path / "saved")
    assert (opened.contract.kind, opened.contract.name, opened.contract.dim) == (
        "sparse",
        "changed",
        tiny_tokenizer().get_vocab_size(),
    )


def test_each_weight_is_trained_once_and_a_tied_decoder_is_the_word_embeddings(
    tmp_path: Path,
) -> None:
    model = TextModel.open(tiny_splade(tmp_path / "model"))
    weights = list(model.parameters().values())
    assert len({id(weight) for weight in weights}) == len(weights)
    assert {id(weight) for weight in weights} == {id(weight) for weight in model.whole.parameters()}


def test_what_is_no_splade_model_says_why(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match='transformer_task is "feature-extraction"; wanted "fill-mask"'
    ):
        read_model_folder(tiny_splade(tmp_path / "task", task="feature-extraction"))
    with pytest.raises(ModelError, match=r"no activation 'relus'.*Did you mean 'relu'"):
        TextModel.open(tiny_splade(tmp_path / "activation", activation="relus"))


def test_it_is_compared_and_searched_like_any_other_model(tmp_path: Path, cli: Any) -> None:
    from nearfield.evaluate.compare import compare
    from nearfield.evaluate.systems import bm25_system, model_systems
    from nearfield.indexes.index import exact_index
    from tiny_data import tiny_collection

    collection, encoder = tiny_collection(), load(tiny_splade(tmp_path / "model"))
    test = collection.split("test")
    systems = model_systems(encoder, test, name="splade", storages=("float32", "float16"))
    comparison = compare([*systems, bm25_system(test)], test)
    rows = {row.name: row for row in comparison.rows}
    assert set(rows) == {"splade float32", "splade float16", "bm25"}
    documents = encoder.encode(collection.document_texts, "document")
    assert rows["splade float32"].bytes_per_document == pytest.approx(documents.bytes_per_item)
    assert (
        f"splade: {documents.active.mean():,.1f} active terms per document, of {documents.dim}"
        in comparison.notes
    )
    found = exact_index(documents).search(encoder.encode(test.query_texts, "query"), 100)
    np.testing.assert_array_equal(systems[0].ranking.documents, found.documents)
    for wrong in ({"similarity": "cosine"}, {"storages": ("binary",)}):
        with pytest.raises(ContractError):
            model_systems(encoder, test, name="splade", **wrong)
    collection.save(tmp_path / "data")
    told = cli("evaluate", tmp_path / "model", "--on", tmp_path / "data", "--json")
    assert told.exit_code == 0, told.stderr
    assert {row["name"] for row in json.loads(told.stdout)["rows"]} == {"model", "bm25"}


def raw(folder: Path, to: Path) -> Path:
    """The masked language model of a SPLADE folder alone, as SPLADE checkpoints are published: no
    modules.json, gamma and beta.
    """
    to.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (to / name).write_bytes((folder / name).read_bytes())
    weights = load_file(folder / "model.safetensors")
    older = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    renamed = {}
    for name, weight in weights.items():
        end = ".".join(name.rsplit(".", 2)[-2:])
        renamed[name.replace(end, older.get(end, end))] = weight
    save_file(renamed, to / "model.safetensors", metadata={"format": "pt"})
    return to


@pytest.mark.parametrize("runtime", ["native", "torch"])
def test_a_masked_language_model_opens_as_the_error_advises(runtime: str, tmp_path: Path) -> None:
    folder = raw(tiny_splade(tmp_path / "whole"), tmp_path / "raw")
    with pytest.raises(ContractError, match="nothing says how token states are pooled") as caught:
        load(folder)
    advice = re.search(
        r"state it in (\S+nearfield\.json): .*for a SPLADE model (\{.*\})", str(caught.value)
    )
    assert advice is not None
    Path(advice[1]).write_text(advice[2], encoding="utf-8")
    assert_same_as_sentence_transformers(folder, nasty_texts(40), runtime=runtime)


def test_a_masked_language_model_alone_is_saved_with_its_modules(tmp_path: Path) -> None:
    folder = raw(tiny_splade(tmp_path / "whole"), tmp_path / "raw")
    (folder / "nearfield.json").write_text('{"contract": {"kind": "sparse", "pooling": "sum"}}')
    save_encoder(TextModel.open(folder), tmp_path / "saved", name="saved")
    assert read_model_folder(tmp_path / "saved").contract.pooling == "sum"
    assert_same_as_sentence_transformers(tmp_path / "saved", ["cat", "tax law"])


def test_a_published_splade_model_gives_sentence_transformers_vectors(
    local_model: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = tmp_path / "splade-tiny"
    shutil.copytree(local_model("splade-tiny"), folder)
    (folder / "nearfield.json").write_text('{"contract": {"kind": "sparse"}}')
    assert_same_as_sentence_transformers(folder, nasty_texts(30))
