"""`nearfield models merge-adapter`: a LoRA adapter and its base as one model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nearfield.cli.console import Json, emit_json, out


def merge_adapter(
    folder: Annotated[
        Path,
        typer.Argument(
            help="An adapter's folder as peft writes one, or a model folder with an adapter a role."
        ),
    ],
    to: Annotated[Path, typer.Option(help="The model folder to write.")],
    role: Annotated[
        str | None,
        typer.Option(
            help="Of a folder with an adapter a role, whose to merge: query, document, ..."
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            help="The adapter's base, where it is not what the folder says: "
            "a folder, or a catalogued model's name."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Merge a LoRA adapter into its base: a model folder that every runtime and
    sentence-transformers open, with the same vectors.

    Examples:

        nearfield models merge-adapter my-adapter --to my-model
        nearfield models merge-adapter my-adapter --base minilm --to my-model
        nearfield models merge-adapter many-roles --role query --to for-queries
    """
    from nearfield.errors import InputError
    from nearfield.models.find import base_path
    from nearfield.models.lora.merge import merge_adapter as merge

    if not folder.is_dir():
        raise InputError("there is no such folder; wanted one with an adapter in it", path=folder)
    if to.exists():
        raise InputError("is there already; give another place with --to", path=to)
    merge(folder, to, resolve=base_path, role=role, base=base)
    if json:
        emit_json({"folder": to, "adapter": folder, "role": role})
    else:
        out.say(f"{folder} and its base are one model in {to}")
