"""`nearfield certify` and `nearfield verify`: is a served vector the model's vector."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield.cli.console import Json, emit_json, out
from nearfield.cli.opened import Model

if TYPE_CHECKING:
    from nearfield.serve.verify import Verified


def certify(model: Model, json: Json = False) -> None:
    """Write a certificate into a model's folder: reference texts with the vectors that the model
    makes of them in each role, for `nearfield verify` to compare others with.

    Examples:

        nearfield certify minilm
        nearfield certify ./tuned --json
    """
    from nearfield.encoders.load import load_text_encoder
    from nearfield.errors import TruncationWarning
    from nearfield.serve.certificate import Certificate

    encoder = load_text_encoder(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncationWarning)  # texts that are too long belong to it
        made = Certificate.make(encoder)
    path = made.save(encoder.folder.path)
    facts = {"certificate": str(path), "texts": len(made.texts), "roles": list(made.vectors)}
    if json:
        emit_json(facts)
    else:
        out.say(f"{path}: {len(made.texts)} texts as {' and '.join(made.vectors)}")


def verify(
    target: Annotated[
        str,
        typer.Argument(
            help="What is compared: a spec, a model folder, or an address such as "
            "tei:http://host or http://host/v1#minilm:{role}."
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(help="The model whose certificate counts; the target when not given."),
    ] = None,
    json: Json = False,
) -> None:
    """Say whether a server, a runtime or a folder gives the model's own vectors, and if not, what
    it does otherwise. Exit code 1 where it does not.

    In an address {role} stands for the role that is asked, where the API has no field for it.

    Examples:

        nearfield verify minilm@int8
        nearfield verify "http://localhost:8080/v1#minilm:{role}" --model minilm
        nearfield verify ollama:http://localhost:11434#all-minilm --model minilm --json
    """
    from nearfield.serve.verify import verify

    found = verify(target, model)
    if json:
        emit_json(found)
    else:
        _show(found)
    if found.faults:
        raise typer.Exit(1)


def _show(found: Verified) -> None:
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("role", "worst cosine", "mean cosine", "norms", "alone and among others"):
        table.add_column(title)
    for row in found.roles:
        norms = " to ".join(f"{norm:.4f}" for norm in row.norms)
        table.add_row(row.role, f"{row.worst:.6f}", f"{row.mean:.6f}", norms, f"{row.alone:.6f}")
    out.print(table)
    for fault in found.faults:
        out.say(f"{fault.fault}: {fault.what}")
    if not found.faults:
        out.say(f"{found.target} gives the vectors of {found.model}")
