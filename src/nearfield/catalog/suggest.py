"""Which known models to try first, from needs and published scores."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files

from nearfield.catalog.card import Card
from nearfield.catalog.needs import Fit, Needs, fit
from nearfield.statistics.holm import holm
from nearfield.statistics.pairwise import ALPHA
from nearfield.statistics.randomisation import paired_test

# share of a set's tasks below which a model is not ranked: the tasks that all have in common would
# be too few
_ENOUGH = 0.8


@dataclass(frozen=True)
class TaskSet:
    """Published retrieval tasks on which models for `languages` are compared."""

    name: str
    languages: tuple[str, ...]
    tasks: tuple[str, ...]


@dataclass(frozen=True)
class Candidate:
    """A model that meets the needs.

    `mean` is that of its published scores on the tasks in common, None where too few are published
    (`have` counts those that are); `p` that its difference from the first is chance, corrected by
    Holm for all comparisons with the first.
    """

    card: Card
    fit: Fit
    have: int
    mean: float | None = None
    p: float | None = None

    @property
    def level(self) -> bool:
        """Whether the tasks do not tell it from the first."""
        return self.p is not None and self.p >= ALPHA


@dataclass(frozen=True)
class Suggestions:
    """The candidates, those that run here first, then the best first and those without comparable
    scores last, and why every other model is out.
    """

    needs: Needs
    tasks: TaskSet
    common: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    out: dict[str, Fit]


def task_sets() -> tuple[TaskSet, ...]:
    """The sets of task_sets.toml, in their order."""
    text = files("nearfield.catalog").joinpath("task_sets.toml").read_text(encoding="utf-8")
    found = []
    for row in tomllib.loads(text)["set"]:
        found.append(TaskSet(row["name"], tuple(row["languages"]), tuple(row["tasks"])))
    return tuple(found)


def tasks_for(languages: Sequence[str]) -> TaskSet:
    """The first set for all of `languages`; where none are asked for, the English one, on which
    most models are published.
    """
    wanted = set(languages or ("en",))
    for tasks in task_sets():
        if "*" in tasks.languages or wanted <= set(tasks.languages):
            return tasks
    raise AssertionError("the last set is for any language")


def suggest(known: Iterable[Card], needs: Needs) -> Suggestions:
    """Those of the `known` models that meet `needs`, by the mean of their published scores on the
    tasks that they have in common; those that run here come before those behind an API.

    Scores are comparable only on equal tasks: a model with fewer than 80 % of the set's tasks is
    not ranked, and the mean of the others is over the tasks that all of them have. The paired
    randomisation test over those tasks says which are told from the first.
    """
    tasks = tasks_for(needs.languages)
    fitting: list[Candidate] = []
    out: dict[str, Fit] = {}
    for card in known:
        found = fit(card, needs)
        if found.against:
            out[card.name] = found
        else:
            have = sum(task in card.published for task in tasks.tasks)
            fitting.append(Candidate(card, found, have))
    ranked = [item for item in fitting if item.have >= _ENOUGH * len(tasks.tasks)]
    # a mean over other tasks would be another figure, so that only tasks of all count
    shared = set(tasks.tasks if ranked else ())
    for item in ranked:
        shared &= set(item.card.published)
    common = tuple(task for task in tasks.tasks if task in shared)
    rest = [item for item in fitting if item not in ranked or not common]
    rest.sort(key=lambda item: (-item.have, item.card.name))
    candidates = _ordered(ranked, common) + rest
    candidates.sort(key=_behind_an_api)  # stable: within both the order stays
    return Suggestions(needs, tasks, common, tuple(candidates), out)


def _behind_an_api(item: Candidate) -> bool:
    return not item.card.local


def _ordered(ranked: Sequence[Candidate], common: Sequence[str]) -> list[Candidate]:
    """The ranked candidates with their means and p, those that run here first, then best first;
    equal means in the order of their names.
    """
    if not common:
        return []
    scores = {}
    best = []
    for item in ranked:
        own = [item.card.published[task] for task in common]
        scores[item.card.name] = own
        best.append(replace(item, mean=sum(own) / len(own)))
    best.sort(key=lambda item: (_behind_an_api(item), -(item.mean or 0.0), item.card.name))
    first = scores[best[0].card.name]
    chance = [paired_test(first, scores[item.card.name]) for item in best[1:]]
    others = zip(best[1:], holm(chance).tolist(), strict=True)
    return [best[0], *(replace(item, p=p) for item, p in others)]
