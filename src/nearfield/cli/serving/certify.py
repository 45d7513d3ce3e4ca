"""`nearfield certify` and `nearfield verify`: is a served vector the model's vector."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield.cli.console import Json, emit_json, empty_table, out
from nearfield.cli.opened import Model

if TYPE_CHECKING:
    from rich.table import Table

    from nearfield.serve.verify import Verified
    from nearfield.serve.verify_reranker import VerifiedScores


def certify(model: Model, json: Json = False) -> None:
    """Write a certificate into a model's folder: reference texts with what the model makes of them
    in each role (vectors, weights of terms, vectors of tokens; a reranker's scores), for
    `nearfield verify` to compare others with.

    Examples:

        nearfield certify minilm
        nearfield certify ./tuned --json
    """
    from nearfield.encoders.load import load_text_encoder
    from nearfield.errors import TruncationWarning
    from nearfield.formats.reranker_folder import is_reranker
    from nearfield.serve.certificate import Certificate

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncationWarning)  # texts that are too long belong to it
        folder = Path(model)
        if is_reranker(folder):
            made = Certificate.of_reranker(folder)
        else:
            encoder = load_text_encoder(model)
            made = Certificate.make(encoder)
            folder = encoder.folder.path
    path = made.save(folder)
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
    """Say whether a server, a runtime or a folder gives the model's own vectors or scores, and if
    not, what it does otherwise. Exit code 1 where it does not.

    In an address {role} stands for the role that is asked, where the API has no field for it.
    Sparse and multi-vector models are asked for by tei:, rerankers by any API that has them.

    Examples:

        nearfield verify minilm@int8
        nearfield verify "http://localhost:8080/v1#minilm:{role}" --model minilm
        nearfield verify ollama:http://localhost:11434#all-minilm --model minilm --json
    """
    from nearfield.encoders.spec import ModelSpec
    from nearfield.formats.reranker_folder import is_reranker

    found: Verified | VerifiedScores
    if is_reranker(Path(ModelSpec.parse(model or target).name)):
        from nearfield.serve.verify_reranker import verify_reranker

        found = verify_reranker(target, model)
        table = _of_scores(found)
    else:
        from nearfield.serve.verify import verify

        found = verify(target, model)
        table = _of_vectors(found)
    if json:
        emit_json(found)
    else:
        out.print(table)
        for fault in found.faults:
            out.say(f"{fault.fault}: {fault.what}")
        if not found.faults:
            out.say(f"{found.target} gives what {found.model} gives")
    if found.faults:
        raise typer.Exit(1)


def _of_vectors(found: Verified) -> Table:
    titles = ["role", "worst cosine", "mean cosine", "norms", "alone and among others"]
    table = empty_table(titles)
    for row in found.roles:
        low, high = row.norms
        norms = f"{low:.4f} to {high:.4f}"
        table.add_row(row.role, f"{row.worst:.6f}", f"{row.mean:.6f}", norms, f"{row.alone:.6f}")
    return table


def _of_scores(found: VerifiedScores) -> Table:
    titles = ["query", "worst difference", "mean", "rank correlation", "alone and among others"]
    table = empty_table(titles)
    for row in found.queries:
        numbers = (row.worst, row.mean, row.order, row.alone)
        table.add_row(row.query, *(f"{number:.6f}" for number in numbers))
    return table
