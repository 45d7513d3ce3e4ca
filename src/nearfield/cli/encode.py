"""`nearfield encode`: texts to a folder of vectors."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearfield.cli.console import FORMATS, Json, emit_json, out, progress_bar
from nearfield.cli.opened import (
    FIDELITY,
    Device,
    Model,
    Precision,
    RuntimeName,
    open_model,
    ran_by,
    running,
)

if TYPE_CHECKING:
    from nearfield.encoders.encoder import Encoder
    from nearfield.vectors.account import Account
    from nearfield.vectors.request import Request


Source = Annotated[
    str,
    typer.Argument(
        metavar="INPUT",
        help=f"A .txt file with one text a line, - for standard input, or {FORMATS}.",
    ),
]
RoleName = Annotated[
    str,
    typer.Option(
        help="What the texts are; of a collection, query takes its queries, all else its documents."
    ),
]
Dim = Annotated[
    int | None, typer.Option(help="Truncate vectors to the first DIM dimensions and renormalise.")
]
Storage = Annotated[
    str, typer.Option(help="How vectors are stored: float32, float16, int8 or binary.")
]
PoolTokens = Annotated[
    int | None,
    typer.Option(
        min=1, help="Merge every N similar document tokens into one vector (multi-vector models)."
    ),
]
Field = Annotated[
    str | None,
    typer.Option(help="Of a JSONL, CSV, TSV or Parquet file, encode this field of every row."),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="End at the first row that cannot be encoded.")
]
Restart = Annotated[
    bool, typer.Option("--restart", help="Discard existing or partial output and start over.")
]


def encode(
    model: Model,
    source: Source,
    to: Annotated[Path, typer.Option(help="The vector folder to write.")],
    role: RoleName = "document",
    dim: Dim = None,
    dtype: Storage = "float32",
    runtime: RuntimeName = "auto",
    precision: Precision = "float32",
    device: Device = "auto",
    fidelity: Annotated[float | None, FIDELITY] = None,
    pool_tokens: PoolTokens = None,
    field: Field = None,
    strict: Strict = False,
    restart: Restart = False,
    json: Json = False,
) -> None:
    """Encode texts and write their embeddings, with their ids in the same order, and a
    manifest that accounts for every row.

    An input of any size is read and written a shard at a time; when it is interrupted, even killed,
    the same command goes on where it was. A row that cannot be encoded is left out, named, and
    makes the command exit with 2; with --strict the run ends there, and what was done before it is
    kept. Texts longer than the model reads are counted and reported, never silently cut. Vectors
    are kept by their text, so that an unchanged text is never encoded again. A finished folder is
    replaced, when the new one is whole, where it is of the same model and role and shares texts
    with the input; else only with --restart.

    Examples:

        nearfield encode minilm my-data --to vectors/documents
        nearfield encode minilm my-data --role query --to vectors/queries
        nearfield encode minilm big.jsonl --field text --to vectors --strict
        cat texts.txt | nearfield encode minilm - --to vectors --dtype int8
        nearfield encode colbert my-data --to vectors --pool-tokens 2 --dtype int8
    """
    from nearfield.data.open import open_stream
    from nearfield.data.stream import stream_standard_input
    from nearfield.encoders.remote.afford import afford
    from nearfield.encoders.spec import ModelSpec
    from nearfield.runtimes.proof import Proof
    from nearfield.vectors.encode_to import encode_to, refuse_other_folder
    from nearfield.vectors.job import restart_job
    from nearfield.vectors.request import Request

    refuse_other_folder(to)
    if source != "-":
        stream = open_stream(source, role, field=field)
    else:
        stream = stream_standard_input(sys.stdin.buffer, field=field)
    # what a converted model is proved on; of standard input none, which can be read only once
    sample = stream.sample()
    encoder = open_model(
        model, runtime=runtime, precision=precision, device=device, proof=Proof.on(sample, fidelity)
    )
    request = Request(
        role, dim, dtype, strict, source=ModelSpec.parse(model).lasting, pool_tokens=pool_tokens
    )
    # behind the opening, so that a model that cannot be opened discards nothing
    if restart:
        restart_job(to)
    # the price of standard input is not known before it is read
    if stream.repeatable:
        afford([encoder], {role: (row.text for row in stream.rows() if not row.fault)})
    with progress_bar(f"encoding with {encoder.contract.name}, {ran_by(encoder)}") as progress:
        account = encode_to(encoder, stream, to, request, replace=restart, progress=progress)
    _show(to, account, request, encoder, json)
    _refuse_failed(to, account)


def _show(to: Path, account: Account, request: Request, encoder: Encoder[Any], json: bool) -> None:
    from nearfield.similarity.stored import stored_size

    size = stored_size(to)
    usage = account.usage
    if json:
        facts = {
            "folder": to,
            "kind": size.kind,
            "dim": size.dim,
            "dtype": request.storage,
            "bytes_per_item": size.bytes_per_item,
            "vectors_per_item": size.tokens_per_item,
            "terms_per_item": size.terms_per_item,
        }
        for name in ("empty", "rows", "failed", "cached", "repeated", "faults"):
            facts[name] = getattr(account, name)
        emit_json(facts | {"usage": usage} | running(encoder))
        return
    if usage.unknown_tokens:
        unknown = f"{usage.unknown_tokens:,} words are unknown to the model and were left out"
        if usage.nothing_known:
            unknown += f"; {usage.nothing_known:,} texts have no known word and the zero vector"
        out.say(unknown)
    line = f"{usage.items:,} texts, {usage.tokens:,} tokens"
    if usage.prompt_tokens:
        line += f" ({usage.prompt_tokens:,} of prompts)"
    if usage.truncated:
        line += f", {usage.truncated:,} truncated, {usage.tokens_lost:,} tokens lost"
    else:
        line += ", none truncated"
    known = account.cached + account.repeated
    made = usage.items - known
    if usage.seconds and made:
        line += f"; {made / usage.seconds:,.0f} texts/s"
    if known:
        line += f"; {account.cached:,} from the cache, {account.repeated:,} repeated"
    out.say(line)
    out.say(f"{to}: {size.described(request.storage)}")


def _refuse_failed(to: Path, account: Account) -> None:
    """Raise InputError where rows failed, so that a script notices; the folder is whole without
    them.
    """
    from nearfield.errors import InputError
    from nearfield.vectors.manifest import FILE

    if account.failed:
        named = list(account.faults)
        if account.failed > len(named):
            named.append("...")
        rows = f"{account.failed:,} of {account.rows:,} rows failed and have no vector"
        raise InputError(f"{'; '.join(named)}. {rows}; the manifest names each: {to / FILE}")
