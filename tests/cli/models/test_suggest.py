from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from nearfield.catalog.card import cards
from nearfield.cli.models import suggest

Run = Callable[..., Any]
ALL = (
    "--languages",
    "en,de",
    "--licence",
    "commercial",
    "--memory",
    "2.5GB",
    "--length",
    "2000",
    "--tokens",
    "50M",
    "--budget",
    "5",
)


def words(text: str) -> str:
    return " ".join(text.split())


def test_every_model_is_in_or_out_with_its_reason(cli: Run) -> None:
    shown = cli("models", "suggest", *ALL, "--json")
    assert shown.exit_code == 0
    told = json.loads(shown.stdout)
    rows = told["shortlist"] + told["further"]
    assert {row["name"] for row in rows} | set(told["out"]) == set(cards())
    assert not {row["name"] for row in rows} & set(told["out"])
    assert all(told["out"].values())
    assert told["out"]["minilm"] == {"languages": "does not know de", "length": "reads 256 tokens"}
    assert told["out"]["jina-embeddings-v3"] == {"licence": "CC-BY-NC-4.0 forbids commercial use"}
    assert told["out"]["qwen3-embedding-8b"] == {"memory": "weights take 30.3 GB in float32"}
    assert told["out"]["text-embedding-3-large"] == {"budget": "50,000,000 tokens cost $6.50"}
    small = next(row for row in rows if row["name"] == "qwen3-embedding-0.6b")
    assert small["for"][0] == "knows en, de"
    assert small["mean"] == pytest.approx(
        sum(cards()["qwen3-embedding-0.6b"].published[task] for task in told["tasks"])
        / len(told["tasks"])
    )


@pytest.mark.parametrize("width", [80, 120])
def test_the_page_says_basis_reasons_and_what_to_do(
    cli: Run, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    from nearfield.cli.console import out

    monkeypatch.setattr(out, "_width", width)
    shown = cli("models", "suggest", *ALL)
    assert shown.exit_code == 0
    assert max(map(len, shown.stdout.splitlines())) <= width
    text = words(shown.stdout)
    for part in (
        "Asked for: en, de; commercial use; weights of at most 2.5 GB; texts of 2,000 tokens; "
        "$5.00 for 50,000,000 tokens; dense.",
        "Ranked by the mean main score, as published, on the 18 tasks of MTEB(Multilingual, v2) "
        "retrieval",
        "qwen3-embedding-0.6b: knows en, de; Apache-2.0 allows commercial use",
        "+ fails another need too",
        "nearfield evaluate qwen3-embedding-0.6b",
    ):
        assert part in text


def test_what_is_not_asked_is_no_matter_and_said(cli: Run) -> None:
    text = words(cli("models", "suggest", "--most", "2").stdout)
    assert "Unconstrained: languages, licence, memory, length, budget." in text
    assert "the 10 tasks of MTEB(eng, v2) retrieval" in text
    assert "Also meet it: " in text


def test_where_nothing_fits_the_nearest_are_named(cli: Run) -> None:
    text = words(
        cli("models", "suggest", "--languages", "sw", "--memory", "100MB", "--local").stdout
    )
    assert "No model of the catalog meets all of this." in text
    assert "minilm: does not know sw" in text
    nobody = words(
        cli(
            *("models", "suggest", "--kind", "sparse", "--memory", "1MB", "--local"),
            *("--languages", "sw"),
        ).stdout
    )
    assert "none: each fails two needs or more" in nobody


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--memory", "much"), "got 'much'; wanted a size such as 2GB"),
        (("--tokens", "all"), "wanted a number such as 50M"),
        (("--budget", "cheap"), "wanted dollars such as 5"),
        (("--kind", "dense,spars"), "there is no kind 'spars'"),
    ],
)
def test_a_need_that_cannot_be_read_is_an_error(
    cli: Run, arguments: tuple[str, ...], said: str
) -> None:
    shown = cli("models", "suggest", *arguments)
    assert shown.exit_code == 2
    assert said in shown.stderr


def test_on_a_terminal_it_asks_for_what_is_missing(
    cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal:
        is_terminal = True

        def print(self, *parts: object) -> None:
            printed.extend(parts)

    printed: list[object] = []
    monkeypatch.setattr(suggest, "on_a_terminal", lambda: True)
    monkeypatch.setattr(suggest, "out", Terminal())
    shown = cli(
        "models", "suggest", "--licence", "commercial", "--memory", "any", stdin="en\n2000\n\n\n"
    )
    assert shown.exit_code == 0, shown.output
    asked = [name for name, question in suggest.QUESTIONS.items() if question in shown.stdout]
    assert asked == ["languages", "length", "tokens", "budget"]
    assert str(printed[0]) == (
        "Asked for: en; commercial use; texts of 2,000 tokens; dense. Unconstrained: memory, budget."
    )
