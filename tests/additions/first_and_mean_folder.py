"""A pooled model whose folder holds first_and_mean.json: its head puts two states side by side."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nearfield.formats.layout import Files
from nearfield.formats.model_folder import ModelFolder
from nearfield.formats.pooled_folder import Pooled


@dataclass(frozen=True)
class FirstAndMeanFolder(Pooled):
    """As a pooled folder, with twice the dimensions."""

    name: str = "first-and-mean"
    head: str = "first-and-mean"

    def recognises(self, files: Files) -> bool:
        return (files.path / "first_and_mean.json").exists()

    def read(self, files: Files) -> ModelFolder:
        folder = super().read(files)
        dim = 2 * files.config.integer("hidden_size")
        return replace(folder, contract=replace(folder.contract, dim=dim))


LAYOUT = FirstAndMeanFolder()
