"""One judge, going through what is to be judged."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any

from nearfield.errors import InputError
from nearfield.evaluate.judging.judgements import Judgements
from nearfield.evaluate.judging.pool import Pooled


class Assessor:
    """`items` before one judge, who gives grades from 0 to `highest`; what that judge has judged
    in the file before is not asked again. Safe to call from several threads.
    """

    def __init__(
        self, items: Sequence[Pooled], judgements: Judgements, judge: str, *, highest: int = 1
    ) -> None:
        self.items = items
        self.judgements = judgements
        self.judge = judge
        self.highest = highest
        self._made: list[int] = []
        self._lock = Lock()

    def grade(self, item: Pooled) -> int | None:
        """The judge's, None where there is none yet."""
        return self.judgements.by_judge.get(self.judge, {}).get(_pair(item))

    def next(self) -> dict[str, Any]:
        """The first item that is not judged, as `shown`."""
        for at, item in enumerate(self.items):
            if self.grade(item) is None:
                return self.shown(at)
        return self.shown(None)

    def shown(self, at: int | None) -> dict[str, Any]:
        """The item at `at`, None for none, with its grade, and how much is done of all."""
        done = sum(self.grade(item) is not None for item in self.items)
        facts: dict[str, Any] = {
            "item": at,
            "done": done,
            "of": len(self.items),
            "highest": self.highest,
        }
        if at is None:
            return facts
        item = self.items[at]
        facts |= {"query": item.query_text, "title": item.title, "text": item.text}
        return facts | {"grade": self.grade(item)}

    def judged(self, at: int, relevance: int) -> dict[str, Any]:
        """Keep a grade of the item at `at`, and give the next. Raises InputError for a place and a
        grade that there are not.
        """
        if not 0 <= at < len(self.items) or not 0 <= relevance <= self.highest:
            raise InputError(f"there is no item {at} to be graded {relevance}")
        with self._lock:
            # the file first: what failed to be written is not to be taken back
            self.judgements.add(self.judge, _pair(self.items[at]), relevance)
            self._made.append(at)
        return self.next()

    def back(self) -> dict[str, Any]:
        """The item that was judged last, to be judged again; the one before it, asked again."""
        with self._lock:
            if not self._made:
                return self.next()
            at = self._made.pop()
        return self.shown(at)


def _pair(item: Pooled) -> tuple[str, str]:
    return item.query, item.document
