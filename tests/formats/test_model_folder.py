"""What a model folder's files say, and what happens when they don't agree."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from nearfield.errors import ContractError, InputError, ModelError
from nearfield.formats.model_folder import contract_json, read_model_folder
from tiny import tiny_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_model(tmp_path / "tiny")


def state(folder: Path, **contract: Any) -> None:
    (folder / "nearfield.json").write_text(json.dumps({"contract": contract}))


def test_minilm(minilm: Path) -> None:
    contract = read_model_folder(minilm).contract
    assert (
        contract.pooling,
        contract.normalise,
        contract.max_tokens,
        contract.dim,
        contract.similarity,
    ) == (
        "mean",
        True,
        256,
        384,
        "cosine",
    )
    assert contract.prompts == {}
    assert contract.matryoshka_dims == ()


def test_a_stated_contract_is_read_back_whole(folder: Path) -> None:
    contract = dataclasses.replace(
        read_model_folder(folder).contract,
        name="mine",
        prompts={"query": "q: "},
        matryoshka_dims=(32, 16),
        layer_norm=True,
    )
    (folder / "nearfield.json").write_text(json.dumps(contract_json(contract)))
    assert read_model_folder(folder).contract == contract


@pytest.mark.parametrize(
    ("key", "value"), [("pooling", "cls"), ("dim", 16), ("normalise", False), ("similarity", "dot")]
)
def test_a_contradiction_names_both_sides(folder: Path, key: str, value: Any) -> None:
    (folder / "config_sentence_transformers.json").write_text('{"similarity_fn_name": "cosine"}')
    state(folder, **{key: value})
    with pytest.raises(
        ContractError, match=f"{key} is .* in nearfield.json and .* in the model's own files"
    ):
        read_model_folder(folder)


def test_contradicting_prompts(folder: Path) -> None:
    (folder / "config_sentence_transformers.json").write_text(
        json.dumps({"prompts": {"query": "query: "}})
    )
    state(folder, prompts={"query": "q: "})
    with pytest.raises(ContractError, match="role 'query' has prompt 'q: '"):
        read_model_folder(folder)


@pytest.mark.parametrize(
    ("prompts", "document"),
    [
        ({"document": "d: ", "passage": "p: "}, "d: "),
        ({"passage": "p: ", "document": "d: "}, "d: "),
        ({"corpus": "c: ", "passage": "p: "}, "p: "),
        ({"corpus": "c: "}, "c: "),
    ],
)
def test_the_documents_prompt_is_the_first_of_its_names(
    folder: Path, prompts: dict[str, str], document: str
) -> None:
    (folder / "config_sentence_transformers.json").write_text(json.dumps({"prompts": prompts}))
    contract = read_model_folder(folder).contract
    assert contract.prompt("document") == document
    assert {role: contract.prompt(role) for role in prompts} == prompts


def test_prompts_of_both_files_are_joined_and_a_similarity_may_be_stated_in_one(
    folder: Path,
) -> None:
    (folder / "config_sentence_transformers.json").write_text(
        json.dumps({"prompts": {"document": "d: "}, "similarity_fn_name": None})
    )
    state(folder, prompts={"query": "q: "}, similarity="dot")
    contract = read_model_folder(folder).contract
    assert (contract.prompts, contract.similarity) == ({"document": "d: ", "query": "q: "}, "dot")


def test_an_unknown_key_names_the_nearest(folder: Path) -> None:
    state(folder, poolling="mean")
    with pytest.raises(ContractError, match=r"unknown key 'poolling'.*Did you mean 'pooling'"):
        read_model_folder(folder)


def test_a_plain_transformer_needs_its_pooling_stated(folder: Path) -> None:
    (folder / "modules.json").unlink()
    with pytest.raises(
        ContractError,
        match=r"nothing says how token states are "
        r"pooled.*nearfield.json",
    ):
        read_model_folder(folder)
    state(folder, pooling="cls")
    assert read_model_folder(folder).contract.pooling == "cls"


def test_the_least_of_the_stated_lengths_counts(folder: Path) -> None:
    state(folder, max_tokens=20)
    assert read_model_folder(folder).contract.max_tokens == 20
    state(folder, max_tokens=4000)
    assert read_model_folder(folder).contract.max_tokens == 64


@pytest.mark.parametrize(
    ("file", "key"),
    [
        ("sentence_bert_config.json", "max_seq_length"),
        ("tokenizer_config.json", "model_max_length"),
    ],
)
@pytest.mark.parametrize("length", [0, -5])
def test_a_length_that_no_text_has_is_refused(
    folder: Path, file: str, key: str, length: int
) -> None:
    (folder / "sentence_bert_config.json").unlink()
    place = folder / file
    stated = json.loads(place.read_text()) if place.exists() else {}
    place.write_text(json.dumps(stated | {key: length}))
    with pytest.raises(InputError, match=rf"{file}: {key} is {length}"):
        read_model_folder(folder)


@pytest.mark.parametrize(
    "modules",
    [["Transformer", "Pooling", "WordWeights"], ["Pooling", "Transformer"], ["Transformer"]],
)
def test_modules_that_are_not_honoured_are_refused(folder: Path, modules: list[str]) -> None:
    rows = [
        {"idx": at, "path": f"{at}", "type": f"sentence_transformers.models.{name}"}
        for at, name in enumerate(modules)
    ]
    (folder / "modules.json").write_text(json.dumps(rows))
    with pytest.raises(ModelError, match=r"modules\.json"):
        read_model_folder(folder)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"idx": [2, 1, 0]}, "in the order in which they run"),
        ({"name": ["0", "1", "1"]}, "names two modules '1'"),
    ],
)
def test_modules_whose_order_is_left_open_are_refused(
    folder: Path, facts: dict[str, list[Any]], said: str
) -> None:
    rows = json.loads((folder / "modules.json").read_text())
    for key, values in facts.items():
        rows = [row | {key: value} for row, value in zip(rows, values, strict=True)]
    (folder / "modules.json").write_text(json.dumps(rows))
    with pytest.raises(InputError, match=said):
        read_model_folder(folder)


def test_a_default_prompt_that_does_not_exist_is_refused(folder: Path) -> None:
    (folder / "config_sentence_transformers.json").write_text(
        '{"prompts": {"ask": "a: "}, "default_prompt_name": "asked"}'
    )
    with pytest.raises(ModelError, match=r'default_prompt_name is "asked"; wanted .* ask'):
        read_model_folder(folder)


def test_joined_poolings_are_refused(folder: Path) -> None:
    (folder / "1_Pooling/config.json").write_text(
        json.dumps({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True})
    )
    with pytest.raises(ModelError, match=r"pooling cls \+ mean is not supported"):
        read_model_folder(folder)


def test_no_folder_and_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no such folder"):
        read_model_folder(tmp_path / "none")
    with pytest.raises(ModelError, match="is not a model folder"):
        read_model_folder(tmp_path)


def test_an_older_splade_folder_names_its_transformer_otherwise(tmp_path: Path) -> None:
    theirs = "sentence_transformers.sparse_encoder.models"
    kinds = {"": f"{theirs}.MLMTransformer", "1_SpladePooling": f"{theirs}.SpladePooling"}
    modules = [
        {"idx": at, "name": str(at), "path": path, "type": kind}
        for at, (path, kind) in enumerate(kinds.items())
    ]
    (tmp_path / "1_SpladePooling").mkdir()
    for file, facts in (
        ("modules.json", modules),
        (
            "config.json",
            {
                "model_type": "bert",
                "vocab_size": 99,
                "hidden_size": 8,
                "max_position_embeddings": 16,
            },
        ),
        ("1_SpladePooling/config.json", {"pooling_strategy": "max"}),
    ):
        (tmp_path / file).write_text(json.dumps(facts), encoding="utf-8")
    read = read_model_folder(tmp_path).contract
    assert (read.kind, read.dim, read.pooling, read.max_tokens) == ("sparse", 99, "max", 16)
