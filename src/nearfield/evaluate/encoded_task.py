"""Tasks whose texts are all encoded alike, each once per model."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection as Names
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from nearfield.encoders.encoded import encoded
from nearfield.encoders.encoder import Encoder
from nearfield.errors import InputError
from nearfield.evaluate.encode_pass import Cut, speed_of
from nearfield.evaluate.encoders import LEXICAL, fitting, open_encoders
from nearfield.evaluate.systems import cuts_of, dims_left_out, untrained
from nearfield.evaluate.task import DEFAULT, Measured, Options, Task
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.arrays import Doubles
from nearfield.types.contract import Contract
from nearfield.types.price import Price
from nearfield.types.progress import Bars, Progress, no_bars, silent
from nearfield.types.role import Role


class EncodedTask(Task):
    """Several lists of texts, `parts`, and a value per item computed from their embeddings.

    The texts are encoded in the first of `roles` that a model's contract has a prompt for, else as
    `role_of_alike` says: no text of these tasks is searched for another one.
    """

    options = Task.options | {"dims", "storages", "similarity"}
    roles: ClassVar[tuple[Role, ...]] = ()
    parts: tuple[Sequence[str], ...]

    def role_of(self, part: int, contract: Contract) -> Role:
        """The role that the texts of `parts[part]` are encoded in."""
        return contract.role_of_alike(self.roles)

    def _storages(self, options: Options) -> list[str]:
        """Without those that are scored again, which is for a ranking."""
        kept = [storage for storage in options.storages if "+" not in storage]
        if not kept:
            raise InputError(
                f"{self.where}: {', '.join(options.storages)} scores what is found again, and the "
                f"task {self.name} finds nothing; leave that out"
            )
        return kept

    def noted(self, parts: Sequence[Embeddings]) -> tuple[str, ...]:
        """What the embeddings of each part say of a model besides; a note of each of its rows."""
        return ()

    @abstractmethod
    def score(self, parts: Sequence[Embeddings], measures: Sequence[str]) -> Mapping[str, Doubles]:
        """The values of each of `measures`, from the embeddings of each part; those of the last
        part may be stored as another type.
        """

    def measure(
        self,
        models: Sequence[Any],
        measures: Sequence[str],
        options: Options,
        *,
        allow: Names[str] = (),
        bars: Bars = no_bars,
    ) -> list[Measured]:
        """A row for each of dims x storages, cut from one encode pass."""
        for name in LEXICAL:
            if name in models:
                raise InputError(
                    f"{self.where}: {name} makes no vectors, which the task {self.name} needs; "
                    "leave it out"
                )
        # a conversion is proven on the last part, which is the one that is stored
        encoders = open_encoders(models, self.parts[-1], options)
        known = {name: encoder.trained_on for name, encoder in encoders.items()}
        self.refuse_trained_on(known, allow=allow)
        found = []
        for name, encoder in encoders.items():
            own = fitting(options, encoder, encoders)
            with bars(f"encoding with {name}") as progress:
                found += self.encoded(encoder, own, measures=measures, name=name, progress=progress)
        return found

    def encoded(
        self,
        encoder: Encoder[Any],
        options: Options = DEFAULT,
        *,
        measures: Sequence[str] = (),
        name: str = "",
        progress: Progress = silent,
    ) -> list[Measured]:
        """The encoder's rows by `measures`, by default the main one; the last part stored at each
        storage type.

        Where a cut departs from the contract, the contract's own is a row too, so that what it
        costs is seen. Warns and raises as `model_systems` does.
        """
        contract = encoder.contract
        left_out = dims_left_out(contract, options.dims, name)
        asked = cuts_of(contract, options.dims, self._storages(options), options.similarity)
        cuts = _with_references(contract, asked)
        total = sum(map(len, self.parts))
        done = 0
        parts = []
        for at, texts in enumerate(self.parts):
            shown = _part(progress, done, total)
            parts.append(encoded(encoder, texts, self.role_of(at, contract), progress=shown))
            done += len(texts)
        speed = speed_of(parts)
        seen = int(encoder.trained_on.seen(self.queries).sum())
        notes = (*left_out, *self.noted(parts))
        # the stored part: a price is of documents
        read = parts[-1].usage
        price = Price.of(contract.terms.price_per_million_tokens, read)
        rows = []
        for cut in cuts:
            # what is stored is quantised; the others stay float32, as queries do in a search
            *others, last = map(cut.of, parts)
            stored = last.quantise(cut.storage)
            rows.append(
                Measured(
                    name=_label(name, cut, cuts),
                    model=name,
                    scores=self.score([*others, stored], measures or self.measures[:1]),
                    dim=cut.dim,
                    storage=cut.storage,
                    bytes_per_document=stored.bytes_per_item,
                    documents_per_second=speed,
                    trained_on=seen,
                    notes=notes,
                    price=price,
                )
            )
        return rows


def _with_references(contract: Contract, cuts: Sequence[Cut]) -> list[Cut]:
    whole = [replace(cut, dim=contract.dim) for cut in cuts if untrained(contract, cut)]
    own = [replace(cut, similarity=contract.similarity) for cut in cuts]
    return list(dict.fromkeys([*cuts, *whole, *own]))


def _label(name: str, cut: Cut, cuts: Sequence[Cut]) -> str:
    if len(cuts) == 1:
        return name
    words = [name, cut.storage]
    if cut.dim is not None:
        words.insert(1, str(cut.dim))
    if len({other.similarity for other in cuts}) > 1:
        words.append(cut.similarity)
    return " ".join(words)


def _part(progress: Progress, start: int, whole: int) -> Progress:
    def show(done: int, total: int, note: str = "") -> None:
        progress(start + done, whole, note)

    return show
