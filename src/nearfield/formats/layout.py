"""What a layout of model folders is: how one is recognised and read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfield.errors import ModelError
from nearfield.formats.honoured import NORMALIZE, refuse_unhonoured
from nearfield.formats.modules import Module, read_modules
from nearfield.formats.remote_code import refuse_foreign_modules, remote_code
from nearfield.formats.router import routed
from nearfield.formats.stated import read_stated
from nearfield.store.fields import Fields, read_fields, read_optional

if TYPE_CHECKING:
    from nearfield.formats.model_folder import ModelFolder


@dataclass(frozen=True)
class Files:
    """A model folder's own files, each read when a layout asks for it. `trusted`: code that they
    name may be run.
    """

    path: Path
    trusted: bool = False

    @cached_property
    def own(self) -> Fields:
        """config_sentence_transformers.json."""
        return read_optional(self.path / "config_sentence_transformers.json")

    @cached_property
    def stated(self) -> dict[str, Any]:
        """What nearfield.json states of the contract."""
        return read_stated(self.path)

    @cached_property
    def modules(self) -> list[Module]:
        """The modules that texts, or documents, go through; none where the folder names none."""
        return routed(read_modules(self.path))

    @property
    def kinds(self) -> list[str]:
        """The kinds of `modules`."""
        return [module.kind for module in self.modules]

    def folders(self, kind: str) -> list[Path]:
        """The folders of the modules of this kind."""
        return [module.folder for module in self.modules if module.kind == kind]

    @cached_property
    def transformer(self) -> Path:
        """The folder of the backbone's files. Raises ModelError where it has no config.json."""
        found = self.folders("Transformer")
        folder = found[0] if found else self.path
        if not (folder / "config.json").exists():
            raise ModelError(
                f"{self.path}: is not a model folder: it has no config.json; wanted config.json, "
                "tokenizer.json and model.safetensors"
            )
        return folder

    @cached_property
    def config(self) -> Fields:
        """The transformer's config.json."""
        return read_fields(self.transformer / "config.json")

    def normalises(self, default: bool) -> bool:
        """Whether vectors get unit length: as the modules say, else as nearfield.json does."""
        normalising = self.folders("Normalize")
        for folder in normalising:
            refuse_unhonoured(read_optional(folder / "config.json"), NORMALIZE)
        # where there are modules they say all, and a missing Normalize says no
        return bool(normalising) if self.modules else self.stated.get("normalise", default)

    def code(self, task: str = "") -> tuple[Path, ...]:
        """See `remote_code`, for the head of `task`."""
        return remote_code(self.transformer, task=task, trusted=self.trusted)

    def refuse_modules(self, known: tuple[str, ...], wanted: str, *, fit: bool) -> None:
        """Raise ModelError, saying what is `wanted`, where there is a module of another kind than
        those `known`, or they do not `fit` together.
        """
        wrong = [kind for kind in self.kinds if kind not in known]
        if wrong or not fit:
            said = f"modules are {', '.join(self.kinds)}"
            if wrong:
                said = f"module {wrong[0]} is not supported"
            raise ModelError(f"{self.path / 'modules.json'}: {said}; wanted {wanted}")


def open_files(path: str | Path, *, trusted: bool = False) -> Files:
    """The files of the folder at `path`. Raises ModelError where there is no such folder, and for a
    module whose code is never run here.
    """
    path = Path(path)
    if not path.is_dir():
        raise ModelError(
            f"{path}: there is no such folder; a model is a folder with config.json, "
            "tokenizer.json and model.safetensors"
        )
    # before any layout looks at the folder: none of them has to think of foreign code
    refuse_foreign_modules(path)
    return Files(path, trusted)


class Layout(ABC):
    """One layout of model folders; `head` is the name of its models' head in
    nearfield.models.heads.
    """

    head: str = "dense"

    @abstractmethod
    def recognises(self, files: Files) -> bool:
        """Whether the folder is of this layout, as far as it says what it is."""

    @abstractmethod
    def read(self, files: Files) -> ModelFolder:
        """What the folder says. Raises ModelError and ContractError as `read_model_folder`."""
