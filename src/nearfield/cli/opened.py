"""The model that a command opens, and what runs it there."""

from __future__ import annotations

import re
import shlex
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nearfield.cli.trust import TRUST
from nearfield.types.role import DOCUMENT

if TYPE_CHECKING:
    from nearfield.data.collection import Collection, Split
    from nearfield.encoders.encoder import Encoder
    from nearfield.encoders.pair_scorer import PairScorer
    from nearfield.runtimes.proof import Proof

TEST = "test"  # the split that is asked when no other is named
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
    """The encoder of a model of the catalog, of a model folder, or of a folder of a bag of words,
    which nothing but Python runs.

    After an @, its name may say what runs it: a runtime, a precision and a device with commas
    between, as `minilm@torch,bfloat16`; what it leaves out is as the options say. Last may come the
    task that queries are told to the model with, in words, as `e5-mistral@task=Given a claim, find
    what proves it`. `proof` is for a runtime that converts the model. Raises ContractError for a
    word that is none of these, and for a task that the model takes none of.
    """
    from nearfield.encoders.load import load_encoder, load_text_encoder

    name, task = split_task(name)
    model, asked = _asked(name, {"runtime": runtime, "precision": precision, "device": device})
    if task is None:
        return load_encoder(model, **asked, proof=proof, trust_remote_code=TRUST.get())
    opened = load_text_encoder(model, **asked, proof=proof, trust_remote_code=TRUST.get())
    return opened.instructed(task)


def open_reranker(name: str, *, precision: str = "float32", device: str = "auto") -> PairScorer:
    """The cross-encoder in a folder, whose name may say after an @ what runs it, as `open_model`'s
    may: native or torch.

    A multi-vector model orders by the similarity of its embeddings, which are made of the results
    alone. Raises ContractError for a word after the @ that is none of these, ModelError for any
    other model.
    """
    from nearfield.encoders.encoder_scorer import EncoderScorer
    from nearfield.encoders.reranker import Reranker
    from nearfield.errors import ContractError, ModelError
    from nearfield.formats.reranker_folder import is_reranker

    if not any(is_reranker(Path(folder)) for folder in (name, name.partition("@")[0])):
        encoder = open_model(name, precision=precision, device=device)
        if encoder.contract.kind == "multi-vector":
            return EncoderScorer(encoder)
        kind = encoder.contract.kind
        raise ModelError(
            f"{name}: is no cross-encoder, and orders by {kind} embeddings as a search does; "
            "wanted one, or a multi-vector model"
        )
    model, asked = _asked(name, {"runtime": "auto", "precision": precision, "device": device})
    if asked["runtime"] not in ("native", "torch", "auto"):
        raise ContractError(
            f"{name}: a cross-encoder runs on native or torch, not on {asked['runtime']}"
        )
    return Reranker.open(
        model, runtime=asked["runtime"], precision=asked["precision"], device=asked["device"]
    )


def check_before(folder: Path, model: str) -> bool:
    """Whether the vectors are known to be by the model called `model` before that is opened, or
    fetched.

    Raises ContractError where they are known to be another's or no documents; False where only
    opening it tells.
    """
    from nearfield.encoders.load import known_files

    files = known_files(_asked(split_task(model)[0], {})[0])
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


def _asked(name: str, asked: dict[str, str]) -> tuple[str, dict[str, str]]:
    """The model's own name, and `asked` (runtime, precision, device) with what the words after an @
    say instead.
    """
    from nearfield.errors import ContractError, nearest
    from nearfield.runtimes import RUNTIMES
    from nearfield.runtimes.choose import PRECISIONS

    model, at, words = name.rpartition("@")
    if not at or Path(name).exists():
        return name, asked
    for word in words.split(","):
        kinds = {
            "runtime": word in RUNTIMES,
            "precision": word in PRECISIONS,
            "device": word.partition(":")[0] in ("cpu", "cuda", "mps"),
        }
        if not any(kinds.values()):
            known = (*RUNTIMES, *PRECISIONS, "cpu", "cuda")
            raise ContractError(
                f"{name}: {word!r} is no runtime, precision or device; known: "
                f"{', '.join(known)}.{nearest(word, known)}"
            )
        asked = asked | {kind: word for kind, is_one in kinds.items() if is_one}
    return model, asked


def split_task(name: str) -> tuple[str, str | None]:
    """A model's name as the command line has it without its task, and the task in words, which is
    last and may hold anything.
    """
    found = re.fullmatch(r"(?s)([^@]*)(@|@[^@=]*,)task=(.*)", name)
    if found is None or (len(name) < 256 and Path(name).exists()):  # a longer name is no file's
        return name, None
    return found[1] + found[2].rstrip("@,"), found[3]


def short_name(name: str) -> str:
    """What a model that is called `name` on the command line is called in a table: without the
    folders that it lies in.
    """
    model, task = split_task(name)
    return Path(model).name + ("" if task is None else f"@task={task}")


def lasting_name(name: str) -> str:
    """The same name with a folder's whole path, so that it opens the model from anywhere."""
    model, task = split_task(name)
    whole = str(Path(model).resolve()) if Path(model).is_dir() else model
    return whole + name[len(model) :] if task is not None else whole


def judged_split(
    collection: Collection, name: str | None, on: str, *, models: Sequence[str] = ()
) -> Split:
    """The split called `name`, test where it is None, of the collection opened from `on`; where
    nearfield cut its splits, that is logged.

    Where no name is given and the collection has one split, of which some of the `models` were
    trained on a part, the rest of it. Raises InputError where there is no such split, saying how to
    make them.
    """
    import logging

    from nearfield.data.collection import ALL
    from nearfield.errors import InputError

    if collection.cut:
        logging.getLogger(__name__).info(
            f"{collection.name}: {collection.cut}; --split all asks every query"
        )
    if name is None and len(collection.splits) == 1:
        rest = _unseen(collection, models)
        if rest is not None:
            return rest
    name = name or TEST
    if name != ALL and collection.splits == (ALL,):
        make = f"nearfield data split {shlex.quote(on)} FOLDER"
        raise InputError(
            f"{collection.name} has no split {name!r}, only one called all. Give "
            f"--split all, or make splits first: {make}"
        )
    return collection.split(name)


def _unseen(collection: Collection, models: Sequence[str]) -> Split | None:
    """The judged queries that none of the models was trained on or chosen with, by what their
    folders say; None where that is all.

    Raises InputError where none are left.
    """
    import logging
    from functools import reduce

    from nearfield.data.trained_on import UNKNOWN, TrainedOn
    from nearfield.errors import InputError

    whole = collection.split(collection.splits[0])
    folders = [Path(_asked(split_task(model)[0], {})[0]) for model in models]
    known = reduce(lambda one, other: one | other, map(TrainedOn.read, folders), UNKNOWN)
    seen = known.seen(whole.query_texts) | known.chosen_with(whole.query_texts)
    if not seen.any():
        return None
    if seen.all():
        raise InputError(
            f"{collection.name}: the models named were trained on or chosen with all "
            f"of its {len(seen):,} queries; ask others"
        )
    left = (
        f"the {int((~seen).sum()):,} of its {len(seen):,} queries that the models named were "
        "neither trained on nor chosen with"
    )
    logging.getLogger(__name__).info(f"{collection.name}: asked are {left}")
    return whole.part((~seen).nonzero()[0].tolist(), name="unseen")


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


def proof_on(texts: Sequence[str], fidelity: float | None) -> Proof:
    """That a converted model is checked, and calibrated, on some of these texts."""
    from nearfield.runtimes.proof import CALIBRATED, Proof

    step = max(1, len(texts) // CALIBRATED)
    return Proof(tuple(str(texts[at]) for at in range(0, len(texts), step)), fidelity)
