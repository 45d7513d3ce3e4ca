"""What prompts are worth: each use of them is what encoding with those prompts by hand gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nearfield.encoders.text import TextEncoder
from nearfield.errors import ContractError
from nearfield.evaluate.compare import compare
from nearfield.evaluate.prompts import NONE, OWN, measure_prompts, prompt_uses
from nearfield.evaluate.systems import model_systems
from nearfield.types.contract import Contract
from tiny import tiny_model
from tiny_data import tiny_collection

PROMPTS = {"query": "query : ", "document": "passage : "}
TASK = "find the file"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "prompted"
    templates = {"contract": {"templates": {"query": "{task} : "}}}
    return tiny_model(
        folder, config_sentence_transformers={"prompts": PROMPTS}, nearfield=templates
    )


def test_each_use_is_the_model_with_those_prompts(model: Path) -> None:
    encoder, split = TextEncoder.open(model), tiny_collection().split("test")
    found = measure_prompts(encoder, split, tasks=[TASK])
    by_hand = {
        NONE: {"query": "", "document": ""},
        "query's alone": {"query": "query : ", "document": ""},
        "document's alone": {"query": "", "document": "passage : "},
        OWN: PROMPTS,
        f"task: {TASK}": {"query": f"{TASK} : ", "document": "passage : "},
    }
    assert {row.name for row in found.comparison.rows} == set(by_hand)
    for name, prompts in by_hand.items():
        (system,) = model_systems(
            encoder.under(Contract(**(vars(encoder.contract) | {"prompts": prompts}))),
            split,
            name=name,
        )
        expected = compare([system], split).rows[0]
        got = next(row for row in found.comparison.rows if row.name == name)
        assert got.means == pytest.approx(expected.means)
        assert got.per_query == pytest.approx(expected.per_query)
    assert [
        (cost.query, cost.document)
        for cost in (found.costs[NONE], found.costs[OWN], found.costs[f"task: {TASK}"])
    ] == [(0, 0), (2, 2), (4, 2)]
    assert 0 < found.costs[OWN].document_share < found.costs[OWN].query_share < 1
    assert found.costs[NONE].query_share == 0


def test_a_prompt_is_encoded_once_however_many_uses_have_it(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, split, seen = (
        TextEncoder.open(model),
        tiny_collection().split("test"),
        list[tuple[str, str, int]](),
    )
    plain = TextEncoder.encode

    def counted(self: TextEncoder[Any], items: Any, role: str, **options: Any) -> Any:
        if len(items) > 1:
            seen.append((role, self.contract.prompt(role), len(items)))
        return plain(self, items, role, **options)

    monkeypatch.setattr(TextEncoder, "encode", counted)
    monkeypatch.setenv("NEARFIELD_CACHE_GB", "0")
    measure_prompts(encoder, split, tasks=[TASK])
    assert len(seen) == len(set(seen)) == 2 + 3


def test_a_model_without_prompts_has_none_to_leave_out() -> None:
    with pytest.raises(
        ContractError, match="m has no prompts, so there is nothing to leave out; state them"
    ):
        prompt_uses(Contract("m", 4, 16))
    with pytest.raises(ContractError, match="give it a task with --task"):
        prompt_uses(Contract("m", 4, 16, templates={"query": "{task}: "}))
    assert list(prompt_uses(Contract("m", 4, 16, prompts={"query": "q: "}))) == [NONE, OWN]
    with pytest.raises(ContractError, match="takes no task in words"):
        prompt_uses(Contract("m", 4, 16, prompts={"query": "q: "}), ["find it"])


def test_only_the_prompts_of_an_open_model_change(model: Path) -> None:
    encoder = TextEncoder.open(model)
    with pytest.raises(ContractError, match="only the prompts"):
        encoder.under(Contract(**(vars(encoder.contract) | {"similarity": "dot"})))
    assert encoder.instructed(TASK).contract.prompt("query") == f"{TASK} : "
    assert encoder.contract.prompt("query") == "query : "


def test_the_command(model: Path, tmp_path: Path, cli: Callable[..., Any]) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    split = tiny_collection().split("test")
    rows = [{"query": text, "positive": text} for text in split.query_texts]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ("prompts", model, "--on", folder / "pairs.jsonl", "--split", "all", "--task", TASK)
    shown = cli(*words)
    assert shown.exit_code == 0, shown.stderr
    assert "against no prompt" in shown.stdout
    facts = json.loads(cli(*words, "--json").stdout)
    assert facts["costs"][OWN]["query"] == 2
    assert np.isfinite(facts["comparison"]["pairs"][0]["difference"]["mean"])
