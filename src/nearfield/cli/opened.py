"""The model that a command opens, and what runs it there."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nearfield.cli.trust import TRUST
from nearfield.types.role import DOCUMENT

if TYPE_CHECKING:
    from nearfield.encoders.encoder import Encoder
    from nearfield.encoders.pair_scorer import PairScorer
    from nearfield.runtimes.proof import Proof

RUNTIME = typer.Option(
    help="What runs the model: native, torch, openvino, onnx, or auto, the first of these that can."
)
PRECISION = typer.Option(
    help="Of the matrix products: float32, bfloat16, int8, or auto, bfloat16 where it is fast."
)
FIDELITY = typer.Option(
    help="For openvino and onnx: the cosine to float32 torch below which a "
    "converted model is refused."
)
RERANK = typer.Option(
    metavar="MODEL",
    help="A cross-encoder or a multi-vector model, which orders each query's first results anew.",
)
KEEP_OWN = typer.Option(
    "--keep-own",
    help="Keep the document of a query's own id in the query's ranking; it is left out otherwise.",
)
DEPTH = typer.Option(help="How many results a query --rerank orders anew.", min=1)
ALLOW = typer.Option(
    help="trained-on: measure also on queries that a model was trained on, and mark the result."
)
DEVICE = typer.Option(help="Where torch runs: cpu, cuda, or auto, a GPU where there is one.")


def open_model(
    name: str,
    *,
    runtime: str = "auto",
    precision: str = "float32",
    device: str = "auto",
    proof: Proof | None = None,
) -> Encoder[Any]:
    """The encoder of this spec, which may run its folder's code where the command was told so."""
    from nearfield.encoders.load import load_encoder

    return load_encoder(
        name,
        runtime=runtime,
        precision=precision,
        device=device,
        proof=proof,
        trust_remote_code=TRUST.get(),
    )


def open_reranker(name: str, *, precision: str = "float32", device: str = "auto") -> PairScorer:
    """The reranker of this spec, which may run its folder's code where the command was told so."""
    from nearfield.encoders.load import load_reranker
    from nearfield.runtimes.options import OpenOptions

    options = OpenOptions(precision=precision, device=device, trust_remote_code=TRUST.get())
    return load_reranker(name, options)


def check_before(folder: Path, model: str) -> bool:
    """Whether the vectors are known to be by the model called `model` before that is opened, or
    fetched.

    Raises ContractError where they are known to be another's or no documents; False where only
    opening it tells.
    """
    from nearfield.encoders.load import known_files
    from nearfield.encoders.spec import ModelSpec

    files = known_files(ModelSpec.parse(model).name)
    check_maker(folder, files, model)
    return files is not None


def check_maker(folder: Path, files: str | None, model: str) -> None:
    """Raise ContractError unless the vectors are documents by the model of these files; warn where
    their folder does not say.

    Where `files` is None, its files are not known yet, and only another model of the catalog is
    seen to be another.
    """
    from nearfield.errors import ContractError, NearfieldWarning
    from nearfield.store.made_by import MadeBy

    made = MadeBy.open(folder)
    if made is None:
        message = (
            f"{folder} does not say which model made its vectors; the results mean nothing "
            f"unless it was {model}"
        )
        warnings.warn(message, NearfieldWarning, stacklevel=2)
        return
    if made.files != files if files is not None else _two_of_the_catalog(made.source, model):
        advice = f"name {made.source}, or encode the collection again"
        raise ContractError(
            f"{folder}: its vectors were made by {made.model} ({made.source}), "
            f"and {model} is another model; {advice}"
        )
    if made.role != DOCUMENT:
        raise ContractError(
            f"{folder}: its texts were encoded as {made.role}; wanted documents: "
            "encode with --role document"
        )


def files_of(encoder: Encoder[Any]) -> str:
    """The hash of the opened model's files; "" of one that has none."""
    return (encoder.identity or {}).get("files", "")


def _two_of_the_catalog(*names: str) -> bool:
    """Whether the names, with what follows an @ or without, are those of two models of the
    catalog.
    """
    from nearfield.catalog.card import catalogued

    found = {catalogued(name.partition("@")[0]) for name in names}
    return len(found) == 2 and None not in found


def ran_by(encoder: Encoder[Any]) -> str:
    """What runs the encoder, as `native float32`."""
    facts = running(encoder)
    return " ".join(filter(None, (facts["runtime"], facts["precision"])))


def running(encoder: Encoder[Any]) -> dict[str, str | None]:
    """The runtime and the precision of the encoder, and why it is these; of a bag of words, which
    has neither, that it is one.
    """
    from nearfield.encoders.text import TextEncoder

    if isinstance(encoder, TextEncoder):
        return {"runtime": encoder.runtime.name, "precision": encoder.precision, "why": encoder.why}
    return {"runtime": "words", "precision": None, "why": None}
