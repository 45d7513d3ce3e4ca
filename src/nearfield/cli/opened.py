"""The model that a command opens, and what runs it there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearfield.cli.console import FORMATS
from nearfield.cli.shell.trust import trusted

if TYPE_CHECKING:
    from nearfield.encoders.encoder import Encoder
    from nearfield.encoders.pair_scorer import PairScorer
    from nearfield.runtimes.proof import Proof


def model_names() -> list[str]:
    """The models that can be run by their names, for a shell to complete."""
    from nearfield.catalog.card import names

    return ["bm25", "tfidf", *names()]


Model = Annotated[
    str,
    typer.Argument(help="A model of the catalog or a model folder.", autocompletion=model_names),
]
To = Annotated[Path, typer.Option(metavar="FOLDER", help="The model folder to write.")]
On = Annotated[str, typer.Option("--on", help=f"{FORMATS}.")]
Data = Annotated[str, typer.Argument(metavar="DATA", help=f"{FORMATS}.")]
RuntimeName = Annotated[
    str,
    typer.Option(
        help="What runs the model: native, torch, openvino, onnx, or auto, the first that can."
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        help="Of the matrix products: float32, bfloat16, int8, or auto, bfloat16 where it is fast."
    ),
]
FIDELITY = typer.Option(
    help="For openvino and onnx: the cosine to float32 torch below which a "
    "converted model is refused."
)
RERANK = typer.Option(
    metavar="MODEL",
    autocompletion=model_names,
    help="Re-rank each query's top results with this model: a cross-encoder or a multi-vector one.",
)
KEEP_OWN = typer.Option(
    "--keep-own",
    help="Keep the document with a query's own id in its ranking; it is left out by default.",
)
DEPTH = typer.Option(help="How many results per query --rerank re-ranks.", min=1)
Allow = Annotated[
    list[str] | None,
    typer.Option(
        help="trained-on: measure also on queries that a model was trained on, and mark the result."
    ),
]
Device = Annotated[
    str, typer.Option(help="Where torch runs: cpu, cuda, or auto, a GPU where there is one.")
]

LogTo = Annotated[
    str,
    typer.Option(
        help="tensorboard, wandb (offline) or mlflow: tell it each step, beside training.jsonl."
    ),
]


def open_model(
    name: str,
    *,
    runtime: str = "auto",
    precision: str = "float32",
    device: str = "auto",
    proof: Proof | None = None,
) -> Encoder[Any]:
    """The encoder of this spec, which may run its folder's code where the command was told so."""
    from nearfield.encoders.load import load

    return load(
        name,
        runtime=runtime,
        precision=precision,
        device=device,
        proof=proof,
        trust_remote_code=trusted(),
    )


def open_reranker(name: str, *, precision: str, device: str) -> PairScorer:
    """The reranker of this spec, which may run its folder's code where the command was told so."""
    from nearfield.encoders.load import load_reranker
    from nearfield.runtimes.options import OpenOptions

    options = OpenOptions(precision=precision, device=device, trust_remote_code=trusted())
    return load_reranker(name, options)


def ran_by(encoder: Encoder[Any]) -> str:
    """What runs the encoder, as `native float32`."""
    facts = running(encoder)
    return " ".join(filter(None, (facts["runtime"], facts["precision"])))


def running(encoder: Encoder[Any]) -> dict[str, str | None]:
    """The runtime and the precision of the encoder, and why it is these; of what has no runtime
    (words, an API), what it is.
    """
    from nearfield.encoders.text import TextEncoder

    if isinstance(encoder, TextEncoder):
        return {"runtime": encoder.runtime.name, "precision": encoder.precision, "why": encoder.why}
    return {"runtime": encoder.kind_of_model, "precision": None, "why": None}
