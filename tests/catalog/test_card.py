from __future__ import annotations

import csv
import gzip
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from nearfield.catalog.card import (
    CATALOG,
    KINDS,
    Weights,
    card,
    cards,
    catalogued,
    names,
    read_card,
)
from nearfield.catalog.fetch import installed
from nearfield.errors import ContractError, InputError, ModelError

GOOD = """
summary = "A model"
hub = "someone/model"
revision = "abc"
parameters = 10
[contract]
dim = 4
max_tokens = 16
pooling = "mean"
[files]
"config.json" = "00"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "tiny.toml"
    path.write_text(text, encoding="utf-8")
    return path


REMOTE = """
summary = "A model"
[contract]
dim = 4
max_tokens = 16
[api]
provider = "Somebody"
model = "some-model"
as_of = "2026-01-31"
"""


@pytest.mark.parametrize("name", names())
def test_every_card_of_the_catalog_is_whole(name: str) -> None:
    found = card(name)
    assert found.name == found.contract.name == name
    assert found.summary
    assert found.kind in KINDS
    assert all(
        re.fullmatch(r"[a-z]{2,3}|code|\*", language) for language in found.contract.terms.languages
    )
    assert all(0 <= score <= 1 for score in found.published.values())
    assert set(found.self_reported) <= set(found.published)
    for role, template in found.contract.templates.items():
        assert template.partition("{task}")[0] in found.contract.prompts[role]
    assert (found.weights is None) is not (found.api is None)
    if found.weights is not None:
        assert found.parameters
        assert found.parameters > 0
        assert found.contract.terms.licence
        revision = found.weights.revision
        assert revision is None or re.fullmatch(r"[0-9a-f]{40}", revision)
        assert found.contract.pooling != "unpublished"
    elif found.api is not None:
        per_search = found.api.price_per_thousand_searches
        assert found.contract.terms.price_per_million_tokens or per_search
        assert re.fullmatch(r"20[0-9]{2}-[01][0-9]-[0-3][0-9]", found.api.as_of)
        assert found.contract.pooling == "unpublished"


def weights(name: str) -> Weights:
    found = card(name).weights
    assert found is not None
    return found


LOCAL = [name for name, found in cards().items() if found.local]


@pytest.mark.parametrize("name", [name for name in LOCAL if weights(name).files])
def test_hashes_are_those_of_a_whole_model(name: str) -> None:
    found = weights(name)
    assert found.revision
    assert {"config.json", "modules.json", "tokenizer.json", "model.safetensors"} <= set(
        found.files
    )
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in found.files.values())


def test_published_scores_are_those_of_the_results_repository(shared_data: Path) -> None:
    """Each is the score of one split, or the mean of the splits named test_...; means of benchmarks
    are not in that table.
    """
    table = shared_data / "mteb_published" / "all_main_scores.csv.gz"
    heading = re.compile(r"There the model is called (.+)\.$", flags=re.MULTILINE)
    called = {
        name: heading.search((CATALOG / f"{name}.toml").read_text(encoding="utf-8"))
        for name in names()
    }
    by_model = {
        (match.group(1) if (match := called[name]) else found.hub): found
        for name, found in cards().items()
    }
    scores: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with gzip.open(table, "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["model"] in by_model and row["mean_main_score"]:
                scores[row["model"], row["task"]][row["split"]].append(
                    float(row["mean_main_score"])
                )
    checked = 0
    for model, found in by_model.items():
        for task, stated in found.published.items():
            if not task.startswith("MTEB("):
                splits = scores[str(model), task]
                known = [value for values in splits.values() for value in values]
                parts = [values[0] for split, values in splits.items() if split.startswith("test_")]
                known += [sum(parts) / len(parts)] if parts else []
                assert min(abs(value - stated) for value in known) < 1e-6, (found.name, task)
                checked += 1
    assert checked > 1000


def test_minilm_is_what_was_published() -> None:
    found = card("minilm")
    files = weights("minilm").files
    assert (
        files["model.safetensors"]
        == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    )
    assert (
        files["tokenizer.json"]
        == "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
    )
    assert (found.contract.dim, found.contract.max_tokens, found.contract.pooling) == (
        384,
        256,
        "mean",
    )


def says_what_its_card_says(folder: Path, name: str) -> None:
    from nearfield.formats.model_folder import read_model_folder

    read, stated = read_model_folder(folder).contract, card(name).contract
    for part in (
        "dim",
        "max_tokens",
        "pooling",
        "include_prompt",
        "normalise",
        "similarity",
        "matryoshka_dims",
    ):
        assert getattr(read, part) == getattr(stated, part), part
    assert {role: prompt for role, prompt in read.prompts.items() if prompt} == stated.prompts


def test_the_minilm_folder_says_what_its_card_says(minilm: Path) -> None:
    says_what_its_card_says(minilm, "minilm")


@pytest.mark.parametrize("name", ["mpnet", "bge-small", "gte-small", "e5-small"])
def test_real_folders_say_what_their_cards_say(
    name: str, local_model: Callable[[str], Path]
) -> None:
    says_what_its_card_says(local_model(name), name)


def test_the_mpnet_folder_is_the_one_of_the_card(local_model: Callable[[str], Path]) -> None:
    assert installed(card("mpnet"), local_model("mpnet"))


def test_a_model_goes_by_its_names_on_the_hub_and_at_its_api_too() -> None:
    for name in ("BAAI/bge-small-en-v1.5", "bge-small-en-v1.5", "baai/BGE-small-en-v1.5"):
        assert card(name).name == catalogued(name) == "bge-small"
    assert card("embed-english-v3.0").name == "embed-english-v3"
    assert catalogued("bge") is None


def test_a_model_behind_an_api_needs_no_hub_and_no_pooling(tmp_path: Path) -> None:
    found = read_card(write(tmp_path, REMOTE))
    assert not found.local
    assert (found.hub, found.weights, found.parameters, found.contract.pooling) == (
        None,
        None,
        None,
        "unpublished",
    )
    with pytest.raises(InputError, match=r"states hub and \[api\]; wanted the one or the other"):
        read_card(write(tmp_path, 'hub = "a/b"\n' + REMOTE))


def test_an_unknown_name_is_an_error_with_the_nearest() -> None:
    with pytest.raises(
        ModelError,
        match=r"minilmm: is not a model of the catalog, which has \d+. "
        r"Did you mean 'minilm'\?",
    ):
        card("minilmm")
    with pytest.raises(ModelError, match="not a model of the catalog"):
        card("../secret")


def test_a_card_without_options_reads(tmp_path: Path) -> None:
    found = read_card(write(tmp_path, GOOD))
    assert found.weights == Weights("someone/model", "abc", {"config.json": "00"})
    assert found.contract.similarity == "cosine"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "parameters = 10",
            "parametres = 10",
            r"tiny.toml: has an unknown key parametres; known: "
            r".*Did you mean 'parameters'\?",
        ),
        ("dim = 4", "dims = 4", r"unknown key contract.dims.*Did you mean 'dim'\?"),
        (
            "[files]",
            "[terms]\nlicense = 'MIT'\n[files]",
            r"unknown key terms.license.*Did you "
            r"mean 'licence'\?",
        ),
        ("[files]", "[wheel]\ndistribution = 'x'\n[files]", r"lacks wheel.folder, wheel.version"),
        (
            'revision = "abc"',
            "",
            r"lacks revision: the hashes in \[files\] are those of the files "
            r"at one",
        ),
        ('hub = "someone/model"', "", r"states neither hub nor \[api\]"),
        (
            'summary = "A model"',
            'summary = "A model"\nkind = "dens"',
            r"kind is 'dens'; wanted "
            r"one of dense, .*Did you mean 'dense'\?",
        ),
        ('pooling = "mean"', "", "lacks contract.pooling"),
        ("dim = 4", "", "lacks contract.dim"),
        ("parameters = 10", "parameters = ", r"tiny.toml: is not TOML: .*line 5"),
    ],
)
def test_a_wrong_card_is_an_error_that_names_file_and_key(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        read_card(write(tmp_path, GOOD.replace(old, new)))


def test_an_impossible_contract_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="pooling is 'middle'"):
        read_card(write(tmp_path, GOOD.replace('"mean"', "'middle'")))
