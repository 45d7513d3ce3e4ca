"""What a check of the doctor's is, and what it states of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nearfield.data.collection import Collection
from nearfield.data.doctor.subject import Subject
from nearfield.data.pairs import Pairs

COLLECTION, PAIRS, BOTH = (Collection,), (Pairs,), (Collection, Pairs)
ALONE = "each text alone"
COPIES = "each text with its copies"
ALL = "each text with all others"


@dataclass(frozen=True)
class Found:
    """What a check found: `count` of `total` items are affected, and `example` shows one of them.

    `fix` says what to do where that is not what the check always says.
    """

    severity: str
    count: int
    total: int
    example: str
    fix: str = ""


@dataclass(frozen=True)
class Check:
    """Looks for one fault in what it `examines` (Collection, Pairs, or both).

    `compares` says how texts are compared, which is what its cost depends on; `fix` says what to do
    about the fault. Without a model, what depends on one is not looked for.
    """

    look: Callable[[Subject], Found | None]
    examines: tuple[type, ...]
    compares: str
    fix: str

    @property
    def cheap(self) -> bool:
        """Whether it compares no texts with all others: what a measurement can afford to ask before
        it.
        """
        return self.compares != ALL

    def __call__(self, subject: Subject) -> Found | None:
        """What is wrong; None where nothing is."""
        return self.look(subject)


def check(
    examines: tuple[type, ...], compares: str = ALONE, *, fix: str = ""
) -> Callable[[Callable[[Subject], Found | None]], Check]:
    """Make a check of a function, whose findings say `fix` where they say nothing else."""
    return lambda look: Check(look, examines, compares, fix)
