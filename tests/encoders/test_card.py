from __future__ import annotations

import re
from pathlib import Path

import pytest

from nearfield.encoders.card import card, cards, read_card
from nearfield.errors import ContractError, InputError, ModelError

GOOD = """
summary = "A model"
hub = "someone/model"
revision = "abc"
parameters = 10
[contract]
dim = 4
max_tokens = 16
[files]
"config.json" = "00"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "tiny.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", cards())
def test_every_card_of_the_catalog_is_whole(name: str) -> None:
    found = card(name)
    assert found.name == found.contract.name == name
    assert found.parameters > 0
    assert found.summary
    assert found.contract.terms.licence
    assert re.fullmatch(r"[0-9a-f]{40}", found.revision)
    assert {"config.json", "modules.json", "tokenizer.json", "model.safetensors"} <= set(found.files)
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in found.files.values())


def test_minilm_is_what_was_published() -> None:
    found = card("minilm")
    assert found.files["model.safetensors"] == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    assert found.files["tokenizer.json"] == "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
    assert (found.contract.dim, found.contract.max_tokens, found.contract.pooling) == (384, 256, "mean")


def test_the_minilm_folder_says_what_its_card_says(minilm: Path) -> None:
    from nearfield.store.model_folder import read_model_folder

    read, stated = read_model_folder(minilm).contract, card("minilm").contract
    for part in ("dim", "max_tokens", "pooling", "normalise", "similarity", "prompts", "matryoshka_dims"):
        assert getattr(read, part) == getattr(stated, part), part


def test_an_unknown_name_is_an_error_with_the_nearest() -> None:
    with pytest.raises(ModelError, match=r"minilmm: is no model of the catalog; it has .*Did you mean 'minilm'\?"):
        card("minilmm")
    with pytest.raises(ModelError, match="no model of the catalog"):
        card("../secret")


def test_a_card_without_options_reads(tmp_path: Path) -> None:
    found = read_card(write(tmp_path, GOOD))
    assert found.wheel is None
    assert found.contract.similarity == "cosine"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("parameters = 10", "parametres = 10", r"tiny.toml: has an unknown key parametres; known: .*Did you mean 'parameters'\?"),
        ("dim = 4", "dims = 4", r"unknown key contract.dims.*Did you mean 'dim'\?"),
        ("[files]", "[terms]\nlicense = 'MIT'\n[files]", r"unknown key terms.license.*Did you mean 'licence'\?"),
        ("[files]", "[wheel]\ndistribution = 'x'\n[files]", r"lacks wheel.folder, wheel.version"),
        ('revision = "abc"', "", "lacks revision"),
        ("dim = 4", "", "lacks contract.dim"),
        ("parameters = 10", "parameters = ", r"tiny.toml: is not TOML: .*line 5"),
    ],
)
def test_a_wrong_card_is_an_error_that_names_file_and_key(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_card(write(tmp_path, GOOD.replace(old, new)))


def test_an_impossible_contract_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="pooling is 'middle'"):
        read_card(write(tmp_path, GOOD.replace("dim = 4", "dim = 4\npooling = 'middle'")))
