"""What turns items into embeddings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Generic

import numpy as np
from typing_extensions import TypeVar

from nearfield.data.chunk.chunks import words
from nearfield.data.trained_on import UNKNOWN, TrainedOn
from nearfield.errors import ContractError, InputError, ModelError
from nearfield.similarity.dense import Dense
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.arrays import Floats, Positions
from nearfield.types.contract import Contract
from nearfield.types.figures import has_figures
from nearfield.types.forecast import Forecast
from nearfield.types.item import Item, is_image_url
from nearfield.types.progress import Progress, silent
from nearfield.types.role import DOCUMENT, QUERY, Role

E = TypeVar("E", bound=Embeddings, default=Dense, covariant=True)


# what of a contract, beside a role's prompt, changes a vector
_OF_A_VECTOR = (
    "dim",
    "kind",
    "max_tokens",
    "max_terms",
    "pooling",
    "include_prompt",
    "normalise",
    "layer_norm",
)


class Encoder(ABC, Generic[E]):
    """A model under its contract; `Encoder[Sparse]` makes `Sparse` embeddings, and `Encoder` alone
    `Dense` ones.

    `reads_images`: images are items of it, too. `worth_caching`: looking a vector up is quicker
    than making it again, and the encoder does not do so itself. `kind_of_model` is what makes the
    embeddings where that is no runtime.
    """

    contract: Contract
    reads_images: bool = False
    worth_caching: bool = True
    kind_of_model: str = "words"

    @property
    def identity(self) -> dict[str, str] | None:
        """What its vectors depend on beside texts and prompts: the hash of the model's `files`,
        precision, runtime.

        None where it cannot tell, which is the default: its vectors are then not cached.
        """
        return None

    def facts(self, role: Role) -> dict[str, str] | None:
        """All that an embedding in `role` depends on beside its text, which the vector cache tells
        uses by; None where that is not known. Raises ContractError for an unknown role.
        """
        use = {"role": role, "prompt": self.contract.prompt(role)}
        identity = self.identity
        if identity is None:
            return None
        if identity.get("precision") == "int8" and identity.get("runtime") in ("openvino", "onnx"):
            # its ranges are taken from the texts of this very input, so that another input's
            # vectors are of another model
            return None
        made_by = {name: str(getattr(self.contract, name)) for name in _OF_A_VECTOR}
        return identity | use | made_by

    @property
    def trained_on(self) -> TrainedOn:
        """The queries that it was trained on, as far as it knows."""
        return UNKNOWN

    @property
    def roles_differ(self) -> bool:
        """Whether the same text is encoded in another way as a query than as a document."""
        return self.contract.prompt(QUERY) != self.contract.prompt(DOCUMENT)

    def forecast(self, items: Sequence[str], role: Role) -> Forecast | None:
        """What encoding the items would cost; None where nobody is paid."""
        return None

    def encode(
        self, items: Sequence[Item], role: Role | None = None, *, progress: Progress = silent
    ) -> E:
        """Embeddings of n items, in their order, float32: of a dense model (n, dim).

        No role is needed where queries and documents are encoded alike. Warns with
        TruncationWarning where items were cut to the contract's max_tokens; the counts are in
        `.usage`. Raises ContractError for a role that the contract does not know, and where one
        has to be stated.
        """
        if role is None and self.roles_differ:
            raise ContractError(
                f"{self.contract.name} encodes queries and documents in different ways; call "
                "encode_query or encode_document, or state the role"
            )
        return self.encode_as(DOCUMENT if role is None else role, items, progress=progress)

    def encode_query(self, items: Sequence[Item], *, progress: Progress = silent) -> E:
        """Embeddings of n queries: as `encode` in the role query."""
        return self.encode_as(QUERY, items, progress=progress)

    def encode_document(self, items: Sequence[Item], *, progress: Progress = silent) -> E:
        """Embeddings of n documents: as `encode` in the role document."""
        return self.encode_as(DOCUMENT, items, progress=progress)

    @abstractmethod
    def encode_as(self, role: Role, items: Sequence[str], *, progress: Progress = silent) -> E:
        """What `encode` gives of the items in `role`."""

    def encode_mixed(
        self, items: Sequence[str], roles: Sequence[Role], *, progress: Progress = silent
    ) -> E:
        """Embeddings of `items`, each in its own of `roles`, in their order; every vector is that
        of `encode` in its role.

        Raises InputError where there are not as many roles as items, and as `encode` does.
        """
        places = places_by_role(items, roles)
        if not places:
            return self.encode_as(DOCUMENT, items)
        parts = []
        for role, at in places.items():
            own = [items[place] for place in at]
            parts.append((at, self.encode_as(role, own)))
        # by the class of what was made, as a folder's head decides on the kind
        made: E = type(parts[0][1]).placed(parts, len(items))
        counts = [part.counts for _, part in parts if part.counts is not None]
        if len(counts) == len(parts):
            # the inverse of the permutation that the places of all roles are
            order = np.argsort(np.concatenate(list(places.values())))
            joined: Any = made
            made = replace(joined, counts=np.concatenate(counts)[order])
        return made

    def token_starts(self, text: str) -> Sequence[int]:
        """Where each token of a text starts, in characters, in ascending order; where the encoder
        cannot tell, each word.
        """
        return words(text)

    def room(self, role: Role) -> int:
        """The most tokens of a text that are read, beside what is put around it in `role`."""
        return self.contract.max_tokens

    def names(self, terms: Sequence[int]) -> list[str]:
        """What the dimensions `terms` of sparse embeddings stand for; their numbers where the
        encoder has no words for them.
        """
        return [str(term) for term in terms]

    def rarest_first(self, terms: list[int]) -> list[int]:
        """The dimensions `terms` by how rare they are, where the encoder knows that; else as they
        are.
        """
        return terms

    def unknown(self, text: str) -> list[str]:
        """The words of `text` that the encoder has no term for, and leaves out; none where it has
        one for all.
        """
        return []

    def stopped(self, text: str) -> list[str]:
        """The words of `text` that the encoder leaves out as stop words; none where it has no stop
        list.
        """
        return []

    def read(self, item: str, role: Role) -> list[str] | None:
        """What each vector of the multi-vector embedding of `item` stands for, in order; None where
        the encoder cannot tell.
        """
        return None

    def token_parts(self, item: str, role: Role) -> tuple[list[str], Floats] | None:
        """What the dense vector of `item` is the sum of, up to its length: the k tokens and a
        vector for each, (k, dim) float32. None where it is no such sum.
        """
        return None


def places_by_role(items: Sequence[str], roles: Sequence[Role]) -> dict[Role, Positions]:
    """The positions of the items of each role. Raises InputError where there are not as many roles
    as items.
    """
    if len(roles) != len(items):
        raise InputError(
            f"got {len(items)} items and {len(roles)} roles; wanted a role for each item"
        )
    places: dict[Role, list[int]] = {}
    for at, role in enumerate(roles):
        places.setdefault(role, []).append(at)
    return {role: np.array(own) for role, own in places.items()}


def refuse_images(items: Sequence[object], name: str) -> None:
    """Raise ModelError where one of `items` is the data URL of an image, which the model `name`
    would take for a text.
    """
    for at, item in enumerate(items):
        if is_image_url(item):
            raise ModelError(f"item {at} is an image, and {name} reads texts alone")


def refuse_figures(items: Sequence[object], name: str) -> None:
    """Raise InputError where one of `items` is a document with figures, which are no words."""
    for at, item in enumerate(items):
        if isinstance(item, str) and has_figures(item):
            raise InputError(
                f"item {at} has figures; {name}@chunk=200 gives each of them a vector, and each "
                "chunk of its text"
            )


def refuse_one_text(items: Sequence[str]) -> None:
    """Raise InputError where `items` is one text, whose characters would be taken for texts."""
    if isinstance(items, str):
        raise InputError(f"got one text where a list of texts is wanted; write [{items[:20]!r}]")
