"""A vector folder that is searched instead of encoding the documents now."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from nearfield.catalog.card import catalogued
from nearfield.data.collection import Collection
from nearfield.encoders.encoder import Encoder
from nearfield.encoders.load import known_files
from nearfield.encoders.spec import ModelSpec
from nearfield.errors import ContractError, InputError, NearfieldWarning
from nearfield.similarity.embeddings import IDS, Embeddings
from nearfield.similarity.facts import FACTS
from nearfield.similarity.open import open_embeddings
from nearfield.similarity.stored import read_ids
from nearfield.store.made_by import MadeBy
from nearfield.types.role import DOCUMENT
from nearfield.vectors.manifest import changed_texts


@dataclass(frozen=True)
class VectorFolder:
    """Documents' vectors at `path`, as `nearfield encode` writes them, for the model of the spec
    `model`. `sure`: they are known to be that model's before it is opened.
    """

    path: Path
    model: str
    sure: bool

    @classmethod
    def of(cls, path: Path, model: str | None) -> VectorFolder:
        """The folder at `path`; its model is what made it when not given.

        Raises InputError where it holds no vectors, or does not say what made them and no model is
        given; ContractError where they are known to be another model's or not documents.
        """
        if not (path / FACTS).is_file():
            what = f"holds no {FACTS}, and so no vectors" if path.exists() else "does not exist"
            raise InputError(f"{what}; wanted a folder that `nearfield encode` wrote", path=path)
        if model is None:
            made = MadeBy.open(path)
            if made is None:
                advice = "name it with --model, or encode the collection again"
                raise InputError(f"does not say which model made its vectors; {advice}", path=path)
            model = made.source
        files = known_files(ModelSpec.parse(model).name)
        check_maker(path, files, model)
        # the files of some models are known only when they are opened: then `check` compares them
        return cls(path, model, files is not None)

    def check(self, encoder: Encoder[Any]) -> None:
        """Raise ContractError unless the vectors are by `encoder`, which was opened as `model`."""
        if not self.sure:
            check_maker(self.path, files_of(encoder), self.model)

    def documents(self, collection: Collection) -> Embeddings:
        """The vectors. Raises InputError where they are not one for each of the collection's
        documents, in their order.
        """
        stored = open_embeddings(self.path)
        ids = collection.document_ids
        if len(stored) != len(ids):
            raise InputError(
                f"holds {len(stored)} vectors, {collection.name} has {len(ids)} documents; "
                "encode it again",
                path=self.path,
            )
        # ids may be lacking, and the count alone does not tell another collection of as many
        names = read_ids(self.path)
        if names is not None and any(name != known for name, known in zip_longest(names, ids)):
            raise InputError(
                f"names other documents than {collection.name} has, or in another order; "
                "encode it again",
                path=self.path / IDS,
            )
        changed = changed_texts(self.path, collection.document_texts)
        if changed:
            raise InputError(
                f"{len(changed):,} of {len(ids):,} texts of {collection.name}, {ids[changed[0]]} "
                "the first, are others than those that were encoded; encode it again",
                path=self.path,
            )
        return stored


def check_maker(folder: Path, files: str | None, model: str) -> None:
    """Raise ContractError unless the vectors are documents by the model of these files; warn where
    their folder does not say.

    Where `files` is None, its files are not known yet, and only another model of the catalog is
    seen to be another.
    """
    made = MadeBy.open(folder)
    if made is None:
        message = (
            f"{folder} does not say which model made its vectors; the results mean nothing "
            f"unless it was {model}"
        )
        warnings.warn(message, NearfieldWarning, stacklevel=2)
        return
    other = made.files != files
    if files is None:
        # the same model may go by several names, and what the catalog does not know by any
        names = {catalogued(name.partition("@")[0]) for name in (made.source, model)}
        other = len(names) == 2 and None not in names
    if other:
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
    """The hash of the opened model's files; "" where it has none."""
    return (encoder.identity or {}).get("files", "")
