"""`nearfield encode`: texts to a folder of vectors."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield.cli.console import FORMATS, emit_json, out, progress_bar
from nearfield.cli.opened import DEVICE, FIDELITY, PRECISION, RUNTIME, open_model, proof_on, ran_by

if TYPE_CHECKING:
    from nearfield.similarity.dense import Dense
    from nearfield.types.contract import Contract


def encode(
    model: Annotated[str, typer.Argument(help="A model of the catalog or a model folder.")],
    source: Annotated[str, typer.Argument(metavar="INPUT", help=f"A .txt file with one text a line, - for standard input, or {FORMATS}.")],
    to: Annotated[Path, typer.Option(help="The vector folder to write.")],
    role: Annotated[
        str, typer.Option(help="What the texts are; of a collection, query takes its queries, all else its documents.")
    ] = "document",
    dim: Annotated[int | None, typer.Option(help="Keep the first so many dimensions, renormalised.")] = None,
    dtype: Annotated[str, typer.Option(help="How vectors are stored: float32, float16, int8 or binary.")] = "float32",
    runtime: Annotated[str, RUNTIME] = "auto",
    precision: Annotated[str, PRECISION] = "float32",
    device: Annotated[str, DEVICE] = "auto",
    fidelity: Annotated[float | None, FIDELITY] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Encode texts and write their vectors, with their ids in the same order.

    Texts longer than the model reads are counted and reported, never silently cut.

    Examples:

        nearfield encode minilm my-data --to vectors/documents
        nearfield encode minilm my-data --role query --to vectors/queries
        cat texts.txt | nearfield encode minilm - --to vectors --dtype int8
    """
    from nearfield.store.fingerprint import model_hash
    from nearfield.store.made_by import MadeBy

    _refuse_other_folder(to)
    ids, texts = _read(source, role)
    encoder = open_model(model, runtime=runtime, precision=precision, device=device, proof=proof_on(texts, fidelity))
    _check(encoder.contract, role, dim, dtype)
    empty = _warn_of_empty(ids, texts)
    with progress_bar(f"encoding with {encoder.contract.name}, {ran_by(encoder)}") as progress:
        vectors = encoder.encode(texts, role, progress=progress)
    vectors = _stored(vectors, dim, dtype)
    vectors.save(to, ids=ids)
    again = str(Path(model).resolve()) if Path(model).is_dir() else model
    MadeBy(encoder.contract.name, again, model_hash(encoder.folder.path), role).save(to)
    if json:
        facts = {"dim": vectors.dim, "dtype": dtype, "bytes_per_item": vectors.bytes_per_item, "empty": empty, "usage": vectors.usage}
        ran = {"runtime": encoder.runtime.name, "precision": encoder.precision, "why": encoder.why}
        emit_json({"folder": to} | facts | ran)
    else:
        _show(to, vectors)


def _read(source: str, role: str) -> tuple[Sequence[str], Sequence[str]]:
    """Ids and texts, in the same order; the ids of a file's lines are their numbers."""
    from nearfield.errors import InputError

    if source != "-" and not source.endswith(".txt"):
        from nearfield.data.open import open_collection

        collection = open_collection(source)
        if role == "query":
            return collection.query_ids, collection.query_texts
        return collection.document_ids, collection.document_texts
    texts = list(_standard_input() if source == "-" else _lines(Path(source)))
    if not texts:
        raise InputError("holds no text", path="standard input" if source == "-" else source)
    return [str(number) for number in range(1, len(texts) + 1)], texts


def _standard_input() -> Iterable[str]:
    from nearfield.data.readers.lines import decode

    for number, raw in enumerate(sys.stdin.buffer, 1):
        yield decode(raw, Path("standard input"), line=number).rstrip("\r\n")


def _lines(path: Path) -> Iterable[str]:
    from nearfield.data.readers.lines import lines

    return (text for _, text in lines(path))


def _check(contract: Contract, role: str, dim: int | None, dtype: str) -> None:
    """Raise what the contract forbids before anything is encoded; warn of a dim that the model was not trained for."""
    import numpy as np

    from nearfield.errors import MatryoshkaWarning
    from nearfield.similarity.dense import Dense

    contract.prompt(role)
    _stored(Dense(np.empty((0, contract.dim), np.float32), contract.dim), dim, dtype)
    if dim not in (None, contract.dim, *contract.matryoshka_dims):
        trained = ", ".join(map(str, contract.matryoshka_dims)) or "none"
        message = f"{contract.name} is cut to {dim} dimensions and was trained for {trained}; measure what that costs on your own data: "
        warnings.warn(message + f"nearfield evaluate {contract.name} --dims {contract.dim},{dim}", MatryoshkaWarning, stacklevel=2)


def _warn_of_empty(ids: Sequence[str], texts: Sequence[str]) -> int:
    """How many of the texts are empty, with a warning where one is."""
    from nearfield.errors import NearfieldWarning

    empty = [row for row, text in enumerate(texts) if not text.strip()]
    if empty:
        message = f"{len(empty):,} of {len(texts):,} texts are empty (the first is {ids[empty[0]]}); their vectors tell nothing"
        warnings.warn(message, NearfieldWarning, stacklevel=2)
    return len(empty)


def _stored(vectors: Dense, dim: int | None, dtype: str) -> Dense:
    return (vectors if dim is None else vectors.truncate(dim)).quantise(dtype)


def _refuse_other_folder(to: Path) -> None:
    from nearfield.errors import StorageError
    from nearfield.store.atomic import check_writable

    if to.exists() and not (to / "vectors.json").is_file() and not (to.is_dir() and not any(to.iterdir())):
        raise StorageError(f"{to}: exists and is no vector folder, so that it is not replaced; give another place with --to")
    check_writable(to)


def _show(to: Path, vectors: Dense) -> None:
    usage = vectors.usage
    rate = f"{usage.items / usage.seconds:,.0f} texts/s" if usage.seconds else ""
    lost = f"{usage.truncated:,} truncated, {usage.tokens_lost:,} tokens lost" if usage.truncated else "none truncated"
    if usage.unknown_tokens:
        nothing = f"; {usage.nothing_known:,} texts have no known word and the zero vector" if usage.nothing_known else ""
        out.print(f"{usage.unknown_tokens:,} words are unknown to the model and were left out{nothing}", highlight=False, soft_wrap=True)
    size = f"{vectors.dim} dimensions of {vectors.storage}, {vectors.bytes_per_item:,.0f} bytes each"
    out.print(f"{usage.items:,} texts, {usage.tokens:,} tokens, {lost}; {rate}", highlight=False, soft_wrap=True)
    out.print(f"{to}: {size}", highlight=False, markup=False, soft_wrap=True)
