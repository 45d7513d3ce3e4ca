"""Suggested models for the terminal: what was asked, who is in and why, who is out and why."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from nearfield.catalog.needs import Needs, dollars
from nearfield.catalog.suggest import Candidate, Suggestions
from nearfield.report.catalog import model_table
from nearfield.report.table import Column
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
        Column("mean", tuple(score(item.mean) for item in shown), 9),
        Column(
            "against the first", tuple(_against(item, shown[0]) for item in shown), 8, right=False
        ),
    )
    yield model_table([item.card for item in shown], columns=columns)
    yield Text()
    for item in shown:
        reasons = "; ".join(item.fit.for_it) or "no need of yours rules it out"
        but = f"; but {'; '.join(item.fit.but)}" if item.fit.but else ""
        yield Text(f"  {item.card.name}: {reasons}{but}")
    if further:
        yield Text(f"\nAlso meet it: {', '.join(further)}.")
    if not all(item.card.local for item in shown):
        yield Text("\nA model behind an API wants its vendor's key; --local leaves them out.")
    yield from _out(found)
    yield Text(f"\n{next_step(found, most=most)}", style="bold")


def asked(needs: Needs) -> str:
    """The needs in one line, and which were left open."""
    tokens = "" if needs.tokens is None else f"{count(needs.tokens)} tokens"
    budget = tokens
    if needs.budget is not None:
        budget = f"{dollars(needs.budget)}{tokens and f' for {tokens}'}"
    licence = f"licence {needs.licence}" if needs.licence else ""
    facts = {
        "languages": ", ".join(needs.languages),
        "licence": licence.replace("licence commercial", "commercial use"),
        "memory": "" if needs.memory is None else f"weights of at most {size(needs.memory)}",
        "length": "" if needs.length is None else f"texts of {count(needs.length)} tokens",
        "budget": budget,
    }
    said = [*filter(None, facts.values()), ", ".join(needs.kinds), _PLACES[needs.local]]
    free = [name for name, fact in facts.items() if not fact]
    unconstrained = f" Unconstrained: {', '.join(free)}." if free else ""
    return f"Asked for: {'; '.join(filter(None, said))}.{unconstrained}"


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
    side = "ahead" if first.mean is not None and item.mean > first.mean else "behind"
    return f"{'level' if item.level else side}, {p_value(item.p)}"


def _out(found: Suggestions) -> Iterator[RenderableType]:
    """Every model that is out, once, under the first need that it fails; + marks that it fails
    others too.
    """
    groups: dict[str, list[str]] = {}
    for name, fit in found.out.items():
        first, *others = fit.against
        groups.setdefault(first, []).append(f"{name}+" if others else name)
    more = any(name.endswith("+") for names in groups.values() for name in names)
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
