"""Suggested models for the terminal: what was asked, who is in and why, who is out and why."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from nearfield.catalog.needs import Needs, dollars
from nearfield.catalog.suggest import Candidate, Suggestions
from nearfield.report.catalog import model_table
from nearfield.report.table import column_of
from nearfield.types.numbers import count, p_value, plural, score, size

_PLACES = {True: "local", False: "behind an API", None: ""}


def suggestions_page(found: Suggestions, *, most: int) -> Iterator[RenderableType]:
    """The first `most` candidates with reasons, the names of the others, why the rest is out, and
    what to do next.
    """
    yield Text(asked(found.needs))
    shown = found.candidates[:most]
    further = [item.card.name for item in found.candidates[most:]]
    if not shown:
        yield Text(
            "No model of the catalog meets all of this. Nearest, with the one need that each "
            "fails:",
            style="bold yellow",
        )
        yield from _nearest(found)
        return
    yield Text(f"{basis(found)}\n", style="dim")
    columns = (
        column_of(shown, "mean", lambda item: score(item.mean), 9),
        column_of(
            shown, "against the first", lambda item: _against(item, shown[0]), 8, right=False
        ),
    )
    yield model_table([item.card for item in shown], columns=columns)
    yield Text()
    for item in shown:
        reasons = "; ".join(item.fit.for_it) or "no need of yours rules it out"
        if item.fit.but:
            reasons += f"; but {'; '.join(item.fit.but)}"
        yield Text(f"  {item.card.name}: {reasons}")
    if further:
        yield Text(f"\nAlso meet it: {', '.join(further)}.")
    if not all(item.card.local for item in shown):
        yield Text("\nA model behind an API wants its vendor's key; --local leaves them out.")
    yield from _out(found)
    yield Text(f"\n{next_step(found, most=most)}", style="bold")


def asked(needs: Needs) -> str:
    """The needs in one line, and which were left open."""
    facts = dict.fromkeys(("languages", "licence", "memory", "length", "budget"), "")
    facts["languages"] = ", ".join(needs.languages)
    if needs.licence == "commercial":
        facts["licence"] = "commercial use"
    elif needs.licence:
        facts["licence"] = f"licence {needs.licence}"
    if needs.memory is not None:
        facts["memory"] = f"weights of at most {size(needs.memory)}"
    if needs.length is not None:
        facts["length"] = f"texts of {count(needs.length)} tokens"
    budget = []
    if needs.budget is not None:
        budget.append(dollars(needs.budget))
    if needs.tokens is not None:
        budget.append(f"{count(needs.tokens)} tokens")
    facts["budget"] = " for ".join(budget)
    wanted = [*facts.values(), ", ".join(needs.kinds), _PLACES[needs.local]]
    sentence = f"Asked for: {'; '.join(filter(None, wanted))}."
    unconstrained = [name for name, fact in facts.items() if not fact]
    if unconstrained:
        sentence += f" Unconstrained: {', '.join(unconstrained)}."
    return sentence


def basis(found: Suggestions) -> str:
    """What the order rests on, in words."""
    total = len(found.tasks.tasks)
    common = len(found.common)
    if not common:
        return f"None of them is published on enough of {found.tasks.name} to be ranked."
    number = f"the {total} tasks" if common == total else f"those {common} of the {total} tasks"
    name = found.tasks.name.removeprefix("the retrieval tasks of ")
    return (
        f"Ranked by the mean main score, as published, on {number} of {name} retrieval that all of "
        "them have. Level with the first: not told apart from it by a paired randomisation test "
        "over the tasks (Holm-corrected, 5 %)."
    )


def next_step(found: Suggestions, *, most: int) -> str:
    """What settles the choice."""
    local = [item.card.name for item in found.candidates[:most] if item.card.local][:3]
    advice = (
        "Published scores are on public tasks, some of which models are trained on. Measure on "
        "your own data before you choose"
    )
    if not local:
        return f"{advice}."
    return f"{advice}:\n  nearfield evaluate {' '.join(local)} bm25 --on DATA"


def _against(item: Candidate, first: Candidate) -> str:
    if item.mean is None:
        return f"{plural(item.have, 'task')} published"
    if item.p is None:
        return "first"
    if item.level:
        side = "level"
    elif first.mean is not None and item.mean > first.mean:
        side = "ahead"
    else:
        side = "behind"
    return f"{side}, {p_value(item.p)}"


def _out(found: Suggestions) -> Iterator[RenderableType]:
    """Every model that is out, once, under the first need that it fails; + marks that it fails
    others too.
    """
    groups: dict[str, list[str]] = {}
    for name, fit in found.out.items():
        first, *others = fit.against
        groups.setdefault(first, []).append(f"{name}+" if others else name)
    more = any(len(fit.against) > 1 for fit in found.out.values())
    plus = "; + fails another need too, --json tells which" if more else ""
    yield Text(f"\nOut ({len(found.out)}){plus}:", style="bold")
    for need, names in groups.items():
        yield Text(f"  {need} ({len(names)}): {', '.join(names)}")


def _nearest(found: Suggestions) -> Iterator[RenderableType]:
    single = {name: fit.against for name, fit in found.out.items() if len(fit.against) == 1}
    for name, against in single.items():
        yield Text(f"  {name}: {', '.join(against.values())}")
    if not single:
        yield Text("  none: each fails two needs or more; --json tells which")
