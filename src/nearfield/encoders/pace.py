"""How many rows are written at once, so that a run that is killed loses little."""

from __future__ import annotations

SECONDS = 30.0  # of work between two times that what was made is written: what a kill costs
FIRST, GROWTH = 16, 4  # rows of the first piece, and how many times as many each next one may have


class Pace:
    """The rows of the next piece of many, by how long those before took; `SECONDS` at most, and
    few until that is known.
    """

    def __init__(self, first: int | None = None) -> None:
        self.rows = first or FIRST

    def took(self, rows: int, made: int, seconds: float) -> None:
        """`rows` rows took so many seconds; `made` of them went through the model, and the others
        cost nothing.
        """
        self.rows = GROWTH * rows
        if made:
            fitting = int(made * SECONDS / max(seconds, 1e-9))
            self.rows = max(1, min(fitting, self.rows))
