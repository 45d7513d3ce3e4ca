"""Role prompts that are missing, or that would be put before texts that carry them already."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from nearfield.data.doctor.check import BOTH, Found, check
from nearfield.data.doctor.subject import ModelFacts, Subject, sample
from nearfield.types.finding import WARNING
from nearfield.types.role import DOCUMENT, QUERY, Role

_SAMPLE = 1000  # texts of each side that are looked at
_MANY = 0.5  # share of texts with a prompt from which on it was put there on purpose
_SHORT = 5  # a shorter prompt is too likely to be the text's own beginning


@dataclass(frozen=True)
class Family:
    """Models trained with role prompts: `names` matches their lower-cased names; a role with "" has
    no prompt.
    """

    title: str
    names: re.Pattern[str]
    query: str
    document: str

    def prompt(self, role: Role) -> str:
        """The prompt of query or document."""
        return self.query if role == QUERY else self.document


@cache
def families() -> tuple[Family, ...]:
    """The families in prompts.toml."""
    file = files("nearfield.data.doctor").joinpath("prompts.toml")
    found = []
    for row in tomllib.loads(file.read_text(encoding="utf-8"))["family"]:
        names = re.compile(row["names"])
        found.append(Family(row["title"], names, row.get("query", ""), row.get("document", "")))
    return tuple(found)


def _families_of(model: ModelFacts) -> list[Family]:
    """The families whose models are called so, the likeliest first."""
    name = model.contract.name.lower()
    return [family for family in families() if family.names.search(name)]


@check(BOTH)
def missing_prompt(subject: Subject) -> Found | None:
    """The model's family was trained with prompts, its contract has none for a role, and the texts
    do not carry them either.
    """
    model = subject.model
    if model is None:
        return None
    known = _families_of(model)
    if not known:
        return None
    family = known[0]
    for role, texts in ((QUERY, subject.queries), (DOCUMENT, subject.documents)):
        prompt = family.prompt(role)
        if not prompt or not len(texts) or model.contract.prompt(role).strip():
            continue
        if len(_carrying(texts, prompt)) >= _MANY * min(_SAMPLE, len(texts)):
            continue
        example = (
            f"{family.title} models put {prompt!r} before each {role}; the contract of "
            f"{model.contract.name} has no {role} prompt"
        )
        fix = (
            f"state the {role} prompt in the model's config_sentence_transformers.json or "
            "nearfield.json"
        )
        return Found(WARNING, len(texts), len(texts), example, fix)
    return None


@check(BOTH)
def carried_prompt(subject: Subject) -> Found | None:
    """Texts that begin with a role prompt: the model's own, which they would get twice, or another
    family's, which misleads it.
    """
    model = subject.model
    for role, texts, show in (
        (QUERY, subject.queries, subject.show_query),
        (DOCUMENT, subject.documents, subject.show_document),
    ):
        own = "" if model is None else model.contract.prompt(role)
        asked = min(_SAMPLE, len(texts))
        others = [family.prompt(role) for family in families()]
        for prompt in dict.fromkeys([own, *others]):
            if not asked or len(prompt.strip()) < _SHORT:
                continue
            rows = _carrying(texts, prompt)
            if len(rows) < _MANY * asked:
                continue
            # texts may carry what their model wants where its contract has no prompt
            if model is not None and not own and _is_wanted(model, role, prompt):
                continue
            why = "it is a prompt, not text"
            if prompt == own:
                why = "the model puts it there itself, so they would have it twice"
            example = f"{show(rows[0])} begins with {prompt!r}; {why}"
            fix = f"cut {prompt!r} off each {role}; the model's contract says which prompt it gets"
            return Found(WARNING, len(rows), asked, example, fix)
    return None


def _is_wanted(model: ModelFacts, role: Role, prompt: str) -> bool:
    """Whether the prompt is that of the model's family for the role."""
    return prompt in [family.prompt(role) for family in _families_of(model)]


def _carrying(texts: Sequence[str], prompt: str) -> list[int]:
    """Positions, on an even sample of 1,000, of the texts that begin with `prompt`, blanks at its
    end aside.
    """
    start = prompt.rstrip()
    rows = sample(len(texts), _SAMPLE).tolist()
    return [row for row in rows if texts[row].startswith(start)]
