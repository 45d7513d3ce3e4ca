"""An adapter's folder as a model: queries go through the map, documents stay what the model makes
of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nearfield.encoders.adapter import Adapter
from nearfield.encoders.load import load
from nearfield.encoders.text import TextEncoder
from nearfield.errors import ContractError, InputError
from nearfield.models.vector_map import MapConfig, VectorMap
from tiny import tiny_model
from tiny_data import tiny_collection


def turned(dim: int) -> VectorMap:
    turn = VectorMap(MapConfig("linear", dim, dim))
    turn.load_state_dict({"weight": torch.eye(dim).roll(1, 0), "bias": torch.zeros(dim)})
    return turn


def test_queries_alone_go_through_the_map(tmp_path: Path) -> None:
    base = TextEncoder.open(tiny_model(tmp_path / "model"))
    adapted = TextEncoder(base.folder, base.runtime, adapter=Adapter(turned(32), "hash"))
    texts = ["the cat", "a dog", ""]
    np.testing.assert_array_equal(
        adapted.encode(texts, "document").vectors, base.encode(texts, "document").vectors
    )
    queries = base.encode(texts, "query").vectors
    np.testing.assert_allclose(
        adapted.encode(texts, "query").vectors, np.roll(queries, 1, axis=1), atol=1e-6
    )
    assert adapted.contract.name == "model adapted"
    assert adapted.identity == (base.identity or {}) | {"adapter": "hash"}
    with pytest.raises(ContractError, match="of 32 dimensions and the map goes from 4 to 4"):
        TextEncoder(base.folder, base.runtime, adapter=Adapter(turned(4)))


def test_a_folder_by_adapt_is_a_model_like_any_other(
    cli: Callable[..., Any], tmp_path: Path
) -> None:
    model, data, run = tiny_model(tmp_path / "model"), tmp_path / "data", tmp_path / "run"
    adapter = run / "adapter"
    tiny_collection().save(data)
    told = cli(
        "adapt", model, "--on", data, "--to", run, "--epochs", 3, "--guard", "none", "--json"
    )
    assert told.exit_code == 0, told.stderr
    test = {row["name"]: row for row in json.loads(told.stdout)["comparison"]["rows"]}
    shown = cli("evaluate", adapter, model, "--on", data, "--no-bm25", "--json")
    assert shown.exit_code == 0, shown.stderr
    rows = {row["name"]: row for row in json.loads(shown.stdout)["rows"]}
    assert rows["adapter"]["per_query"] == test["model adapted"]["per_query"]
    assert rows["model"]["per_query"] == test["model"]["per_query"]
    vectors = tmp_path / "vectors"
    assert cli("encode", model, data, "--to", vectors).exit_code == 0
    found = cli(
        "search", data, "parse the json", "--model", adapter, "--vectors", vectors, "--json"
    )
    assert found.exit_code == 0, found.stderr
    assert json.loads(found.stdout)["results"]
    for first, second in ((model, adapter), (adapter, model)):
        queries = tmp_path / f"queries of {first.name}"
        assert cli("encode", first, data, "--role", "query", "--to", queries).exit_code == 0
        refused = cli("encode", second, data, "--role", "query", "--to", queries)
        assert (refused.exit_code, "through another adapter than this one" in refused.stderr) == (
            2,
            True,
        ), refused.stderr


def test_an_adapter_without_its_model_is_refused(cli: Callable[..., Any], tmp_path: Path) -> None:
    model, data, run = tiny_model(tmp_path / "model"), tmp_path / "data", tmp_path / "run"
    adapter = run / "adapter"
    tiny_collection().save(data)
    assert (
        cli("adapt", model, "--on", data, "--to", run, "--epochs", 1, "--guard", "none").exit_code
        == 0
    )
    (model / "extra.json").write_text("{}")
    with pytest.raises(ContractError, match="was trained on vectors of another model"):
        load(adapter)
    about = json.loads((adapter / "adapter.json").read_text())
    del about["source"]
    (adapter / "adapter.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match="was trained on vectors from files and names no model"):
        load(adapter)
