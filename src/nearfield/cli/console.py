"""Where the commands write: tables and JSON to stdout, progress, warnings and errors to stderr."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console, ConsoleDimensions, ConsoleOptions, RenderableType
from rich.segment import Segment

from nearfield.errors import InputError
from nearfield.types.progress import Progress

if TYPE_CHECKING:
    from rich.table import Table

# C0 without tab and line feed, DEL, C1, and what reorders a line (bidirectional controls)
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_SURROGATES = re.compile("[\ud800-\udfff]")  # no text: a file name that is not UTF-8 has them


def printable(text: str) -> str:
    """`text` without the control characters that a terminal acts on, so that a document or file
    name can only be read.
    """
    return _SURROGATES.sub("\ufffd", _CONTROLS.sub("", text))


# rich takes 80 where there is no terminal, and would break the rows of a table that a script reads
UNCUT = 4_000  # columns of what is no terminal


class PlainConsole(Console):
    """A console that shows the texts of documents and files and takes no orders from them: no
    escapes, markup or emoji names.
    """

    @property
    def size(self) -> ConsoleDimensions:
        """The terminal's; a file or a pipe is as wide as what is written there, unless COLUMNS says
        otherwise.
        """
        size = super().size
        if self.is_terminal or "COLUMNS" in os.environ:
            return size
        return ConsoleDimensions(UNCUT, size.height)

    # an overridden property has no setter of its own, and rich sets the size, too
    @size.setter
    def size(self, size: tuple[int, int]) -> None:
        self._width, self._height = size

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """The segments of `renderable`, each text `printable`; what rich itself tells the terminal
        stays.
        """
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))

    def say(self, text: str, *, style: str = "") -> None:
        """Print `text` as it is, on one line however long it is."""
        if self.is_terminal:
            self.print(text, style=style, highlight=False, soft_wrap=True)
        else:  # as rich does, in a fifteenth of the time: a server logs each request
            self.file.write(f"{printable(text)}\n")
            self.file.flush()


out = PlainConsole(markup=False, emoji=False)
err = PlainConsole(markup=False, emoji=False, stderr=True)


def show_next(command: str) -> None:
    """One dim line on stderr: the command that usually comes next."""
    err.say(f"Next: {command}", style="dim")


FORMATS = (
    "stdlib, pydoc-topics, a folder by nearfield, a BEIR folder, JSONL, CSV, TSV, Parquet, "
    "a folder of texts"
)
N = TypeVar("N", int, float)
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text and tables.")]
LINE_EVERY = 10.0  # seconds between progress lines where stderr is not a terminal


def items(text: str) -> list[str]:
    """The parts of a list with commas between."""
    return [part.strip() for part in text.split(",") if part.strip()]


def numbers(text: str, option: str, kind: Callable[[str], N], *, example: str) -> list[N]:
    """The numbers that an option was given, with commas between. Raises InputError for others."""
    try:
        return [kind(part) for part in items(text)]
    except ValueError as error:
        what = "whole numbers" if kind is int else "numbers"
        raise InputError(
            f"{option} has {text!r}; wanted {what} with commas between, as {example}"
        ) from error


def empty_table(texts: Sequence[str], numbers: Sequence[str] = ()) -> Table:
    """A table without rows, with columns for `texts` and then for `numbers`, which stand on the
    right and are never broken.
    """
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in texts:
        table.add_column(title)
    for title in numbers:
        table.add_column(title, justify="right", no_wrap=True)
    return table


def emit_json(value: Any, *, indent: int | None = 1) -> None:
    """Write `value` to stdout as JSON, on one line where `indent` is None: dataclasses as objects,
    numbers that are not finite as null.

    Texts are written as they are; for a terminal, control characters are escaped as JSON escapes
    them.
    """
    text = json.dumps(_plain(value), ensure_ascii=False, indent=indent, allow_nan=False)
    # UTF-8 has no surrogates, so that the text could not be written
    text = _SURROGATES.sub(_escaped, text)
    if out.is_terminal:
        text = _CONTROLS.sub(_escaped, text)
    out.file.write(f"{text}\n")
    # whoever reads a pipe has each answer at once
    out.file.flush()


def _escaped(character: re.Match[str]) -> str:
    return f"\\u{ord(character[0]):04x}"


@contextlib.contextmanager
def progress_bar(title: str) -> Iterator[Progress]:
    """A bar on stderr with rate, time left and the note; without a terminal, a line every ten
    seconds.
    """
    if not err.is_terminal:
        lines = ProgressLines(title)
        yield lines
        lines.close()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    with Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=err,
    ) as bars:
        task = bars.add_task(title, total=None, rate="", note="")
        begun = False

        def show(done: int, total: int, note: str = "") -> None:
            nonlocal begun
            # what a run that was interrupted had done before says nothing of the speed
            if not begun:
                bars.reset(task, completed=done, total=total or None)
                begun = True
            speed = bars.tasks[0].speed
            bars.update(
                task,
                completed=done,
                total=total or None,
                rate=speed_words(speed) if speed else "",
                note=note,
            )

        yield show


class ProgressLines:
    """Progress as plain lines on stderr, one every `every` seconds; work that ends sooner says
    nothing. A total of 0 is unknown.
    """

    def __init__(
        self, title: str, *, every: float = LINE_EVERY, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.title = title
        self.every = every
        self.clock = clock
        self.started = clock()
        self.shown = self.started
        # done and when, at the first call: what was done before says nothing of the speed
        self.first: tuple[int, float] | None = None
        self.last: tuple[int, int, str] | None = None
        self.written: tuple[int, int, str] | None = None

    def __call__(self, done: int, total: int, note: str = "") -> None:
        self.last = (done, total, note)
        if self.first is None:
            self.first = (done, self.clock())
        if self.clock() - self.shown >= self.every:
            self._write(done, total, note)

    def close(self) -> None:
        """The last state in one more line, unless there was none before or it has been written."""
        if self.last is not None and self.written is not None and self.last != self.written:
            self._write(*self.last)

    def _write(self, done: int, total: int, note: str) -> None:
        self.shown = self.clock()
        self.written = (done, total, note)
        line = f"{self.title}: {done:,}"
        if total:
            line += f"/{total:,}"
        line += f" in {clock_time(self.shown - self.started)}"
        rate = self._rate(done)
        if rate > 0:
            line += f", {speed_words(rate)}"
            if 0 < done < total:
                line += f", {clock_time((total - done) / rate)} left"
        if note:
            line += f"  {note}"
        err.say(line)

    def _rate(self, done: int) -> float:
        """Items a second since the first call, or since the start where that was the only one."""
        before = 0
        since = self.started
        if self.first and self.first[1] < self.shown:
            before, since = self.first
        if self.shown <= since:
            return 0.0
        return (done - before) / (self.shown - since)


def speed_words(rate: float) -> str:
    """Items a second, or where that is below 1, a minute or an hour."""
    if rate >= 1:
        return f"{rate:,.1f}/s"
    if 60 * rate >= 1:
        return f"{60 * rate:,.1f}/min"
    return f"{3600 * rate:,.1f}/h"


def clock_time(seconds: float) -> str:
    """Seconds as m:ss, or h:mm:ss from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{rest:02}"
    return f"{minutes}:{rest:02}"


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    # a numpy array or scalar; numpy itself is not imported here, for a quick start
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
