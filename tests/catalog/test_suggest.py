from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from nearfield.catalog.card import Api, Card, Weights, cards
from nearfield.catalog.needs import Needs, dollars, fit, price, weights_bytes
from nearfield.catalog.suggest import suggest, task_sets, tasks_for
from nearfield.errors import InputError
from nearfield.report.suggestions import suggestions_page
from nearfield.types.contract import Contract, Terms

ENGLISH = tasks_for(["en"]).tasks


def local(
    name: str = "m",
    *,
    scores: dict[str, float] | None = None,
    parameters: int | None = 10**8,
    **terms: object,
) -> Card:
    facts = Terms(**({"languages": ("en", "de"), "licence": "MIT"} | terms))  # type: ignore[arg-type]
    return Card(
        name,
        "A model",
        Contract(name, 8, 512, terms=facts),
        Weights(f"a/{name}"),
        parameters=parameters,
        published=scores or {},
    )


def remote(name: str = "r", **terms: object) -> Card:
    facts = Terms(**({"languages": ("en", "*"), "price_per_million_tokens": 0.1} | terms))  # type: ignore[arg-type]
    return Card(
        name,
        "A model",
        Contract(name, 8, 8192, terms=facts),
        api=Api("Somebody", name, "2026-01-01"),
    )


@pytest.mark.parametrize(
    ("card", "needs", "against"),
    [
        (local(), Needs(), {}),
        (local(), Needs(languages=("en", "de")), {}),
        (local(), Needs(languages=("en", "fr", "sw")), {"languages": "does not know fr, sw"}),
        (remote(), Needs(languages=("fr",)), {}),
        (local(languages=()), Needs(languages=("fr",)), {}),
        (local(), Needs(licence="commercial"), {}),
        (
            local(licence="CC-BY-NC-4.0"),
            Needs(licence="commercial"),
            {"licence": "CC-BY-NC-4.0 forbids commercial use"},
        ),
        (local(licence="Own"), Needs(licence="commercial"), {"licence": "its licence is Own"}),
        (local(licence=None), Needs(licence="commercial"), {"licence": "its licence is not known"}),
        (local(), Needs(licence="mit"), {}),
        (local(), Needs(licence="Apache-2.0"), {"licence": "its licence is MIT"}),
        (remote(), Needs(licence="commercial"), {}),
        (local(), Needs(memory=400_000_000), {}),
        (local(), Needs(memory=399_999_999), {"memory": "weights take 400 MB in float32"}),
        (remote(), Needs(memory=1), {}),
        (local(parameters=None), Needs(memory=1), {}),
        (local(), Needs(length=512), {}),
        (local(), Needs(length=513), {"length": "reads 512 tokens"}),
        (remote(), Needs(budget=5.0, tokens=50_000_000), {}),
        (
            remote(),
            Needs(budget=4.99, tokens=50_000_000),
            {"budget": "50,000,000 tokens cost $5.00"},
        ),
        (remote(), Needs(budget=0.0), {}),
        (local(), Needs(budget=0.0, tokens=10**12), {}),
        (local(), Needs(kinds=("sparse",)), {"kinds": "its embeddings are of the kind dense"}),
        (local(), Needs(local=False), {"local": "runs locally"}),
        (remote(), Needs(local=True), {"local": "runs behind Somebody's API"}),
    ],
)
def test_each_need_on_its_own(card: Card, needs: Needs, against: dict[str, str]) -> None:
    assert fit(card, needs).against == against


def test_what_is_said_for_a_model_and_what_gives_pause() -> None:
    needs = Needs(("de",), "commercial", 10**9, 100, 5.0, 10**6)
    assert fit(local(), needs).for_it == (
        "knows de",
        "MIT allows commercial use",
        "weights take 400 MB in float32",
        "reads 512 tokens",
        "no per-token cost",
    )
    assert fit(remote(), needs).but == (
        "its makers claim more languages than they list; de is not listed",
        "Somebody's terms of service apply",
    )
    assert "$5.00 buy 50,000,000 tokens" in fit(remote(), Needs(budget=5.0)).for_it


def test_every_failed_need_is_told() -> None:
    needs = Needs(("fr",), "commercial", 1, 1000, kinds=("sparse",), local=False)
    assert list(fit(local(licence="Own"), needs).against) == [
        "kinds",
        "local",
        "languages",
        "licence",
        "memory",
        "length",
    ]


def test_prices_and_sizes() -> None:
    assert price(remote(), 50_000_000) == pytest.approx(5.0)
    assert price(local(), 50_000_000) is None
    assert (weights_bytes(local()), weights_bytes(remote())) == (400_000_000, None)
    assert [dollars(amount) for amount in (0.0, 0.065, 0.13, 1234.5)] == [
        "$0.00",
        "$0.065",
        "$0.13",
        "$1,234.50",
    ]


def test_what_is_not_known_does_not_pass_a_filter() -> None:
    assert not fit(local(parameters=None), Needs(parameters=10**9)).certain
    assert not fit(remote(price_per_million_tokens=None), Needs(price=1.0)).certain
    assert not fit(remote(), Needs(licence="commercial")).certain
    everything = Needs(("en", "de"), "MIT", kinds=("dense",), local=True, price=0.0, dim=8)
    assert fit(local(), replace(everything, parameters=10**8)).certain
    assert not fit(local(), replace(everything, parameters=10**8 - 1)).certain
    assert not fit(local(), replace(everything, dim=9)).certain
    assert not fit(remote(), Needs(price=0.09)).certain
    assert fit(remote(), Needs(price=0.1)).certain
    assert not fit(local(), Needs(languages=("en", "fr"))).certain
    with pytest.raises(InputError, match=r"there is no kind 'spars'.*Did you mean 'sparse'"):
        Needs(kinds=("spars",))


def test_a_language_or_licence_that_nothing_has_is_an_error() -> None:
    for language in ("english", "EN", "", "eng", "en-US", "zz", "*"):
        with pytest.raises(
            InputError,
            match=r"lists a language .*; wanted an ISO 639 code of two "
            r"letters such as en",
        ):
            Needs(languages=(language,))
    with pytest.raises(
        InputError,
        match=r"has a licence 'comercial'; wanted one of commercial, "
        r".*mit.*Did you mean 'commercial'",
    ):
        Needs(licence="comercial")


def test_the_set_of_tasks_follows_the_languages() -> None:
    assert [
        tasks_for(languages).name
        for languages in ([], ["en"], ["code"], ["code", "en"], ["de"], ["en", "de"])
    ] == [task_sets()[at].name for at in (0, 0, 1, 1, 2, 2)]


def noisy(name: str, level: float, *, without: tuple[str, ...] = ()) -> Card:
    scores = dict(zip(ENGLISH, np.linspace(level - 0.1, level + 0.1, len(ENGLISH)), strict=True))
    return local(
        name, scores={task: float(score) for task, score in scores.items() if task not in without}
    )


def test_the_order_is_that_of_the_mean_over_the_tasks_in_common() -> None:
    missing = ENGLISH[0]
    found = suggest(
        [
            noisy("b", 0.5),
            noisy("a", 0.6, without=(missing,)),
            noisy("few", 0.9, without=ENGLISH[:5]),
            local("none"),
        ],
        Needs(("en",)),
    )
    assert [item.card.name for item in found.candidates] == ["a", "b", "few", "none"]
    assert found.common == ENGLISH[1:]
    for item in found.candidates[:2]:
        assert item.mean == pytest.approx(
            np.mean([item.card.published[task] for task in ENGLISH[1:]])
        )
    assert [item.mean for item in found.candidates[2:]] == [None, None]
    assert [item.have for item in found.candidates] == [9, 10, 5, 0]


def test_level_with_the_first_is_what_the_tasks_do_not_tell_apart() -> None:
    first, ahead = noisy("first", 0.6), noisy("behind", 0.5)
    mixed = {
        task: score + (0.01 if at % 2 else -0.02)
        for at, (task, score) in enumerate(first.published.items())
    }
    found = suggest([first, ahead, replace(noisy("level", 0.6), published=mixed)], Needs(("en",)))
    assert [(item.card.name, item.level) for item in found.candidates] == [
        ("first", False),
        ("level", True),
        ("behind", False),
    ]
    behind = found.candidates[2]
    differences = np.array(
        [first.published[task] - behind.card.published[task] for task in ENGLISH]
    )
    flips = np.array(list(product((-1, 1), repeat=len(ENGLISH))))
    exact = (np.abs(flips @ differences) >= abs(differences.sum()) - 1e-9).mean()
    assert behind.p == pytest.approx(2 * exact)  # Holm: the smaller of two p values counts twice


def test_what_runs_here_comes_before_what_an_api_serves() -> None:
    tasks = tasks_for(["en"]).tasks
    served = replace(remote("api"), published=dict.fromkeys(tasks, 0.9))
    cards = [
        served,
        local("here", scores=dict.fromkeys(tasks, 0.5)),
        remote("unknown"),
        local("new"),
    ]
    found = suggest(cards, Needs(languages=("en",)))
    assert [item.card.name for item in found.candidates] == ["here", "new", "api", "unknown"]
    text = " ".join(str(part) for part in suggestions_page(found, most=4))
    assert "here: " in text


def test_a_shortlist_of_nobody_and_of_one() -> None:
    assert suggest([], Needs()).candidates == ()
    alone = suggest([noisy("a", 0.5)], Needs(("en",)))
    assert (alone.candidates[0].p, alone.candidates[0].level) == (None, False)
    out = suggest([local(licence="Own")], Needs(licence="commercial"))
    assert out.candidates == ()
    assert out.out["m"].against == {"licence": "its licence is Own"}


def test_the_catalogs_tasks_are_those_of_the_sets() -> None:
    published = {task for card in cards().values() for task in card.published}
    for tasks in task_sets():
        assert set(tasks.tasks) <= published
        whole = [name for name, card in cards().items() if set(tasks.tasks) <= set(card.published)]
        assert {"minilm", "bge-small", "qwen3-embedding-0.6b"} <= set(whole), tasks.name
