"""`nearfield models merge`, `drop-layers`, `trim`, `quantise` and `sif`: a model made of others'
weights, and what that loses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield.cli.console import FORMATS, Json, emit_json, numbers, out, progress_bar
from nearfield.cli.opened import Model, To

if TYPE_CHECKING:
    from nearfield.models.saving.written import Made
    from nearfield.types.comparison import PairTest

On = Annotated[
    str | None,
    typer.Option(
        "--on", metavar="DATA", help=f"What to measure the loss on: {FORMATS}; or scored pairs."
    ),
]
OfSplit = Annotated[
    str | None, typer.Option(help="The split whose judged queries are asked.", show_default="test")
]


def merge(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...", help="Models of one architecture, one tokeniser and one contract."
        ),
    ],
    to: To,
    how: Annotated[
        str, typer.Option(help="linear, slerp (two models) or task-arithmetic (with --base).")
    ] = "linear",
    base: Annotated[
        str | None, typer.Option(help="For task-arithmetic: the model that all were tuned from.")
    ] = None,
    weights: Annotated[
        str,
        typer.Option(
            help="As 0.3,0.7: shares (linear), the second's share (slerp), factors "
            "(task-arithmetic); even when not given."
        ),
    ] = "",
    on: On = None,
    split: OfSplit = None,
    json: Json = False,
) -> None:
    """Merge models into one: their weighted mean, the arc between two, or a base with what each
    tuning changed.

    With data, the merged model is measured beside each of them.

    Examples:

        nearfield models merge minilm ./tuned --to models/half --on my-data
        nearfield models merge ./a ./b --how slerp --weights 0.3 --to models/arc
        nearfield models merge ./a ./b --how task-arithmetic --base minilm --weights 0.5,0.5 --to
            models/both
    """
    from nearfield.models.surgery.merge import merge as merged

    _check_data(on, split, models)
    shares = numbers(weights, "--weights", float, example="0.3,0.7")
    made = merged(models, to=to, how=how, base=base, weights=shares)
    _show(made, models, on, split, json=json)


def drop_layers(
    model: Model,
    to: To,
    keep: Annotated[str, typer.Option(help="The layers to keep, counted from 0, as 0,2,5.")],
    on: On = None,
    split: OfSplit = None,
    json: Json = False,
) -> None:
    """Keep only some layers of a model. Tuning the result wins back much of what that loses.

    Examples:

        nearfield models drop-layers minilm --keep 0,1,2,3 --to models/minilm-4 --on my-data
        nearfield models drop-layers ./mine --keep 0,2,5 --to models/three --json
    """
    from nearfield.models.surgery.layers import drop_layers as dropped

    _check_data(on, split, [model])
    layers = numbers(keep, "--keep", int, example="0,2,5")
    _show(dropped(model, to=to, keep=layers), [model], on, split, json=json)


def trim(
    model: Model,
    to: To,
    texts: Annotated[
        str, typer.Option(metavar="DATA", help=f"What the vocabulary is to serve: {FORMATS}.")
    ],
    on: On = None,
    split: OfSplit = None,
    json: Json = False,
) -> None:
    """Keep only the tokens that texts use, and those that spell any other word; the texts' vectors
    stay exactly the same.

    Examples:

        nearfield models trim multilingual-e5-small --texts my-data --to models/small
        nearfield models trim minilm --texts my-data --to models/minilm-mine --on my-data
    """
    from nearfield.models.surgery.trim import trim as trimmed

    _check_data(on, split, [model])
    used = _texts(texts)
    with progress_bar(f"tokenising {len(used):,} texts") as progress:
        made = trimmed(model, to=to, texts=used, progress=progress)
    _show(made, [model], on, split, json=json)


def quantise(
    model: Model,
    to: To,
    dtype: Annotated[
        str, typer.Option(help="float16 or bfloat16; int8 for a static model.")
    ] = "float16",
    on: On = None,
    split: OfSplit = None,
    json: Json = False,
) -> None:
    """Store a model's weights at half the size, a static one's at a quarter. What opens the folder
    still computes in float32.

    To run a transformer in int8 no folder is needed: `nearfield evaluate minilm
    minilm@openvino,int8 --on DATA` measures it.

    Examples:

        nearfield models quantise minilm --to models/minilm-half --on my-data
        nearfield models quantise potion-base-8m --dtype int8 --to models/potion-int8
    """
    from nearfield.models.surgery.quantise import quantise as quantised

    _check_data(on, split, [model])
    _show(quantised(model, to=to, dtype=dtype), [model], on, split, json=json)


def sif(
    model: Model,
    to: To,
    texts: Annotated[
        str, typer.Option(metavar="DATA", help=f"Texts whose words are counted: {FORMATS}.")
    ],
    a: Annotated[
        float, typer.Option(help="A token that is a share p of the texts' weighs a / (a + p).")
    ] = 1e-3,
    components: Annotated[
        int,
        typer.Option(
            help="Directions common to the texts' vectors that are taken out of all vectors.", min=0
        ),
    ] = 0,
    on: On = None,
    split: OfSplit = None,
    json: Json = False,
) -> None:
    """Weight a static model's tokens by how rare they are in texts (SIF), so that frequent words no
    longer drown the others.

    Examples:

        nearfield models sif glove.6B.50d.txt --texts my-data --to models/glove-sif --on my-data
        nearfield models sif potion-base-8m --texts my-data --components 1 --to models/potion-sif
    """
    from nearfield.models.surgery.sif import sif as weighted

    _check_data(on, split, [model])
    used = _texts(texts)
    with progress_bar(f"counting the words of {len(used):,} texts") as progress:
        made = weighted(model, to=to, texts=used, a=a, components=components, progress=progress)
    _show(made, [model], on, split, json=json)


def _check_data(on: str | None, split: str | None, models: Sequence[str]) -> None:
    """Raise InputError where there is nothing to measure on, before a model is made."""
    from nearfield.data.trained_on import TrainedOn
    from nearfield.evaluate.open_task import open_task
    from nearfield.evaluate.task import Options

    if on is not None:
        task = open_task(on, options=Options(split=split), models=models)
        task.refuse_trained_on({model: TrainedOn.read(model) for model in models})


def _texts(source: str) -> list[str]:
    """All texts of a collection or of pairs, queries too."""
    from nearfield.data.open import open_data
    from nearfield.data.pairs import Pairs

    data = open_data(source)
    if isinstance(data, Pairs):
        return [*data.queries, *data.positives]
    return [*data.document_texts, *data.query_texts]


def _show(
    made: Made, models: Sequence[str], on: str | None, split: str | None, *, json: bool
) -> None:
    """What was written and its size, and with data the comparison with the models that it is made
    of.
    """
    from nearfield.evaluate.compare import compare
    from nearfield.evaluate.open_task import open_task
    from nearfield.evaluate.task import Options

    found = None
    if on is not None:
        sides = [*dict.fromkeys(models), str(made.folder)]
        task = open_task(on, options=Options(split=split), models=sides)
        found = compare(sides, task, options=Options(bm25=False), bars=progress_bar)
    if json:
        emit_json(
            {
                "folder": made.folder,
                "name": made.name,
                "bytes": {"before": made.before, "after": made.after},
                "comparison": found,
            }
        )
        return
    from nearfield.types.numbers import size

    if found is not None:
        from nearfield.report.table import comparison_table

        out.print(comparison_table(found))
        # the whole path where another of the models has the same name (`row_names`)
        names = {made.folder.name, str(made.folder)}
        for pair in found.pairs:
            if names & {pair.a, pair.b}:
                out.print(_in_words(pair, turned=pair.b in names), highlight=False)
    share = f"{made.after / max(made.before, 1):.0%}"
    out.print(
        f"weights and tokeniser: {size(made.before)} before, {size(made.after)} after ({share})",
        highlight=False,
    )
    out.say(f"model {made.folder}")


def _in_words(pair: PairTest, *, turned: bool) -> str:
    """The difference that the new model makes to another, whichever of them the table has first."""
    from nearfield.types.numbers import changed, p_value

    found = pair.difference
    made, other = (pair.b, pair.a) if turned else (pair.a, pair.b)
    difference = -found if turned else found
    return f"{made} against {other}: {changed(difference)}, {p_value(pair.p)}"
