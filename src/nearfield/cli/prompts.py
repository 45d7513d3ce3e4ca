"""`nearfield prompts`: what a model's prompts are worth on your data."""

from __future__ import annotations

from typing import Annotated

import typer

from nearfield.cli.console import FORMATS, Json, emit_json, out, progress_bar
from nearfield.cli.evaluate import SplitName
from nearfield.cli.opened import Allow, Device, Model, Precision, RuntimeName, open_model, ran_by


def prompts(
    model: Model,
    on: Annotated[str, typer.Option(metavar="DATA", help=f"{FORMATS}.")],
    task: Annotated[
        list[str] | None,
        typer.Option(
            help="A task for the model to be told before each query, where it takes one. "
            "Repeatable."
        ),
    ] = None,
    split: SplitName = None,
    measure: Annotated[
        str, typer.Option(help="The measure that rows are compared by.")
    ] = "nDCG@10",
    allow: Allow = None,
    runtime: RuntimeName = "auto",
    precision: Precision = "float32",
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Measure what a model's prompts bring on your data and what they cost: without them, with
    them, and told each task.

    Documents and queries are the same in every row, so that differences are paired; p is corrected
    for all pairs of rows (Holm). Tokens are those that the prompt adds to a text.

    Examples:

        nearfield prompts e5-small --on my-data
        nearfield prompts e5-mistral-7b-instruct --on my-data --task "Given a claim, find what
            proves or refutes it"
    """
    from nearfield.data.open import open_collection
    from nearfield.encoders.text import TextEncoder
    from nearfield.errors import ContractError
    from nearfield.evaluate.judged_split import judged_split
    from nearfield.evaluate.prompts import NONE, measure_prompts
    from nearfield.report.prompts import prompts_table

    asked = judged_split(open_collection(on), split, on, models=[model])
    encoder = open_model(model, runtime=runtime, precision=precision, device=device)
    if not isinstance(encoder, TextEncoder):
        raise ContractError(
            f"{encoder.contract.name} is a bag of words, which has no prompts to "
            "measure; name another model"
        )
    with progress_bar(f"encoding with {encoder.contract.name}, {ran_by(encoder)}") as progress:
        found = measure_prompts(
            encoder,
            asked,
            tasks=task or (),
            measure=measure,
            measures=(measure,),
            allow=allow or (),
            progress=progress,
        )
    if json:
        emit_json(
            {"model": encoder.contract.name, "comparison": found.comparison, "costs": found.costs}
        )
        return
    out.print(prompts_table(found.comparison, found.costs, without=NONE))
