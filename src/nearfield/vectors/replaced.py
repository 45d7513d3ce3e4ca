"""What stands where a vector folder is to be written: whether it may be replaced, and what that
drops.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield.data.stream import Stream
from nearfield.encoders.encoder import Encoder
from nearfield.errors import InputError, StorageError
from nearfield.store.fields import read_json
from nearfield.store.made_by import MadeBy
from nearfield.types.role import QUERY
from nearfield.vectors.manifest import short_hashes, texts_in
from nearfield.vectors.shards import text_hash

log = logging.getLogger(__name__)
UNLESS = "give another place with --to, or --restart to replace them"
_ROWS = 4096  # texts that are looked up at once


def refuse_others_vectors(path: Path, encoder: Encoder[Any], role: str, stream: Stream) -> None:
    """Raise StorageError where `path` holds finished vectors by another model, or by this one for
    another role or of other texts only.

    One text that both have is enough: the input is then taken for what was encoded, changed or
    grown. A stream that can be read only once is looked at when it is encoded.
    """
    try:
        made, files = MadeBy.open(path), (encoder.identity or {}).get("files")
    except InputError as error:
        raise StorageError(f"{error}, or give --restart to replace what is there") from error
    if made is not None and (made.files, made.role) != (files, role):
        name = encoder.contract.name
        own = f"by {name} as {role}" + (
            ", whose files have changed since" if (made.model, made.role) == (name, role) else ""
        )
        raise StorageError(
            f"{path}: holds vectors by {made.model} as {made.role}, which would be "
            f"replaced by ones {own}; {UNLESS}"
        )
    if made is not None and made.adapter != adapter_of(encoder, role):
        raise StorageError(
            f"{path}: holds {role} vectors by {made.model} through another adapter "
            f"than this one, or through none; {UNLESS}"
        )
    held = texts_in(path) if stream.repeatable else None
    if held is None:
        return
    texts = (row.text for row in stream.rows() if not row.fault and row.text.strip())
    while some := list(islice(texts, _ROWS)):
        if np.isin(
            short_hashes([text_hash(text.encode("utf-8", "surrogatepass")) for text in some]), held
        ).any():
            return
    raise StorageError(
        f"{path}: holds vectors of other texts, none of this input's among them; {UNLESS}"
    )


def adapter_of(encoder: Encoder[Any], role: str) -> str:
    """The hash of the adapter that the encoder puts vectors of `role` through, "" for none: an
    adapter is for queries.
    """
    return str((encoder.identity or {}).get("adapter", "")) if role == QUERY else ""


@dataclass(frozen=True, eq=False)
class BothTexts:
    """The texts of a finished folder and of the one that takes its place, as `texts_in` tells them
    apart: (n,) and (m,) uint64.
    """

    before: npt.NDArray[np.uint64]
    after: npt.NDArray[np.uint64]

    @property
    def share_one(self) -> bool:
        """Whether there is a text in both that is not empty."""
        return bool(
            (
                np.isin(self.after, self.before) & (self.after != short_hashes([text_hash(b"")]))
            ).any()
        )


def both_texts(path: Path, stage: Path) -> BothTexts | None:
    """Those of the folder at `path` and of `stage`; None where one is not there or does not say."""
    before = texts_in(path)
    after = None if before is None else texts_in(stage)
    return None if before is None or after is None else BothTexts(before, after)


def say_replaced(path: Path, stage: Path, texts: BothTexts) -> None:
    """Say which rows the finished folder at `path` shares with `stage`, which takes its place."""
    before, after = texts.before, texts.after
    kept, gone = int(np.isin(after, before).sum()), int((~np.isin(before, after)).sum())
    log.info(
        f"{path}: of the {len(before):,} rows that it held {gone:,} are dropped; of the "
        f"{len(after):,} now {kept:,} are kept and "
        f"{len(after) - kept:,} new{_other_form(path, stage)}"
    )


def _other_form(path: Path, stage: Path) -> str:
    """In words, in what other form the vectors at `path` were kept, where that changes and can be
    told.
    """
    try:
        old, new = (
            f"{facts.get('dim', '?')} x {facts.get('storage', '?')}"
            for facts in map(_facts, (path, stage))
        )
    except InputError:
        return ""
    return "" if old == new else f"; they were {old} and become {new}"


def _facts(folder: Path) -> dict[str, Any]:
    facts = read_json(folder / "vectors.json")
    return facts if isinstance(facts, dict) else {}
