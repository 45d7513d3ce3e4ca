"""The examples of docs/extending.md work as they stand."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nearfield.batch.packed import Packed, packed_batches
from nearfield.catalog import card as catalog
from nearfield.catalog.fetch import place
from nearfield.encoders.load import load
from nearfield.errors import ContractError
from nearfield.models.model import TextModel
from tiny import tiny_model

TEXTS = ["the cat", "how to sort a list in the tree ?", "dog", "a red song and a blue game"]


@pytest.fixture
def blocks(repository: Path) -> dict[str, list[str]]:
    """The document's fenced blocks, by language."""
    text = (repository / "docs" / "extending.md").read_text(encoding="utf-8")
    found: dict[str, list[str]] = {}
    for language, body in re.findall(
        r"^```(\w+)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL
    ):
        found.setdefault(language, []).append(body)
    return found


@pytest.fixture
def with_tidy_small(
    blocks: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A catalog of only the document's model, and a cache of its own."""
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "tidy-small.toml").write_text(blocks["toml"][0], encoding="utf-8")
    monkeypatch.setattr(catalog, "CATALOG", tmp_path / "catalog")
    monkeypatch.setenv("NEARFIELD_HOME", str(tmp_path / "home"))


@pytest.mark.usefixtures("with_tidy_small")
def test_one_toml_makes_a_model_that_is_listed_fetched_and_used(
    tmp_path: Path, cli: Callable[..., Any]
) -> None:
    assert "tidy-small" in cli("models").stdout
    assert "tidy-small" in cli("models", "suggest", "--languages", "de").stdout
    assert "somebody/tidy-small-v1" in cli("models", "show", "tidy-small-v1").stdout
    folder = tiny_model(tmp_path / "downloaded")
    shown = cli("models", "get", "tidy-small", "--from", folder)
    assert shown.exit_code == 0, shown.stderr
    encoder = load("somebody/tidy-small-v1")
    assert encoder.contract.matryoshka_dims == (32, 16)
    plain = load(folder)
    prompted = encoder.encode(TEXTS, "query").floats()
    np.testing.assert_allclose(
        prompted, plain.encode([f"query: {text}" for text in TEXTS], "query").floats(), atol=1e-6
    )
    assert np.abs(prompted - plain.encode(TEXTS, "query").floats()).max() > 1e-3


@pytest.mark.usefixtures("with_tidy_small")
def test_a_folder_that_contradicts_the_card_is_not_taken(tmp_path: Path) -> None:
    with pytest.raises(
        ContractError, match="pooling is 'cls' in the folder and 'mean' in the catalog"
    ):
        place("tidy-small", tiny_model(tmp_path / "other", pooling="cls"))


def test_one_file_makes_a_head_and_its_test_passes(
    blocks: dict[str, list[str]], tmp_path: Path
) -> None:
    model = TextModel.open(tiny_model(tmp_path / "tiny"))
    encoder = load(tmp_path / "tiny")
    (batch, *more) = packed_batches(encoder.tokenise(TEXTS, "document"), 4096)
    assert not more
    names: dict[str, Any] = {
        "__name__": "first_and_mean",
        "np": np,
        "TextModel": TextModel,
        "Packed": Packed,
    }
    for source in blocks["python"]:
        exec(compile(source, "docs/extending.md", "exec", dont_inherit=True), names)
    (test,) = (value for name, value in names.items() if name.startswith("test_"))
    test(model, batch)
