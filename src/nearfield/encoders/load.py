"""A model by name or by folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfield.encoders.encoder import Encoder
from nearfield.encoders.runtimes.proof import Proof
from nearfield.encoders.text import TextEncoder
from nearfield.errors import ContractError, ModelError, first_line, nearest
from nearfield.store.atomic import recover
from nearfield.store.fields import read_fields
from nearfield.store.fingerprint import files_hash, model_hash
from nearfield.store.lexical_folder import is_lexical
from nearfield.store.lora_folder import adapter_place
from nearfield.store.model_folder import read_model_folder
from nearfield.store.other_folder import refuse_other_folder
from nearfield.types.contract import Contract

if TYPE_CHECKING:
    from nearfield.encoders.card import Card

RUN = ("dense", "multi-vector", "several", "sparse")
"""The kinds of the catalog that load_encoder runs."""


def load_encoder(
    name: str | Path,
    *,
    runtime: str = "auto",
    precision: str = "float32",
    device: str = "auto",
    proof: Proof | None = None,
    trust_remote_code: bool = False,
) -> Encoder[Any]:
    """The encoder of a catalogued model (fetched when it is not there), of a model folder, of a
    folder by `nearfield adapt`, its model with the map behind its query vectors, or of a bag of
    words by `Lexical.save`.

    `name` is the catalog's or the hub's, or a folder. `runtime`, `precision`, `device`, `proof` and
    `trust_remote_code` are as `TextEncoder.open` takes them; a bag of words has none. Raises
    ModelError for a name that is none of them and for a catalogued model that cannot be run,
    ContractError for a folder that is called as a catalogued model and contradicts its card.
    """
    if is_lexical(name):
        from nearfield.encoders.lexical import Lexical  # with a stemmer, which no other model needs

        return Lexical.open(name)
    asked = {"runtime": runtime, "precision": precision, "device": device}
    return load_text_encoder(name, **asked, proof=proof, trust_remote_code=trust_remote_code)


def load_text_encoder(
    name: str | Path,
    *,
    runtime: str = "auto",
    precision: str = "float32",
    device: str = "auto",
    proof: Proof | None = None,
    trust_remote_code: bool = False,
) -> TextEncoder[Any]:
    """As `load_encoder`, for who needs the tokeniser or the runtime too: ModelError for a bag of
    words, which has neither.
    """
    if is_lexical(name):
        raise ModelError(
            f"{name}: is a bag of words, without the tokens and the weights that are "
            "needed here; name another model"
        )
    from nearfield.encoders.adapter import is_adapter, read_adapter

    adapter, source, files = read_adapter(name) if is_adapter(name) else (None, name, None)
    base: TextEncoder[Any] = TextEncoder.open(
        model_path(source),
        runtime=runtime,
        precision=precision,
        device=device,
        proof=proof,
        trust_remote_code=trust_remote_code,
    )
    if adapter is None:
        return base
    if model_hash(base.folder.path) != files:
        raise ContractError(
            f"{name}: was trained on vectors of another model than {source} is "
            "now; train it again: nearfield adapt"
        )
    return TextEncoder(base.folder, base.runtime, why=base.why, adapter=adapter)


def model_path(name: str | Path) -> Path:
    """The folder of the model called `name`: the folder itself, else a catalogued one's in the
    cache, fetched when it is not there.

    A file or folder of word vectors (see `word_vector_blocks`) is made a static model's folder in
    the cache, and a LoRA adapter's folder is merged with its base there. Raises as load_encoder
    does.
    """
    recover(name)
    if Path(name).is_dir() and adapter_place(Path(name)) is not None:
        from nearfield.encoders.lora.merge import merged_folder  # with torch

        return merged_folder(Path(name), base_path)
    if Path(name).is_dir():
        refuse_other_folder(Path(name))
    if Path(name).is_file() or (
        Path(name).is_dir()
        and not any((Path(name) / file).exists() for file in ("config.json", "modules.json"))
    ):
        # with pyarrow, which no model folder needs
        from nearfield.data.readers.word_vectors import is_word_vectors
        from nearfield.data.word_vectors import word_folder

        if is_word_vectors(Path(name)):
            return word_folder(Path(name))
    if Path(name).is_dir():
        from nearfield.encoders.agree import refuse_contradiction

        refuse_contradiction(name)
        return Path(name)
    from nearfield.encoders.card import card, catalogued, names
    from nearfield.encoders.fetch import fetch

    known = catalogued(str(name))
    if known is None and "/" in str(name):
        return Path(name)  # whose opening says that there is no such folder
    if known is None:
        close = nearest(str(name), names()) or " `nearfield models` lists those that are."
        raise ModelError(f"{name}: is neither a folder nor a model of the catalog.{close}")
    return fetch(runnable(card(known)).name)


def stated_contract(folder: Path) -> Contract:
    """The contract that the files of a model folder, or of a bag of words, state; the weights stay
    closed.

    Raises ModelError for a folder of something else, saying what it is, and ContractError as
    load_encoder does.
    """
    if is_lexical(folder):
        from nearfield.encoders.lexical import Lexical

        return Lexical.open(folder).contract
    if adapter_place(folder) is not None:
        advice = "name that, or make a model of both with nearfield models merge-adapter"
        raise ModelError(f"{folder}: is a LoRA adapter, which is used as its base is; {advice}")
    from nearfield.encoders.agree import refuse_contradiction

    refuse_other_folder(folder)
    refuse_contradiction(folder)
    return read_model_folder(folder, trust_remote_code=True).contract  # nothing is run


def known_files(name: str | Path) -> str | None:
    """The hash of the files of the model called `name`, as `Encoder.identity` has it; None where it
    takes fetching or opening to tell.
    """
    path = Path(name)
    if path.is_dir():
        from nearfield.encoders.adapter import FILE, is_adapter

        if is_adapter(path):  # which is opened only with the very model that it was trained on
            files: str | None = read_fields(path / FILE).text("files", None)
            return files
        whole = is_lexical(path) or any(
            (path / file).exists() for file in ("config.json", "modules.json")
        )
        return model_hash(path) if whole and adapter_place(path) is None else None
    from nearfield.encoders.card import card, catalogued
    from nearfield.encoders.fetch import installed
    from nearfield.store.home import models_folder

    known = catalogued(str(name))
    if known is None:
        return None
    if installed(card(known), models_folder() / known):
        return model_hash(models_folder() / known)
    published = card(known).files
    return (
        files_hash({Path(file): digest for file, digest in published.items()})
        if published
        else None
    )


def base_path(name: str) -> Path:
    """The folder of an adapter's base: as `model_path`, else what the hub, or its cache, has under
    that name.

    Raises ModelError where neither knows it.
    """
    from nearfield.encoders.card import catalogued

    if catalogued(name) is not None or "/" not in name:
        return model_path(name)
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(name, allow_patterns=["*.json", "*.txt", "*.model", "*.safetensors"])
        )
    except Exception as error:  # the hub's client raises a dozen kinds
        raise ModelError(f"{name}: the hub did not give it: {first_line(error)}") from error


def runnable(known: Card) -> Card:
    """The same card. Raises ModelError, saying why, for a model that load_encoder cannot run."""
    if known.api is not None:
        raise ModelError(
            f"{known.name} runs only behind {known.api.provider}'s API, which "
            "load_encoder does not ask; wanted a local model"
        )
    if known.kind not in RUN:
        raise ModelError(
            f"{known.name} is a model of the kind {known.kind!r}; load_encoder runs "
            f"{', '.join(RUN)} ones"
        )
    return known
