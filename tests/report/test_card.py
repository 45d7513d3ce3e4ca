from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from nearfield.report.card import model_card
from nearfield.report.facts import About, RunFacts, read_run


def front_matter(text: str) -> dict[str, Any]:
    data: dict[str, Any] = ModelCard(text).data.to_dict()
    return data


def test_the_hub_reads_its_front_matter(run_folder: Path) -> None:
    text = model_card(read_run(run_folder))
    data = ModelCard(text).data
    assert data.library_name == "sentence-transformers"
    assert data.pipeline_tag == "sentence-similarity"
    assert data.base_model == "sentence-transformers/all-MiniLM-L6-v2"
    assert data.license == "apache-2.0"
    (result,) = data.eval_results or ()
    assert (result.metric_name, result.dataset_name) == ("nDCG@10", "stdlib (test)")
    assert text.count("---\n") == 2


def test_it_holds_verdict_comparison_use_and_training(run_folder: Path) -> None:
    facts = read_run(run_folder)
    text = model_card(facts)
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "# minilm tuned on stdlib", "## Verdict", "## Comparison", "## Use", "## Training",
    ]  # fmt: skip
    assert "**The tuned model is better.** minilm tuned gains" in text
    assert "- Guard pydoc-topics: loses .004" in text
    assert "| minilm tuned | .6" in text
    assert "from sentence_transformers import SentenceTransformer" in text
    assert str(facts.origin.data["fingerprint"]) in text
    found = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert found
    assert tomllib.loads(found[1]) == facts.origin.recipe


def test_both_usage_snippets_are_python(run_folder: Path) -> None:
    for code in re.findall(r"```python\n(.*?)```", model_card(read_run(run_folder)), re.DOTALL):
        compile(code, "card", "exec")


def test_a_run_with_nothing_but_its_name() -> None:
    text = model_card(RunFacts(Path("run"), About("my-model", "my data")))
    assert "base_model" not in front_matter(text)
    assert "## Verdict" not in text
    assert "nearfield tune my-model --on 'my data'" in text


@pytest.mark.parametrize(
    "nasty", ["<script>alert(1)</script>", "a | b", "*x*", "`code`", '---\nlicense: "x"', "ünïcode"]
)
def test_names_cannot_break_out(
    make_run: Callable[..., Path], run_folder: Path, nasty: str
) -> None:
    facts = read_run(run_folder)
    assert facts.comparison
    row = replace(facts.comparison.rows[0], name=nasty)
    facts = replace(
        facts,
        about=replace(facts.about, model=nasty),
        comparison=replace(facts.comparison, rows=(row,)),
    )
    text = model_card(facts)
    assert front_matter(text)["library_name"] == "sentence-transformers"
    assert "license" not in front_matter(text)
    outside = re.sub(r"```.*?```|`[^`]*`", "", text.split("\n---\n", 1)[1], flags=re.DOTALL)
    assert "<script>" not in outside.replace("\\<", "")
