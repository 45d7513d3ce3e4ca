"""What stands where a vector folder is to be written: whether it may be replaced, and what that
drops.
"""

from __future__ import annotations

import logging
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from nearfield.data.stream import Stream
from nearfield.encoders.encoder import Encoder
from nearfield.errors import InputError, StorageError
from nearfield.store.fields import read_fields
from nearfield.store.made_by import MadeBy
from nearfield.store.vector_cache import text_hash
from nearfield.types.role import QUERY
from nearfield.vectors.manifest import short_hashes, texts_in

log = logging.getLogger(__name__)
UNLESS = (
    "give another place with --to, or --restart to replace them (in Python: another path, or "
    "replace=True of encode_to)"
)
_ROWS = 4096  # texts that are looked up at once


def refuse_others_vectors(path: Path, encoder: Encoder[Any], role: str, stream: Stream) -> None:
    """Raise StorageError where `path` holds finished vectors by another model, or by this one for
    another role or of other texts only.

    One text that both have is enough: the input is then taken for what was encoded, changed or
    grown. A stream that can be read only once is looked at when it is encoded.
    """
    try:
        made = MadeBy.open(path)
        files = (encoder.identity or {}).get("files")
    except InputError as error:
        raise StorageError(f"{error}, or give --restart to replace what is there") from error
    if made is not None and (made.files, made.role) != (files, role):
        name = encoder.contract.name
        own = f"by {name} as {role}"
        if (made.model, made.role) == (name, role):
            own += ", whose files have changed since"
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
    # an empty text says nothing of where it is from
    texts = (row.text for row in stream.rows() if not row.fault and row.text.strip())
    while some := list(islice(texts, _ROWS)):
        hashes = short_hashes(map(text_hash, some))
        if np.isin(hashes, held).any():
            return
    raise StorageError(
        f"{path}: holds vectors of other texts, none of this input's among them; {UNLESS}"
    )


def adapter_of(encoder: Encoder[Any], role: str) -> str:
    """The hash of the adapter that the encoder puts vectors of `role` through, "" for none: an
    adapter is for queries.
    """
    if role == QUERY:
        return str((encoder.identity or {}).get("adapter", ""))
    return ""


def check_replaced(path: Path, stage: Path, *, asked: bool) -> None:
    """Say which rows the finished folder at `path`, if any, shares with `stage`, which takes its
    place. Raises StorageError where they share no text that is not empty, unless that was `asked`
    for.
    """
    before = texts_in(path)
    after = texts_in(stage)
    if before is None or after is None:
        return
    # (vectors,) for each vector to come, whether its text was there before
    kept = np.isin(after, before)
    empty = short_hashes([text_hash("")])
    if not asked and not (kept & (after != empty)).any():
        raise StorageError(
            f"{path}: holds vectors of other texts, none of this input's among them; {UNLESS}"
        )
    gone = int((~np.isin(before, after)).sum())
    log.info(
        f"{path}: of the {len(before):,} rows that it held {gone:,} are dropped; of the "
        f"{len(after):,} now {int(kept.sum()):,} are kept and "
        f"{int((~kept).sum()):,} new{_other_form(path, stage)}"
    )


def _other_form(path: Path, stage: Path) -> str:
    """In words, in what other form the vectors at `path` were kept, where that changes and can be
    told.
    """
    forms = []
    for folder in (path, stage):
        try:
            facts = read_fields(folder / "vectors.json")
        except InputError:
            return ""
        forms.append(f"{facts.get('dim', '?')} x {facts.get('storage', '?')}")
    old, new = forms
    if old == new:
        return ""
    return f"; they were {old} and become {new}"
