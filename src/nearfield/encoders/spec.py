"""A model as people name it: `minilm`, `./tuned@torch,bfloat16`, `minilm@chunk=200`,
`e5@task=Find what proves it`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nearfield.data.chunk.chunking import Chunking
from nearfield.errors import ContractError, nearest
from nearfield.runtimes import RUNTIMES
from nearfield.runtimes.options import PRECISIONS, OpenOptions
from nearfield.store.inside import possible
from nearfield.types.contract import POOLINGS, SIMILARITIES

CHANGES: dict[str, dict[str, Any]] = {
    "pooling": {name: name for name in POOLINGS},
    "similarity": {name: name for name in SIMILARITIES},
    "normalise": {"yes": True, "no": False},
}
"""What of a contract a spec may change, and the values by their words."""
DEVICES = ("cpu", "cuda", "mps")
_TASK = re.compile(r"(?s)([^@]*)@(?:([^@]*?),)?task=(.*)")
_CHUNKS = re.compile(r"[@,](?:chunk|late)=[^,]*")


@dataclass(frozen=True)
class ModelSpec:
    """A model's own name and what a spec says behind it: what runs the model, None where nothing is
    said, the task that it is told before each query, the dim that its API is asked for, how it
    cuts documents into chunks, and what of its contract is changed.

    `after` is all that stands behind the name.
    """

    name: str
    runtime: str | None = None
    precision: str | None = None
    device: str | None = None
    task: str | None = None
    after: str = ""
    dim: int | None = None
    chunking: Chunking | None = None
    changes: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def parse(cls, text: str | Path) -> ModelSpec:
        """The spec in `text`.

        After an @ stand a runtime, a precision and a device with commas between, as in
        `minilm@torch,bfloat16`, and last a task in words, as in `e5@task=Given a claim, find what
        proves it`. `chunk=` and `late=` take a `Chunking`, as in `minilm@chunk=sentences:200`;
        `pooling=`, `similarity=` and `normalise=` (yes, no) use a dense model otherwise than it is
        meant to be, as in `minilm@pooling=cls,similarity=dot`. A file or folder of this name is
        taken as it is. Raises ContractError for any other word, and
        as `Chunking.parse` does.
        """
        text = str(text)
        # before anything is read into the text: a folder's name may hold any of these signs
        if possible(text) and Path(text).exists():
            return cls(text)
        with_task = _TASK.fullmatch(text)
        if with_task is not None:  # a task may hold any of the signs below
            name, words, task = with_task.groups()
        elif "@" in text:
            # the last one: a name may hold one itself
            name, _, words = text.rpartition("@")
            task = None
        else:
            return cls(text)
        said: dict[str, Any] = {}
        changes = []
        for word in words.split(",") if words else ():
            option, value = _meaning(word, text)
            if option in CHANGES:
                changes.append((option, value))
            else:
                said[option] = value
        return cls(name, **said, task=task, after=text[len(name) :], changes=tuple(changes))

    def options(self, options: OpenOptions) -> OpenOptions:
        """The options, with what the spec says instead of what they do."""
        return replace(
            options,
            runtime=self.runtime or options.runtime,
            precision=self.precision or options.precision,
            device=self.device or options.device,
        )

    @property
    def whole(self) -> str:
        """The spec of the model that reads documents whole."""
        # what is left may begin with a comma, in the place of the @
        rest = _CHUNKS.sub("", self.after, count=1)
        return self.name + (f"@{rest[1:]}" if rest else "")

    @property
    def short(self) -> str:
        """What a table calls the model: the spec without the folders that it lies in."""
        return Path(self.name).name + self.after

    @property
    def lasting(self) -> str:
        """The spec with a folder's whole path, so that it opens the model from anywhere."""
        name = self.name
        if Path(name).is_dir():
            name = str(Path(name).resolve())
        return name + self.after


def _meaning(word: str, text: str) -> tuple[str, Any]:
    """Which option a word of the spec `text` is, and the word."""
    if word in RUNTIMES:
        return "runtime", word
    if word in PRECISIONS:
        return "precision", word
    if word.partition(":")[0] in DEVICES:
        return "device", word
    name, equals, number = word.partition("=")
    if name == "dim" and equals:
        if not number.isascii() or not number.isdigit() or not int(number):
            raise ContractError(f"{text}: dim is {number!r}; wanted a number above 0")
        return "dim", int(number)
    if name in ("chunk", "late") and equals:
        return "chunking", Chunking.parse(number, late=name == "late")
    if name in CHANGES and equals:
        values = CHANGES[name]
        if number not in values:
            wanted = f"{', '.join(values)}.{nearest(number, values)}"
            raise ContractError(f"{text}: {name} is {number!r}; wanted one of {wanted}")
        return name, values[number]
    known = (*RUNTIMES, *PRECISIONS, "cpu", "cuda")
    raise ContractError(
        f"{text}: {word!r} is not a runtime, precision or device; known: {', '.join(known)}."
        f"{nearest(word, known)}"
    )
