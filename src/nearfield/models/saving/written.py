"""A model that was made from others, as a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nearfield.data.trained_on import keep_trained_on
from nearfield.formats.model_folder import ModelFolder
from nearfield.models.model import TextModel
from nearfield.models.saving.save import save_encoder
from nearfield.store.atomic import check_replaceable, staged_folder, write_json

FILE = "algebra.json"


@dataclass(frozen=True)
class Made:
    """The folder that was written, how it is called, and bytes of weights and tokeniser before and
    after.
    """

    folder: Path
    name: str
    before: int
    after: int


def write_made(
    model: TextModel,
    to: str | Path,
    *,
    name: str,
    about: Mapping[str, object],
    amend: Callable[[Path], None] | None = None,
    others: Sequence[Path] = (),
) -> Made:
    """Write `model` as `save_encoder` does, let `amend` change files of the folder, and say
    in algebra.json what it is made from (`about`); `others` are the folders of further models that
    it is made from. Whole or not at all. Raises StorageError when writing fails.
    """
    source = model.folder
    inner = source.transformer.relative_to(source.path)
    with staged_folder(to) as stage:
        save_encoder(model, stage, name=name)
        keep_trained_on([source.path, *others], stage)
        if amend is not None:
            amend(stage)
        write_json(stage / FILE, {"format": 1, **about})
    folder = Path(to)
    return Made(folder, name, stored_bytes(source), _bytes(folder, folder / inner))


def check_target(to: str | Path) -> None:
    """Raise InputError where something is at `to` that was not made so, and StorageError where
    nothing can be written there.
    """
    check_replaceable(to, marker=FILE, what="a model that was made so")


def stored_bytes(folder: ModelFolder) -> int:
    """What a model's weights and its tokenizer.json take on disk."""
    return _bytes(folder.path, folder.transformer)


def _bytes(path: Path, transformer: Path) -> int:
    weights = {*transformer.glob("model*.safetensors"), *path.glob("*/model.safetensors")}
    # torch's own files are read only where there are no safetensors
    files = weights or {*transformer.glob("pytorch_model*.bin")}
    files.add(transformer / "tokenizer.json")
    return sum(file.stat().st_size for file in files if file.is_file())
