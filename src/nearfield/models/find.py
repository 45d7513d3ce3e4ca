"""The folder of a model that is called by its name or by its place."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from nearfield.errors import ModelError, first_line, nearest
from nearfield.formats.lora_folder import adapter_place
from nearfield.formats.other_folder import refuse_other_folder
from nearfield.store.atomic import recover
from nearfield.store.inside import possible

if TYPE_CHECKING:
    from nearfield.catalog.card import Card

log = logging.getLogger(__name__)
IMAGES = "image-text"
"""The kind of the catalog whose folders nearfield.formats.towers reads."""
RUN = ("dense", "multi-vector", "several", "sparse")
"""The kinds of the catalog that encode texts."""


def model_path(name: str | Path) -> Path:
    """The folder of the model called `name`: the folder itself, else a catalogued one's in the
    cache, fetched when it is not there.

    A file or folder of word vectors (see `word_vector_blocks`) is made a static model's folder in
    the cache, and a LoRA adapter's folder is merged with its base there. Raises as load
    does.
    """
    if not possible(str(name)):
        raise ModelError(f"{str(name)[:80]!r}...: is not a possible name of a folder or a model")
    recover(name)  # what a killed process moved away
    path = Path(name)
    if path.is_dir() and adapter_place(path) is not None:
        from nearfield.models.lora.merge import merged_folder  # with torch

        return merged_folder(path, base_path)
    if path.is_dir():
        refuse_other_folder(path)
    # word vectors come as a file or a folder without either: only then is it worth looking for them
    described = (path / "config.json").exists() or (path / "modules.json").exists()
    if path.is_file() or (path.is_dir() and not described):
        # with pyarrow, which no model folder needs
        from nearfield.data.readers.word_vectors import is_word_vectors
        from nearfield.data.word_vectors import word_folder

        if is_word_vectors(path):
            return word_folder(path)
    if path.is_dir():
        from nearfield.catalog.agree import refuse_contradiction
        from nearfield.catalog.card import names

        if str(name) in names():
            log.info(f"{name} is the folder that lies here, not the model of the catalog")
        refuse_contradiction(name)
        return path
    from nearfield.catalog.card import card, catalogued
    from nearfield.catalog.fetch import fetch

    refuse_unknown_model(name)
    known = catalogued(str(name))
    if known is None:
        return path  # whose opening says that there is no such folder
    return fetch(runnable(card(known)).name)


def image_model_path(name: str | Path) -> Path:
    """The folder of the model called `name` where it may be one of images: the folder itself, else
    a catalogued one's in the cache, fetched when it is not there. Raises as `fetch` does.
    """
    from nearfield.catalog.card import card, catalogued
    from nearfield.catalog.fetch import fetch

    if not possible(str(name)) or Path(name).is_dir():
        return Path(name)
    known = catalogued(str(name))
    if known is None or card(known).kind != IMAGES:
        return Path(name)
    return fetch(known)


def refuse_unknown_model(name: str | Path) -> None:
    """Raise ModelError where `name` is no file or folder, no path, and not in the catalog."""
    from nearfield.catalog.card import catalogued, names

    text = str(name)
    if possible(text) and (Path(text).exists() or "/" in text):
        return
    if catalogued(text) is None:
        close = nearest(text, names()) or " `nearfield models` lists those that are."
        raise ModelError(f"{text}: is neither a folder nor a model of the catalog.{close}")


def base_path(name: str) -> Path:
    """The folder of an adapter's base: as `model_path`, else what the hub, or its cache, has under
    that name.

    Raises ModelError where neither knows it.
    """
    from nearfield.catalog.card import catalogued

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
    """The same card. Raises ModelError, saying why, for a model that load cannot run."""
    if known.api is not None:
        raise ModelError(
            f"{known.name} runs only behind {known.api.provider}'s API, and this needs its "
            "weights; wanted a local model"
        )
    if known.kind not in RUN:
        raise ModelError(
            f"{known.name} is a model of the kind {known.kind!r}; load runs {', '.join(RUN)} ones. "
            f"{' '.join(known.notes)}"
        )
    return known
