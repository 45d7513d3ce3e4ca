"""A model by name or by folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfield.encoders.encoder import Encoder
from nearfield.encoders.text import TextEncoder
from nearfield.errors import ContractError, ModelError
from nearfield.formats.lora_folder import adapter_place
from nearfield.formats.model_folder import read_model_folder
from nearfield.formats.other_folder import is_lexical, refuse_other_folder
from nearfield.models.find import model_path
from nearfield.runtimes.proof import Proof
from nearfield.store.fields import read_fields
from nearfield.store.fingerprint import files_hash, model_hash
from nearfield.types.contract import Contract

if TYPE_CHECKING:
    pass


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
    from nearfield.catalog.agree import refuse_contradiction

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
    from nearfield.catalog.card import card, catalogued
    from nearfield.catalog.fetch import installed
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
