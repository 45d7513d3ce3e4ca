from __future__ import annotations

import json
from pathlib import Path

import pytest

from nearfield.catalog.agree import contradictions, refuse_contradiction, settle
from nearfield.catalog.card import Card, Weights, card
from nearfield.encoders.load import load
from nearfield.errors import ContractError
from nearfield.formats.model_folder import read_model_folder
from nearfield.types.contract import Contract
from tiny import tiny_model


def tiny_card(**contract: object) -> Card:
    facts = {"dim": 32, "max_tokens": 64, "pooling": "mean"} | contract
    contract = Contract("tiny", **facts)  # type: ignore[arg-type]
    return Card("tiny", "A tiny model", contract, Weights("someone/tiny"))


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"pooling": "cls"}, ["pooling is 'mean' in the folder and 'cls' in the catalog"]),
        (
            {"dim": 33, "max_tokens": 32},
            [
                "dim is 32 in the folder and 33 in the catalog",
                "max_tokens is 64 in the folder and 32 in the catalog",
            ],
        ),
        ({"max_tokens": 128}, []),  # a lower limit is anybody's choice
        ({"similarity": "dot"}, ["similarity is 'cosine' in the folder and 'dot' in the catalog"]),
        ({"normalise": False}, []),  # no cosine depends on it
        ({"prompts": {"document": "d: "}}, []),  # the folder leaves it open
        (
            {"prompts": {"query": "q: "}},
            ["the prompt of role 'query' is 'query: ' in the folder and 'q: ' in the catalog"],
        ),
        (
            {"include_prompt": False},
            ["include_prompt is True in the folder and False in the catalog"],
        ),
    ],
)
def test_each_field_that_contradicts_is_named_with_both_values(
    tmp_path: Path, stated: dict[str, object], said: list[str]
) -> None:
    folder = tiny_model(
        tmp_path / "t", config_sentence_transformers={"prompts": {"query": "query: "}}
    )
    assert contradictions(tiny_card(**stated), read_model_folder(folder).contract) == said


def test_normalising_matters_where_the_similarity_is_dot(tmp_path: Path) -> None:
    folder = tiny_model(
        tmp_path / "t", normalise=False, config_sentence_transformers={"similarity_fn_name": "dot"}
    )
    assert contradictions(tiny_card(similarity="dot"), read_model_folder(folder).contract) == [
        "normalise is False in the folder and True in the catalog"
    ]


def wrong_bge(folder: Path, **files: object) -> Path:
    """A tiny model that pools otherwise than BGE does."""
    return tiny_model(folder, pooling="mean", **files)


@pytest.mark.parametrize(
    "place", ["bge-small", "bge-small-en-v1.5", "models--BAAI--bge-small-en-v1.5/snapshots/5c38"]
)
def test_a_folder_that_is_called_as_a_known_model_and_contradicts_its_card_does_not_open(
    tmp_path: Path, place: str
) -> None:
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    folder = wrong_bge(tmp_path / place)
    with pytest.raises(ContractError) as caught:
        load(folder)
    said = str(caught.value)
    assert "is bge-small by the folder's name" in said
    assert (
        "dim is 32 in the folder and 384 in the catalog; pooling is 'mean' in the folder and "
        "'cls' in the catalog"
    ) in said
    assert '{"contract": {"name": "another-name"}} in nearfield.json' in said


def test_the_heading_of_the_readme_names_a_model_too(tmp_path: Path) -> None:
    folder = wrong_bge(tmp_path / "mine")
    (folder / "README.md").write_text(
        "---\nlicense: mit\n---\n\n# BAAI/bge-small-en-v1.5\n\ntext\n", encoding="utf-8"
    )
    with pytest.raises(ContractError, match=r"is bge-small by the heading of its README\.md"):
        refuse_contradiction(folder)
    (folder / "README.md").write_text(
        "# SentenceTransformer based on BAAI/bge-small-en-v1.5\n", encoding="utf-8"
    )
    refuse_contradiction(folder)


def test_a_name_of_its_own_in_nearfield_json_makes_it_another_model(tmp_path: Path) -> None:
    folder = wrong_bge(tmp_path / "bge-small", nearfield={"contract": {"name": "tuned"}})
    assert load(folder).contract.name == "tuned"
    (folder / "nearfield.json").write_text(
        json.dumps({"contract": {"name": "minilm"}}), encoding="utf-8"
    )
    with pytest.raises(ContractError, match=r"is minilm by the name in its nearfield\.json"):
        load(folder)


def test_a_folder_of_any_other_name_is_its_own_business(tmp_path: Path) -> None:
    refuse_contradiction(wrong_bge(tmp_path / "something"))


def test_settling_states_what_the_files_leave_out(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "t", max_tokens=48)
    stated = {
        "prompts": {"query": "query: "},
        "matryoshka_dims": (32, 16),
        "templates": {"query": "{task}: "},
        "max_tokens": 64,
    }
    settle(tiny_card(**stated), folder)
    read = read_model_folder(folder).contract
    assert (read.name, read.prompts, read.matryoshka_dims, read.templates) == (
        "tiny",
        {"query": "query: "},
        (32, 16),
        {"query": "{task}: "},
    )
    assert read.max_tokens == 48
    settle(tiny_card(**stated), folder)  # once more changes nothing
    assert read_model_folder(folder).contract == read


def test_settling_another_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        ContractError,
        match=r"these are not the files of tiny: dim is 32 in the "
        r"folder and 48 in the catalog. Nothing was",
    ):
        settle(tiny_card(dim=48), tiny_model(tmp_path / "t"))


def test_real_cards_agree_with_themselves() -> None:
    for name in ("minilm", "bge-small", "e5-small", "qwen3-embedding-0.6b"):
        assert contradictions(card(name), card(name).contract) == []
