"""Judgements in a file, each with its judge."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa

from nearfield.data.collection import JUDGEMENTS, Collection
from nearfield.errors import InputError, StorageError, nearest
from nearfield.evaluate.judging.pool import Pooled
from nearfield.statistics.agreement import kappa
from nearfield.store.atomic import write_text
from nearfield.types.verdict import Estimate

COLUMNS = ("query", "document", "relevance", "judge")
TEXTS = ("query text", "document text")
"""What a form has besides, for those who read it."""
SPLIT = "test"
MOST = 100  # the highest grade


@dataclass(frozen=True)
class Agreement:
    """How far judges `a` and `b` agree on the `items` that both have judged: the share of equal
    grades, and Cohen's `kappa`.
    """

    a: str
    b: str
    items: int
    equal: float
    kappa: Estimate


class Judgements:
    """The judgements in the tab-separated file at `path`: columns query, document, relevance and
    judge, others are ignored. A row without a relevance is not judged yet, and of two by the same
    judge the later counts.

    `by_judge` holds each judge's grades by the ids of query and document. Raises InputError, naming
    the line, for what is no such file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.by_judge: dict[str, dict[tuple[str, str], int]] = {}
        if self.path.exists():
            for judge, pair, grade in _read(self.path):
                self._note(judge, pair, grade)

    def add(self, judge: str, pair: tuple[str, str], relevance: int) -> None:
        """Append one judgement to the file at once, so that none is lost. Raises InputError for an
        id or a judge that a line cannot hold, StorageError where writing fails.
        """
        cells = (*pair, str(relevance), judge)
        for cell in cells:
            if not cell or cell != " ".join(cell.split()):
                raise InputError(
                    f"{cell!r} cannot stand in {self.path}; wanted a name without tabs"
                )
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # appended, so that what another process has written meanwhile stays
            with self.path.open("ab+") as file:
                line = _line(cells)
                if not file.tell():
                    line = _line(COLUMNS) + line
                # an editor may have left the last line without its end
                elif os.pread(file.fileno(), 1, file.tell() - 1) != b"\n":
                    line = "\n" + line
                file.write(line.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(f"{self.path}: cannot be written: {error.strerror}") from error
        self._note(judge, pair, relevance)

    def agreement(self) -> list[Agreement]:
        """That of each two judges with items in common."""
        found = []
        for (a, grades), (b, others) in combinations(self.by_judge.items(), 2):
            shared = sorted(set(grades) & set(others))
            if shared:
                one = np.array([grades[pair] for pair in shared], np.float64)
                other = np.array([others[pair] for pair in shared], np.float64)
                equal = float((one == other).mean())
                found.append(Agreement(a, b, len(shared), equal, kappa(one, other)))
        return found

    def applied(self, collection: Collection, judge: str) -> Collection:
        """The collection with the judgements of this judge alone, as its test split. Raises
        InputError for a judge who has judged nothing, and ids that the collection lacks.
        """
        own = self.by_judge.get(judge)
        if not own:
            known = ", ".join(self.by_judge) or "none"
            raise InputError(
                f"{self.path}: has no judgement by {judge!r}; judges: {known}."
                f"{nearest(judge, self.by_judge)}"
            )
        queries = set(collection.query_ids)
        documents = set(collection.document_ids)
        rows = []
        for (query, document), grade in own.items():
            for what, key, ids in (("query", query, queries), ("document", document, documents)):
                if key not in ids:
                    raise InputError(
                        f"{self.path}: judges {what} {key!r}, which {collection.name} lacks; where "
                        "queries came from a file, name it"
                    )
            row = {"query": query, "document": document, "relevance": grade, "split": SPLIT}
            rows.append(row)
        return replace(collection, judgements=pa.Table.from_pylist(rows, schema=JUDGEMENTS))

    def _note(self, judge: str, pair: tuple[str, str], relevance: int) -> None:
        self.by_judge.setdefault(judge, {})[pair] = relevance


def write_form(path: Path, items: Iterable[Pooled], judge: str) -> None:
    """A file of judgements to be filled in, with the texts beside their ids. Raises InputError
    where there is a file already.
    """
    if path.exists():
        raise InputError("is there already and is not replaced; name another file", path=path)
    rows = [_line((*COLUMNS, *TEXTS))]
    for item in items:
        query = " ".join(item.query_text.split())
        document = " ".join(item.whole.split())
        rows.append(_line((item.query, item.document, "", judge, query, document)))
    write_text(path, "".join(rows))


def _line(cells: Iterable[str]) -> str:
    made = io.StringIO()
    csv.writer(made, "excel-tab", lineterminator="\n").writerow(cells)
    return made.getvalue()


def _read(path: Path) -> Iterator[tuple[str, tuple[str, str], int]]:
    try:
        # some spreadsheets begin a file with a byte order mark
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError("is not a text in UTF-8", path=path) from error
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error
    rows = csv.DictReader(io.StringIO(text, newline=""), dialect="excel-tab")
    try:
        missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
        if missing:
            raise InputError(
                f"has no column {missing[0]!r}; wanted {', '.join(COLUMNS)} with tabs between",
                path=path,
            )
        for row in rows:
            yield from _judgement(row, path, rows.line_num)
    except csv.Error as error:
        raise InputError(f"is no tab-separated file: {error}", path=path) from error


def _judgement(
    row: Mapping[str, str | None], path: Path, line: int
) -> Iterator[tuple[str, tuple[str, str], int]]:
    query, document, relevance, judge = ((row[name] or "").strip() for name in COLUMNS)
    if not relevance:
        return
    # isdigit takes a superscript two, and int refuses thousands of digits
    if not re.fullmatch("[0-9]{1,3}", relevance) or int(relevance) > MOST:
        raise InputError(
            f"relevance is {relevance[:40]!r}; wanted a whole number from 0 to {MOST}",
            path=path,
            line=line,
        )
    for name, value in (("query", query), ("document", document), ("judge", judge)):
        if not value:
            raise InputError(f"{name} is empty", path=path, line=line)
    yield judge, (query, document), int(relevance)
