from __future__ import annotations

import dataclasses
import json
import tomllib
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from nearfield.report.facts import About, Origin, RunFacts
from nearfield.report.reproduce import command, flat, toml
from nearfield.train.recipe import Recipe

plain = (
    some.none()
    | some.booleans()
    | some.integers(-(2**53), 2**53)
    | some.floats(allow_nan=False, allow_infinity=False)
    | some.text()
)
values = some.recursive(
    plain, lambda inner: some.lists(inner.filter(lambda one: one is not None), max_size=3)
)
recipes = some.recursive(
    some.dictionaries(some.text(max_size=5), values, max_size=4),
    lambda inner: some.dictionaries(some.text(max_size=5), values | inner, max_size=3),
    max_leaves=6,
)


def without_null(value: Any) -> Any:
    return (
        {name: without_null(item) for name, item in value.items() if item is not None}
        if isinstance(value, dict)
        else value
    )


@given(recipes)
def test_a_recipe_survives_toml(recipe: dict[str, Any]) -> None:
    assert tomllib.loads(toml(recipe)) == without_null(recipe)


def test_nested_facts_become_lines() -> None:
    facts = {
        "model": "minilm",
        "guards": {"a": "12", "b": "34"},
        "notes": [],
        "threads": 2,
        "empty": "",
    }
    assert flat(facts) == {"model": "minilm", "guards a": "12", "guards b": "34", "threads": "2"}


def test_lists_and_flags_are_words() -> None:
    facts = {
        "words": ["a", "b"],
        "fused": True,
        "parts": [{"rows": 1}, {"rows": 2}],
        "widths": [1, 2.5],
    }
    assert flat(facts) == {
        "words": "a, b",
        "fused": "yes",
        "parts 1 rows": "1",
        "parts 2 rows": "2",
        "widths": "1, 2.5",
    }


def test_the_command_is_quoted_for_a_shell() -> None:
    about = About("minilm", "my data", guards=("g",))
    facts = RunFacts(Path("run"), about, Origin(data={"model": "models/a b"}))
    assert command(facts) == "nearfield tune 'models/a b' --on 'my data' --guard g"
    other = RunFacts(Path("run"), About("minilm", "stdlib"), Origin(recipe={"seed": 1}))
    assert command(other).endswith("--on stdlib --recipe recipe.toml")


def test_the_command_gives_its_arguments_again() -> None:
    default = json.loads(json.dumps(dataclasses.asdict(Recipe())))
    about = About("m", "qa", source="data/my qa.csv", guards=("g.csv",), to="runs/a")
    origin = Origin(recipe=default, data={"model": "m", "guards": {"g": "1"}})
    facts = RunFacts(Path("run"), about, origin)
    assert command(facts) == "nearfield tune m --on 'data/my qa.csv' --guard g.csv --to runs/a"
