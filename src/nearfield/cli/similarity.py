"""`nearfield similarity`: how close texts are, by every similarity side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nearfield.cli.console import emit_json, out
from nearfield.cli.opened import DEVICE, PRECISION, RUNTIME, open_model

if TYPE_CHECKING:
    from nearfield.similarity.dense import Dense
    from nearfield.types.contract import Contract

Pair = tuple[str, str, dict[str, float]]


def similarity(
    texts: Annotated[list[str], typer.Argument(help="Two texts or more, each compared with each; one is enough with --against.")],
    model: Annotated[str, typer.Option(help="A model of the catalog or a model folder.")] = "minilm",
    against: Annotated[list[str] | None, typer.Option(help="A document to compare each text with, as its query. Repeatable.")] = None,
    metric: Annotated[str | None, typer.Option(help="Order by this similarity instead of the model's own.")] = None,
    runtime: Annotated[str, RUNTIME] = "auto",
    precision: Annotated[str, PRECISION] = "float32",
    device: Annotated[str, DEVICE] = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show cosine, dot and negative euclidean similarity of texts, best first; higher is closer.

    The model's own similarity is marked; asking for another warns with what it costs on these texts.

    Examples:

        nearfield similarity "a cat on a mat" "a kitten on a rug" "tax law"
        nearfield similarity "how to sort" --against "sorted(x)" --against "x + y"
        nearfield similarity "a cat" "a dog" --metric dot --json
    """
    from nearfield.errors import InputError
    from nearfield.similarity.functions import similarity as named
    from nearfield.similarity.metric import warn_of_metric

    if metric is not None:
        named(metric)  # an unknown one is an error before a model is loaded
    if len(texts) < 2 and not against:
        raise InputError("one text was given; similarity needs two, or --against")
    encoder = open_model(model, runtime=runtime, precision=precision, device=device)
    query = encoder.encode(texts, "query" if against else "document")
    document = encoder.encode(against, "document") if against else query
    chosen = metric or encoder.contract.similarity
    warn_of_metric(encoder.contract, chosen, query=query.floats(), document=document.floats())
    pairs = sorted(_pairs(texts, against, query, document), key=lambda pair: -pair[2][chosen])
    if json:
        rows = [{"a": a, "b": b} | values for a, b, values in pairs]
        emit_json({"model": encoder.contract.name, "own_metric": encoder.contract.similarity, "metric": chosen, "pairs": rows})
    else:
        _show(pairs, encoder.contract)


def _pairs(texts: list[str], against: list[str] | None, query: Dense, document: Dense) -> list[Pair]:
    from nearfield.similarity.functions import FUNCTIONS

    scores = {name: function(query.floats(), document.floats()) for name, function in FUNCTIONS.items()}
    others = against or texts
    places = [(a, b) for a in range(len(texts)) for b in range(len(others)) if against or a < b]
    return [(texts[a], others[b], {name: float(table[a, b]) for name, table in scores.items()}) for a, b in places]


def _show(pairs: list[Pair], contract: Contract) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("a")
    table.add_column("b")
    for name in pairs[0][2]:
        own = name == contract.similarity
        table.add_column(f"{name} *" if own else name, justify="right", style="bold" if own else "dim", no_wrap=True)
    for a, b, values in pairs:
        table.add_row(Text(a), Text(b), *(f"{value:.4f}" for value in values.values()))
    out.print(table)
    out.print(f"* what {contract.name} is made for; higher is closer in every column", style="dim", highlight=False, markup=False)
