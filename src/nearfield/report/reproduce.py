"""How to make a run again: its command, its recipe as a file, its fingerprints as plain lines."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from nearfield.report.facts import RunFacts
from nearfield.train.recipe import default_recipe


def command(facts: RunFacts) -> str:
    """The command line that makes this run again, with its recipe in recipe.toml where that is not
    the default one of the kind.
    """
    about = facts.about
    model = str(facts.origin.data.get("model", about.model))
    # the model as it was named then, which may be a spec or a folder
    words = ["nearfield", "tune", model, "--on", about.source or about.collection]
    for guard in about.guards:
        words += ["--guard", guard]
    if about.to:
        words += ["--to", about.to]
    recipe = facts.origin.recipe
    # as JSON gives it back: a tuple of the recipe is a list in the file
    default = json.loads(json.dumps(dataclasses.asdict(default_recipe(about.kind))))
    if recipe and recipe != default:
        words += ["--recipe", "recipe.toml"]
    return shlex.join(words)


def toml(recipe: Mapping[str, Any], *, table: str = "") -> str:
    """The recipe as the TOML file that `--recipe` reads; null values, which TOML has not, are left
    out.

    `table` is the dotted name of the table that these values are in.
    """
    lines = []
    tables = []  # after all plain values, which would otherwise belong to the table above them
    for name, value in recipe.items():
        if isinstance(value, Mapping):
            inner = f"{table}.{_key(name)}".removeprefix(".")
            tables.append(f"\n[{inner}]\n{toml(value, table=inner)}")
        elif value is not None:
            lines.append(f"{_key(name)} = {_value(value)}")
    return "\n".join(lines + tables).strip("\n")


def flat(facts: Mapping[str, Any]) -> dict[str, str]:
    """Nested facts as lines: `guards pydoc-topics` for {"guards": {"pydoc-topics": ...}}, a list's
    facts by their numbers; empty values are left out.
    """
    lines: dict[str, str] = {}
    for name, value in facts.items():
        if isinstance(value, Mapping):
            for inner, text in flat(value).items():
                lines[f"{name} {inner}"] = text
        elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            numbered = {f"{name} {number}": item for number, item in enumerate(value, start=1)}
            lines |= flat(numbered)
        elif value not in (None, "", []):
            lines[name] = _words(value)
    return lines


def _words(value: Any) -> str:
    """A value for a reader: yes and no, and lists with commas between."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_words, value))
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    """A TOML key, in quotes where it is not one of the bare keys."""
    if re.fullmatch(r"[A-Za-z0-9_-]+", name):
        return name
    return _text(name)


def _value(value: Any) -> str:
    """A value on one line; a mapping, which is inside a list, as an inline table."""
    if isinstance(value, Mapping):
        pairs = [
            f"{_key(name)} = {_value(item)}" for name, item in value.items() if item is not None
        ]
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return _text(value)


def _text(value: Any) -> str:
    """A plain value as JSON writes it, which TOML reads, but for the one control character that
    JSON leaves as it is.
    """
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
