"""A choice on one page of Markdown, for those who have to agree to it."""

from __future__ import annotations

from collections.abc import Iterator

from nearfield.types.chosen import Chosen
from nearfield.types.comparison import Comparison, Row
from nearfield.types.evaluation.decision import Decision
from nearfield.types.numbers import estimated, plural, score, size, speed


def decision_page(chosen: Chosen, command: str) -> str:
    """The question, the choice, the figures, what would change it, and the `command` that repeats
    it.
    """
    table = chosen.comparison
    assert table.decision is not None
    asked = f"{plural(len(table.query_ids), table.item)}, {plural(table.documents, 'document')}"
    parts = [
        f"# Which embedding model for {table.collection}?",
        f"By {table.measure} on {table.collection} / {table.split}: {asked}.",
        "## The choice",
        "\n".join(f"- {line}" for line in chosen.words),
        "## The figures",
        "\n".join(_figures(chosen)),
        "Milliseconds are the median of one query encoded and searched alone. "
        "The interval is of 95 %.",
        "## How it was reached",
        "\n".join(f"{at}. {_cell(str(each))}." for at, each in enumerate(chosen.rounds, 1)),
        "## What would change it",
        "\n".join(f"- {line}" for line in _changes(table, table.decision)),
        "## Again",
        f"```bash\n{command}\n```",
    ]
    if table.notes:
        parts += ["## Notes", "\n".join(f"- {_cell(note)}" for note in table.notes)]
    return "\n\n".join(parts) + "\n"


def _figures(chosen: Chosen) -> Iterator[str]:
    """The best row of each model of the last round, and the one to take."""
    table = chosen.comparison
    take = table.decision.take if table.decision else None
    taken = take.name if take else None
    shown: list[Row] = []
    models = set()
    for row in table.rows:
        if row.model not in models or row.name == taken:
            shown.append(row)
        models.add(row.model)
    titles = ("system", table.measure, "bytes/document", "ms/query", "$/1,000 documents", "licence")
    yield f"| {' | '.join(titles)} |"
    yield "| --- " * len(titles) + "|"
    for row in shown:
        price = table.prices.get(row.name)
        name = _cell(row.name)
        cells = (
            f"**{name}**" if row.name == taken else name,
            estimated(row.estimate),
            size(row.bytes_per_document),
            speed(row.query_milliseconds),
            # a model that runs here has no price
            f"{price.per_thousand_documents:.3g}" if price else "0",
            _cell(chosen.licences.get(row.model, "–") or "not stated"),
        )
        yield f"| {' | '.join(cells)} |"


def _changes(table: Comparison, decision: Decision) -> Iterator[str]:
    take = decision.take
    if take is None:
        yield "Other limits: nothing fits these."
        return
    if take.items_needed is not None:
        needed = plural(take.items_needed, table.item)
        yield f"More queries: about {needed} would show the difference to {decision.best.name}."
    frontier = decision.trade_off.frontier if decision.trade_off else ()
    rows = {row.name: row for row in table.rows}
    own = rows[take.name].bytes_per_document
    smaller = [rows[name] for name in frontier if rows[name].bytes_per_document < own]
    if smaller:
        best = smaller[-1]  # the frontier goes up with the size
        yield (
            f"A limit below {size(own)} per document: the best that is smaller is {best.name}, "
            f"{table.measure} {score(best.estimate.mean)}."
        )
    if take.price is not None:
        yield (
            "The vendor: its price, its terms or the end of the model. Its vectors cannot be made "
            "without it."
        )
    yield "Other data: another field, language or length of text. The command below repeats it."


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
