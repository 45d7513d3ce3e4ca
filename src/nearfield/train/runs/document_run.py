"""A run that learns from documents and from no query."""

from __future__ import annotations

from collections.abc import Sequence

from nearfield.data.collection import Collection
from nearfield.data.kept_split import with_test_split
from nearfield.train.runs.run import Run


class DocumentRun(Run):
    """A run that is fitted to `texts`, documents of the collection; held-out ones choose what is
    kept.
    """

    texts: Sequence[str] = ()
    dev_queries = 0

    def cut(self, given: Collection) -> tuple[Collection, tuple[str, ...]]:
        return with_test_split(given, seed=self.recipe.seed)

    def queries_learned(self) -> Sequence[str]:
        return ()

    def documents_learned(self) -> Sequence[str]:
        return self.texts
