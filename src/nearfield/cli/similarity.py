"""`nearfield similarity`: how close texts are, by every similarity side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nearfield.cli.console import Json, emit_json, empty_table, out
from nearfield.cli.opened import Device, Precision, RuntimeName, open_model

if TYPE_CHECKING:
    from nearfield.similarity.embeddings import Embeddings

Pair = tuple[str, str, dict[str, float]]
"""Two texts and their similarities by name."""


def similarity(
    texts: Annotated[
        list[str],
        typer.Argument(
            help="Two texts or more, each compared with every other; one is enough with --against."
        ),
    ],
    model: Annotated[
        str, typer.Option(help="A model of the catalog or a model folder.")
    ] = "minilm",
    against: Annotated[
        list[str] | None,
        typer.Option(help="A document to compare each text with, as its query. Repeatable."),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="Order by this similarity instead of the model's own.")
    ] = None,
    runtime: RuntimeName = "auto",
    precision: Precision = "float32",
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Show cosine, dot and negative euclidean similarity of texts, best first; higher is closer.

    The model's own similarity is marked; asking for another one warns with its cost on these
    texts. A model whose embeddings are not dense (sparse, multi-vector) has its own alone.

    Examples:

        nearfield similarity "a cat on a mat" "a kitten on a rug" "tax law"
        nearfield similarity "how to sort" --against "sorted(x)" --against "x + y"
        nearfield similarity "a cat" "a dog" --metric dot --json
    """
    from nearfield.errors import ContractError, InputError
    from nearfield.similarity.functions import similarity as named
    from nearfield.similarity.metric import warn_of_metric

    if metric is not None:
        named(metric)  # an unknown one is an error before a model is loaded
    if len(texts) < 2 and not against:
        raise InputError("one text was given; similarity needs two, or --against")
    encoder = open_model(model, runtime=runtime, precision=precision, device=device)
    query = encoder.encode(texts, "query" if against else "document")
    document = encoder.encode(against, "document") if against else query
    kind = encoder.contract.kind
    own = query.own_similarity or encoder.contract.similarity
    chosen = metric or own
    if query.one_vector:
        warn_of_metric(encoder.contract, chosen, query=query.floats(), document=document.floats())
    elif metric is not None:
        raise ContractError(
            f"{model}: its embeddings are {kind}, whose only similarity is their "
            f"own ({own}); leave out --metric"
        )
    pairs = _pairs(texts, against, query, document, own=own)
    pairs.sort(key=lambda pair: -pair[2][chosen])
    if json:
        rows = [{"a": a, "b": b} | values for a, b, values in pairs]
        emit_json(
            {"model": encoder.contract.name, "own_metric": own, "metric": chosen, "pairs": rows}
        )
    else:
        _show(pairs, encoder.contract.name, own)


def _pairs(
    texts: list[str],
    against: list[str] | None,
    query: Embeddings,
    document: Embeddings,
    *,
    own: str,
) -> list[Pair]:
    """Each pair of texts with its similarities: every one of dense vectors, and of other kinds the
    one that is the model's `own`.
    """
    import numpy as np

    from nearfield.similarity.functions import FUNCTIONS

    if query.one_vector:
        # each table is (texts, against), or (texts, texts)
        ours = np.asarray(query)
        theirs = np.asarray(document)
        scores = {name: function(ours, theirs) for name, function in FUNCTIONS.items()}
    else:
        scores = {own: query.scores(document)}
    pairs = []
    for a, text in enumerate(texts):
        for b, other in enumerate(against or texts):
            # each pair once, and no text with itself
            if against or a < b:
                values = {name: float(table[a, b]) for name, table in scores.items()}
                pairs.append((text, other, values))
    return pairs


def _show(pairs: list[Pair], model: str, own: str) -> None:
    from rich.text import Text

    table = empty_table(["a", "b"])
    for name in pairs[0][2]:
        title, style = (f"{name} *", "bold") if name == own else (name, "dim")
        table.add_column(title, justify="right", style=style, no_wrap=True)
    for a, b, values in pairs:
        table.add_row(Text(a), Text(b), *(f"{value:.4f}" for value in values.values()))
    out.print(table)
    out.print(
        f"* what {model} is made for; higher is closer in every column",
        style="dim",
        highlight=False,
    )
