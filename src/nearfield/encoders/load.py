"""A model by name or by folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from nearfield.data.chunk.chunking import Chunking
from nearfield.encoders import IMAGE_ENCODERS
from nearfield.encoders.encoder import Encoder
from nearfield.encoders.pair_scorer import PairScorer
from nearfield.encoders.remote.address import Address
from nearfield.encoders.spec import ModelSpec
from nearfield.encoders.text import TextEncoder
from nearfield.errors import ContractError, ModelError
from nearfield.formats.lora_folder import adapter_place
from nearfield.formats.model_folder import read_model_folder
from nearfield.formats.other_folder import (
    LEXICAL,
    is_centred,
    is_lexical,
    refuse_other_folder,
)
from nearfield.formats.reranker_folder import is_reranker
from nearfield.formats.towers.find import image_layout
from nearfield.models.find import image_model_path, model_path
from nearfield.runtimes.options import AUTO, DEFAULTS, OpenOptions
from nearfield.runtimes.proof import BUILT_IN, Proof
from nearfield.similarity import EMBEDDINGS
from nearfield.store.fields import read_fields
from nearfield.store.fingerprint import OpenedFiles, files_hash, model_hash
from nearfield.types.contract import Contract


def load(
    name: str | Path,
    *,
    runtime: str = AUTO,
    precision: str = "float32",
    device: str = AUTO,
    proof: Proof | None = None,
    trust_remote_code: bool = False,
) -> Encoder[Any]:
    """The encoder of a model by its name.

    `name` is a model of the catalog (fetched when it is not there) or of the hub, a model folder, a
    folder that `nearfield adapt`, `Lexical.save` or `Centred.save` wrote, a model behind an API
    such as `openai:text-embedding-3-small` or `http://host/v1#model`, or a spec of one, such as
    `minilm@int8` or `minilm@chunk=200` (see `ModelSpec.parse`), whose words take precedence over
    the arguments. These are as in `OpenOptions`; a bag of words and an API have none. Raises
    ModelError for a name that is none of them and for a catalogued model that cannot be run,
    InputError for an API without its key in the environment, ContractError for a word of a spec
    that is not known, for a task where the model takes none, and for a folder that is called as a
    catalogued model and contradicts its card.
    """
    return _load(
        name, OpenOptions(runtime, precision, device, proof or BUILT_IN, trust_remote_code)
    )


def _load(name: str | Path, options: OpenOptions) -> Encoder[Any]:
    spec = ModelSpec.parse(name)
    if spec.chunking is not None:
        return _chunked(spec, spec.chunking, options)
    # The order counts: an API has no folder, and only a model of texts takes changes of its
    # contract, so that both are settled before a folder's files are looked at.
    address = Address.parse(spec.name)
    if address is not None:
        from nearfield.encoders.remote.encoder import RemoteEncoder

        return RemoteEncoder.open(spec, address)
    if spec.changes:
        return load_text_encoder(name, options)
    remote = _adapted_remote(spec)
    if remote is not None:
        return remote
    if is_lexical(spec.name) and spec.task is None:
        from nearfield.encoders.lexical import Lexical  # with a stemmer, which no other model needs

        return Lexical.open(spec.name)
    if is_centred(spec.name):
        return _centred(spec, options)
    place = image_model_path(spec.name)
    layout = image_layout(place)
    if layout is not None:
        encoder = IMAGE_ENCODERS[layout.opens]  # with transformers' models
        found = layout.read(place)  # refuses a folder that leads out of itself
        files = OpenedFiles(place)  # before its weights are read
        made = encoder.open(found, spec.options(options))
        made.opened = files
        return made
    return load_text_encoder(name, options)


def _chunked(spec: ModelSpec, chunking: Chunking, options: OpenOptions) -> Encoder[Any]:
    from nearfield.encoders.chunked import Chunked, LateChunked

    if not chunking.late:
        return Chunked(_load(spec.whole, options), chunking)
    if options.runtime == AUTO:  # only torch gives the states of tokens
        options = replace(options, runtime="torch")
    return LateChunked(load_text_encoder(spec.whole, options), chunking)


def load_text_encoder(name: str | Path, options: OpenOptions = DEFAULTS) -> TextEncoder[Any]:
    """Like load, but always returns a TextEncoder: raises ModelError for a bag of words,
    which has neither a tokeniser nor weights.
    """
    spec = ModelSpec.parse(name)
    if spec.chunking is not None:
        raise ContractError(
            f"{name}: chunks are for encoding and searching; leave them out, or write them with "
            "nearfield chunk"
        )
    if spec.dim is not None:
        raise ContractError(
            f"{name}: dim= is for models behind an API; a local model's vectors are cut where they "
            "are used"
        )
    encoder = _opened(spec, spec.options(options))
    if spec.task is None:
        return encoder
    return encoder.instructed(spec.task)


def load_reranker(name: str | Path, options: OpenOptions = DEFAULTS) -> PairScorer:
    """The reranker of a spec: a cross-encoder's folder, or a multi-vector model, which scores pairs
    by its embeddings.

    Raises as load does, and ModelError for a model of another kind.
    """
    from nearfield.encoders.encoder_scorer import EncoderScorer
    from nearfield.encoders.reranker import Reranker

    spec = ModelSpec.parse(name)
    address = Address.parse(spec.name)
    if address is not None:
        from nearfield.encoders.remote.reranker import RemoteReranker

        return RemoteReranker(address)
    if is_reranker(Path(spec.name)):
        return Reranker.open(name, options)
    encoder = load_text_encoder(name, options)
    kind = encoder.contract.kind
    if EMBEDDINGS[kind].merges_tokens:
        return EncoderScorer(encoder)
    raise ModelError(
        f"{name}: is not a cross-encoder, and its {kind} embeddings would order results as the "
        "search does; wanted a cross-encoder or a multi-vector model"
    )


def _adapted_remote(spec: ModelSpec) -> Encoder[Any] | None:
    """The encoder of an adapter's folder whose model is behind an API; None for all else."""
    from nearfield.encoders.adapter import is_adapter, read_adapter

    if not is_adapter(spec.name):
        return None
    adapter, source, files = read_adapter(spec.name)
    known = ModelSpec.parse(source)
    address = Address.parse(known.name)
    if address is None:
        return None
    from nearfield.encoders.adapted import Adapted
    from nearfield.encoders.remote.encoder import RemoteEncoder

    if address.files != files:
        raise ContractError(f"{spec.name}: was trained on vectors of {files}, not {address.files}")
    return Adapted(RemoteEncoder.open(known, address), adapter)


def _centred(spec: ModelSpec, options: OpenOptions) -> Encoder[Any]:
    """The centred model of a folder, whose own model is opened as the spec says."""
    from nearfield.encoders.image.centred import Centred, read_centred

    means, lengths, facts = read_centred(spec.name)
    source = facts["source"]
    encoder = _load(source, spec.options(options))
    if (encoder.identity or {}).get("files") != facts["files"]:
        raise ContractError(
            f"{spec.name}: was made for another model than {source} is now; make it again: "
            "nearfield models centre"
        )
    return Centred(encoder, means, lengths, model_hash(Path(spec.name)))


def _opened(spec: ModelSpec, options: OpenOptions) -> TextEncoder[Any]:
    from nearfield.encoders.adapter import is_adapter, read_adapter

    name = spec.name
    changes = dict(spec.changes)
    if not is_adapter(name):
        return TextEncoder.open(model_path(name), options, changes=changes)
    if changes:
        raise ContractError(f"{name}: is an adapter of vectors as they are; leave out {spec.after}")
    adapter, source, files = read_adapter(name)
    base = TextEncoder.open(model_path(source), options)
    if model_hash(base.folder.path) != files:
        raise ContractError(
            f"{name}: was trained on vectors of another model than {source} is "
            "now; train it again: nearfield adapt"
        )
    return TextEncoder(base.folder, base.runtime, why=base.why, adapter=adapter)


def stated_contract(folder: Path) -> Contract:
    """The contract that the files of a model folder, or of a bag of words, state; the weights stay
    closed.

    Raises ModelError for a folder of something else, saying what it is, and ContractError as
    load does.
    """
    if is_lexical(folder):
        from nearfield.encoders.lexical import Lexical

        return Lexical.open(folder).contract
    layout = image_layout(folder)
    if layout is not None:
        contract: Contract = layout.read(folder).contract
        return contract
    if adapter_place(folder) is not None:
        advice = "name that, or make a model of both with nearfield models merge-adapter"
        raise ModelError(f"{folder}: is a LoRA adapter, which is used as its base is; {advice}")
    from nearfield.catalog.agree import refuse_contradiction

    refuse_other_folder(folder)
    refuse_contradiction(folder)
    return read_model_folder(folder, trust_remote_code=True).contract  # nothing is run


def known_files(name: str | Path) -> str | None:
    """The hash of the files of the model called `name`, as `Encoder.identity` has it; None where it
    takes fetching or opening to tell.
    """
    address = Address.parse(name)
    if address is not None:
        return address.files
    path = Path(name)
    if path.is_dir():
        from nearfield.encoders.adapter import FILE, is_adapter

        if is_centred(path):
            return model_hash(path)
        if is_adapter(path):  # which is opened only with the very model that it was trained on
            files: str | None = read_fields(path / FILE).text("files", None)
            return files
        # a LoRA adapter is opened merged with its base, whose hash the adapter's folder does not
        # tell
        stated = any((path / file).exists() for file in ("config.json", "modules.json", LEXICAL))
        if stated and adapter_place(path) is None:
            return model_hash(path)
        return None
    from nearfield.catalog.card import card, catalogued
    from nearfield.catalog.fetch import installed
    from nearfield.store.home import models_folder

    known = catalogued(str(name))
    weights = None if known is None else card(known).weights
    if known is None or weights is None:
        return None
    if installed(card(known), models_folder() / known):
        return model_hash(models_folder() / known)
    if not weights.files:
        return None
    return files_hash({Path(file): digest for file, digest in weights.files.items()})
