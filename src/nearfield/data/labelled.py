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

    Raises CollectionError for fewer than two labels.
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
            one = f"every text has the label {next(iter(known), '')!r}"
            got = one if known else "no text is in train or test"
            raise CollectionError(f"{self.called}: {got}; wanted at least {FEWEST} labels")

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
        together, so that the cut stays as rows come and go. Rows that are alike count once. Raises
        CollectionError where there are other splits and no test split.
        """
        splits = {split or TRAIN for _, _, split in rows}
        cut = TEST not in splits
        if cut and not splits <= {TRAIN, "dev"}:
            raise CollectionError(
                f"{place or name}: the splits are {', '.join(sorted(splits))}; wanted one called "
                "test, or no splits but train and dev"
            )
        held = _held_out([text for text, _, split in rows if cut and split in ("", TRAIN)])
        parts: dict[str, list[tuple[str, str]]] = {TRAIN: [], TEST: []}
        for text, label, split in dict.fromkeys(rows):
            part = split or TRAIN
            if part == TRAIN and text in held:
                part = TEST
            parts.setdefault(part, []).append((text, label))
        train = _in_columns(parts[TRAIN])
        return cls(name, train, _in_columns(parts[TEST]), source=str(place), cut=cut)


def _held_out(texts: Sequence[str]) -> set[str]:
    """A fifth of the texts, by their hashes; of a few one at least."""
    parts = {}
    for text in texts:
        digest = hashlib.sha256(text.strip().lower().encode("utf-8", "replace")).digest()
        parts[text] = int.from_bytes(digest[:8], "big") % _PARTS
    # the first part, which may be empty where there are few
    least = min(parts.values(), default=0)
    return {text for text, part in parts.items() if part == least}


def _in_columns(rows: list[tuple[str, str]]) -> LabelledTexts:
    texts = tuple(text for text, _ in rows)
    return LabelledTexts(texts, tuple(label for _, label in rows))
