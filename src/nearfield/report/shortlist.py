"""A shortlist of models for the terminal: what was asked, who is in and why, who is out and why."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nearfield.evaluate.needs import COMMERCIAL, Needs, dollars, price, weights_bytes
from nearfield.evaluate.shortlist import Candidate, Shortlist
from nearfield.report.table import Column, Fitted
from nearfield.types.numbers import UNKNOWN, count, p_value, plural, score, size

_CAUSES = {
    "kinds": "another kind",
    "place": "another place",
    "languages": "lack a language",
    "licence": "licence",
    "memory": "too large",
    "length": "read too little",
    "budget": "too dear",
}


def asked(needs: Needs) -> str:
    """The needs in one line, and what was left open."""
    for_tokens = f" for {count(needs.tokens)} tokens" if needs.tokens is not None else ""
    licence = (
        "commercial use"
        if (needs.licence or "").lower() == COMMERCIAL
        else f"licence {needs.licence}"
    )
    facts = {
        "languages": ", ".join(needs.languages) if needs.languages else None,
        "licence": licence if needs.licence else None,
        "memory": f"weights of at most {size(needs.memory)}" if needs.memory is not None else None,
        "length": f"texts of {count(needs.length)} tokens" if needs.length is not None else None,
        "budget": f"{dollars(needs.budget)}{for_tokens}"
        if needs.budget is not None
        else (for_tokens.strip() or None),
        "kind": ", ".join(needs.kinds) if needs.kinds else None,
        "place": needs.place if needs.place != "any" else None,
    }
    said = "; ".join(value for value in facts.values() if value)
    open_ones = [
        key for key in ("languages", "licence", "memory", "length", "budget") if facts[key] is None
    ]
    return f"Asked for: {said}." + (f" No matter: {', '.join(open_ones)}." if open_ones else "")


def basis(found: Shortlist) -> str:
    """What the order rests on, in words."""
    ranked = [item for item in found.candidates if item.mean is not None]
    if not ranked:
        return f"None of them is published on enough of {found.tasks.name} to be ranked."
    of = "" if len(found.common) == len(found.tasks.tasks) else f"{len(found.common)} of "
    number = (
        f"the {len(found.tasks.tasks)} tasks"
        if not of
        else f"those {of}the {len(found.tasks.tasks)} tasks"
    )
    return (
        f"Ranked by the mean main score, as published, on {number} of "
        f"{found.tasks.name.removeprefix('the retrieval tasks of ')} "
        "retrieval that all of them have. Level with the first: not told from it by a paired "
        "randomisation test over the tasks "
        f"(Holm-corrected, 5 %)."
    )


def shortlist_page(found: Shortlist, *, most: int) -> Iterator[RenderableType]:
    """The first `most` candidates with reasons, the names of the others, why the rest is out, and
    what to do next.
    """
    yield Text(asked(found.needs))
    shown, further = found.candidates[:most], found.candidates[most:]
    if not shown:
        yield Text(
            "No model of the catalog meets all of this. Nearest, with the one need that "
            "each fails:",
            style="bold yellow",
        )
        yield _nearest(found)
        return
    yield Text(basis(found), style="dim")
    yield Text()
    yield _table(shown, found.needs)
    yield Text()
    for item in shown:
        yield _reasons(item)
    if further:
        yield Text(f"\nMeets it too: {', '.join(item.card.name for item in further)}.")
    if not all(item.card.local for item in shown):
        yield Text("\nnearfield does not run models behind an API yet; --local leaves them out.")
    yield _out(found)
    yield Text(f"\n{next_step(found, most=most)}", style="bold")


def next_step(found: Shortlist, *, most: int) -> str:
    """What settles the choice."""
    local = [item.card.name for item in found.candidates[:most] if item.card.local][:3]
    if not local:
        return (
            "Published scores are on public tasks, some of which models are trained on: "
            "measure on your own data before you choose."
        )
    return (
        "Published scores are on public tasks, some of which models are trained on. Settle it on "
        "your own data:\n"
        f"  nearfield evaluate {' '.join(local)} bm25 --on DATA"
    )


def _table(shown: tuple[Candidate, ...], needs: Needs) -> RenderableType:
    def column(title: str, cells: list[str], keep: int, *, right: bool = True) -> Column:
        return Column(title, tuple(cells), keep, right)

    cards = [item.card for item in shown]
    taken = [weights_bytes(card) for card in cards]
    million = [price(card, needs.tokens or 1_000_000) for card in cards]
    columns = [
        column("model", [card.name for card in cards], 9, right=False),
        column("mean", [score(item.mean) for item in shown], 9),
        column("against the first", [_against(item) for item in shown], 7, right=False),
        column("weights", [UNKNOWN if each is None else size(each) for each in taken], 6),
        column("reads", [count(card.contract.max_tokens) for card in cards], 5),
        column("dims", [count(card.contract.dim) for card in cards], 4),
        column(
            "cost" if needs.tokens else "$/M tokens",
            [UNKNOWN if each is None else dollars(each) for each in million],
            6,
        ),
        column(
            "licence", [card.contract.terms.licence or UNKNOWN for card in cards], 3, right=False
        ),
    ]
    return Fitted("", tuple(columns))


def _against(item: Candidate) -> str:
    if item.mean is None:
        return f"{plural(item.have, 'task')} published"
    return (
        "first" if item.p is None else (f"{'level' if item.level else 'behind'}, {p_value(item.p)}")
    )


def _reasons(item: Candidate) -> RenderableType:
    lines = Text.assemble(
        (item.card.name, "bold"),
        ": ",
        "; ".join(item.fit.for_it) or "no need of yours rules it out",
    )
    if item.fit.but:
        lines.append(f"; but {'; '.join(item.fit.but)}", style="yellow")
    return Padding(lines, (0, 0, 0, 2))


def _out(found: Shortlist) -> RenderableType:
    """Every model that is out, once, under the first need that it fails; + marks that it fails
    others too.
    """
    if not found.out:
        return Text("No model is out.")
    groups: dict[str, list[str]] = {}
    for name, fit in found.out.items():
        groups.setdefault(next(iter(fit.against)), []).append(
            name + ("+" if len(fit.against) > 1 else "")
        )
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for cause, title in _CAUSES.items():
        if cause in groups:
            table.add_row(f"  {title} ({len(groups[cause])})", ", ".join(groups[cause]))
    plus = (
        "; + fails another need too, --json tells which"
        if any(len(fit.against) > 1 for fit in found.out.values())
        else ""
    )
    return Group(Text(f"\nOut ({len(found.out)}){plus}:", style="bold"), table)


def _nearest(found: Shortlist) -> RenderableType:
    single = {
        name: next(iter(fit.against.values()))
        for name, fit in found.out.items()
        if len(fit.against) == 1
    }
    if not single:
        return Text("  none: each fails two needs or more; --json tells which")
    return Group(*(Text(f"  {name}: {words}") for name, words in single.items()))
