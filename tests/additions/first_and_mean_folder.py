"""A folder that holds first_and_mean.json: its head puts two states side by side."""

from __future__ import annotations

from nearfield.formats.layout import Files, Layout
from nearfield.formats.model_folder import ModelFolder
from nearfield.formats.stated import whole_contract
from nearfield.formats.transformer_settings import max_tokens_of, read_settings


class FirstAndMeanFolder(Layout):
    """A transformer alone, twice whose dimensions the vectors have."""

    head = "first-and-mean"

    def recognises(self, files: Files) -> bool:
        return (files.path / "first_and_mean.json").exists()

    def read(self, files: Files) -> ModelFolder:
        limits = read_settings(files.transformer, "dense")
        facts = {
            "kind": "dense",
            "dim": 2 * files.config.integer("hidden_size"),
            "max_tokens": max_tokens_of(files.transformer, files.config, limits, files.stated),
            "pooling": "mean",
            "include_prompt": True,
            "normalise": True,
        }
        contract = whole_contract(facts, files.stated, files.own, similarity="cosine")
        return ModelFolder(files.path, self.head, contract, files.transformer)


LAYOUT = FirstAndMeanFolder()
