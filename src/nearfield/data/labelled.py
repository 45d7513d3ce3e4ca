"""Texts with a label each, in a train and a test part."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from nearfield.data.record import Place
from nearfield.errors import CollectionError

TRAIN, TEST = "train", "test"
FEWEST = 2  # labels that there are to choose from
_PARTS = 5  # of which one is the test part, where none is given


@dataclass(frozen=True)
class LabelledTexts:
    """Texts and the label of each, in order."""

    texts: Sequence[str]
    labels: Sequence[str]

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class Labelled:
    """Texts with labels: `train`, which may be empty, to learn them from, and `test`.

    `cut` says that nearfield cut the test part. `templates` are what a label's name is written
    into for zero-shot, in place of their {}.

    Raises CollectionError for fewer than two labels, and where the test part is empty.
    """

    name: str
    train: LabelledTexts
    test: LabelledTexts
    source: str = ""
    cut: bool = False
    templates: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        known = set(self.train.labels) | set(self.test.labels)
        if len(known) < FEWEST:
            got = f"every text has the label {next(iter(known))!r}" if known else "no text"
            raise CollectionError(f"{self.called}: {got}; wanted at least {FEWEST} labels")
        if not len(self.test):
            raise CollectionError(f"{self.called}: no text is in the test part")

    @property
    def called(self) -> str:
        """What an error calls the texts: what they were opened from, else their name."""
        return self.source or self.name

    @classmethod
    def of(
        cls, rows: Sequence[tuple[str, str, str]], *, name: str = "data", place: Place = ""
    ) -> Labelled:
        """Of rows of text, label and split; rows of the dev split are left out.

        Without a test split a fifth is cut: the same texts wherever they stand, equal ones
        together, so that the cut stays as rows come and go. Rows that are alike count once.
        """
        cut = all(split != TEST for _, _, split in rows)
        train: list[tuple[str, str]] = []
        test: list[tuple[str, str]] = []
        for text, label, split in dict.fromkeys(rows):
            part = split or TRAIN
            if cut and part == TRAIN and _held_out(text):
                part = TEST
            if part == TRAIN:
                train.append((text, label))
            elif part == TEST:
                test.append((text, label))
        return cls(name, _in_columns(train), _in_columns(test), source=str(place), cut=cut)


def _held_out(text: str) -> bool:
    digest = hashlib.sha256(text.strip().lower().encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:8], "big") % _PARTS == 0


def _in_columns(rows: list[tuple[str, str]]) -> LabelledTexts:
    texts = tuple(text for text, _ in rows)
    return LabelledTexts(texts, tuple(label for _, label in rows))
