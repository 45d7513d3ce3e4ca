"""A model as people name it: `minilm`, `./tuned@torch,bfloat16`, `e5@task=Find what proves it`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfield.encoders.encoder import Encoder
from nearfield.errors import ContractError, ModelError, nearest
from nearfield.formats.reranker_folder import is_reranker
from nearfield.runtimes import RUNTIMES
from nearfield.similarity import EMBEDDINGS

if TYPE_CHECKING:
    from nearfield.encoders.pair_scorer import PairScorer
    from nearfield.runtimes.proof import Proof

DEVICES = ("cpu", "cuda", "mps")
_RERANKER_RUNTIMES = ("native", "torch", "auto")


@dataclass(frozen=True)
class ModelSpec:
    """A model's own name, what runs it, and the task that it is told before each query."""

    model: str
    runtime: str = "auto"
    precision: str = "float32"
    device: str = "auto"
    task: str | None = None

    def parse(self) -> ModelSpec:
        """The same with what `model` says after an @ taken out of it.

        After the @ stand a runtime, a precision and a device with commas between, as in
        `minilm@torch,bfloat16`, and last a task in words, as in `e5@task=Given a claim, find what
        proves it`. They take precedence over the other fields. Raises ContractError for any other
        word.
        """
        from nearfield.runtimes.choose import PRECISIONS

        name, task = split_task(self.model)
        model, at, words = name.rpartition("@")
        if not at or Path(name).exists():
            return replace(self, model=name, task=task)
        spec = replace(self, model=model, task=task)
        for word in words.split(","):
            if word in RUNTIMES:
                spec = replace(spec, runtime=word)
            elif word in PRECISIONS:
                spec = replace(spec, precision=word)
            elif word.partition(":")[0] in DEVICES:
                spec = replace(spec, device=word)
            else:
                known = (*RUNTIMES, *PRECISIONS, "cpu", "cuda")
                raise ContractError(
                    f"{name}: {word!r} is not a runtime, precision or device; known: "
                    f"{', '.join(known)}.{nearest(word, known)}"
                )
        return spec


def open_model(
    name: str,
    *,
    runtime: str = "auto",
    precision: str = "float32",
    device: str = "auto",
    proof: Proof | None = None,
    trust_remote_code: bool = False,
) -> Encoder[Any]:
    """The encoder of a model by its spec: of the catalog, of a model folder, or of a bag of words.

    What the spec says after the @ takes precedence over the arguments; `proof` is for a runtime
    that converts the model. Raises as `ModelSpec.parse` and `load_encoder` do, and ContractError
    for a task where the model takes none.
    """
    from nearfield.encoders.load import load_encoder, load_text_encoder

    spec = ModelSpec(name, runtime, precision, device).parse()
    asked = {"runtime": spec.runtime, "precision": spec.precision, "device": spec.device}
    if spec.task is None:
        return load_encoder(spec.model, **asked, proof=proof, trust_remote_code=trust_remote_code)
    opened = load_text_encoder(
        spec.model, **asked, proof=proof, trust_remote_code=trust_remote_code
    )
    return opened.instructed(spec.task)


def open_reranker(
    name: str,
    *,
    precision: str = "float32",
    device: str = "auto",
    trust_remote_code: bool = False,
) -> PairScorer:
    """The cross-encoder in a folder, or a multi-vector model, which scores pairs by its embeddings.

    `name` is a spec. Raises ContractError for a runtime that runs no cross-encoder, and ModelError
    for a model of another kind.
    """
    from nearfield.encoders.encoder_scorer import EncoderScorer
    from nearfield.encoders.reranker import Reranker

    if not any(is_reranker(Path(folder)) for folder in (name, name.partition("@")[0])):
        encoder = open_model(
            name, precision=precision, device=device, trust_remote_code=trust_remote_code
        )
        kind = encoder.contract.kind
        if EMBEDDINGS[kind].merges_tokens:
            return EncoderScorer(encoder)
        raise ModelError(
            f"{name}: is not a cross-encoder, and its {kind} embeddings would order results as the "
            "search does; wanted a cross-encoder or a multi-vector model"
        )
    spec = ModelSpec(name, precision=precision, device=device).parse()
    if spec.runtime not in _RERANKER_RUNTIMES:
        raise ContractError(
            f"{name}: a cross-encoder runs on native or torch, not on {spec.runtime}"
        )
    return Reranker.open(
        spec.model, runtime=spec.runtime, precision=spec.precision, device=spec.device
    )


def split_task(name: str) -> tuple[str, str | None]:
    """A spec without its task, and the task in words, which comes last and may hold anything."""
    found = re.fullmatch(r"(?s)([^@]*)(@|@[^@=]*,)task=(.*)", name)
    if found is None or (len(name) < 256 and Path(name).exists()):  # a file's name is shorter
        return name, None
    return found[1] + found[2].rstrip("@,"), found[3]


def short_name(name: str) -> str:
    """What a table calls the model of this spec: without the folders that it lies in."""
    model, task = split_task(name)
    short = Path(model).name
    return short if task is None else f"{short}@task={task}"


def lasting_name(name: str) -> str:
    """The same spec with a folder's whole path, so that it opens the model from anywhere."""
    model, _ = split_task(name)
    if not Path(model).is_dir():
        return name
    return str(Path(model).resolve()) + name[len(model) :]
