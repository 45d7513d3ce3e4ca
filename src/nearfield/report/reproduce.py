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

    Of a run that did not record its arguments, data and guards go by their names.
    """
    about, data = facts.about, facts.data
    words = [
        "nearfield",
        "tune",
        str(data.get("model", about.model)),
        "--on",
        str(data.get("source") or about.source or about.collection),
    ]
    for guard in data.get("guard_sources") or about.guards or data.get("guards") or ():
        words += ["--guard", str(guard)]
    words += ["--to", about.to] if about.to else []
    default = json.loads(json.dumps(dataclasses.asdict(default_recipe(about.kind or "dense"))))
    return shlex.join(
        [
            *words,
            *(
                ("--recipe", "recipe.toml")
                if facts.recipe and dict(facts.recipe) != default
                else ()
            ),
        ]
    )


def toml(recipe: Mapping[str, Any], *, table: str = "") -> str:
    """The recipe as the TOML file that `--recipe` reads; null values, which TOML has not, are left
    out.

    `table` is the dotted name of the table that these values are in.
    """
    lines = [
        f"{_key(name)} = {_value(value)}"
        for name, value in recipe.items()
        if value is not None and not isinstance(value, Mapping)
    ]
    for name, value in recipe.items():
        if isinstance(value, Mapping):
            inner = f"{table}.{_key(name)}".removeprefix(".")
            lines.append(f"\n[{inner}]\n{toml(value, table=inner)}")
    return "\n".join(lines).strip("\n")


def flat(facts: Mapping[str, Any]) -> dict[str, str]:
    """Nested facts as lines: `guards pydoc-topics` for {"guards": {"pydoc-topics": ...}}, a list's
    facts by their numbers; empty values are left out.
    """
    lines: dict[str, str] = {}
    for name, value in facts.items():
        if isinstance(value, Mapping):
            lines |= {f"{name} {inner}": text for inner, text in flat(value).items()}
        elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            lines |= flat({f"{name} {number}": item for number, item in enumerate(value, start=1)})
        elif value not in (None, "", []):
            lines[name] = _words(value)
    return lines


def _words(value: Any) -> str:
    """A value for a reader: yes and no, and lists with commas between."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_words, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return (
            "{ "
            + ", ".join(
                f"{_key(name)} = {_value(item)}" for name, item in value.items() if item is not None
            )
            + " }"
        )
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return _text(value)


def _text(value: Any) -> str:
    """A plain value as JSON writes it, which TOML reads, but for the one control character that
    JSON leaves as it is.
    """
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
