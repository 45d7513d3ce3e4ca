"""A stream of texts of any size to a vector folder, in memory that does not grow with it."""

from __future__ import annotations

import json
import shutil
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

from nearfield.data.stream import Stream
from nearfield.encoders.collect import warn_of_truncation
from nearfield.encoders.encoded import Remembered, nothing
from nearfield.encoders.encoder import Encoder
from nearfield.encoders.pace import Pace
from nearfield.errors import InputError, NearfieldWarning, StorageError
from nearfield.similarity import EMBEDDINGS
from nearfield.similarity.embeddings import IDS, Embeddings
from nearfield.store.atomic import check_writable, move_folder, storage
from nearfield.store.made_by import MadeBy
from nearfield.types.progress import Progress, silent
from nearfield.vectors.account import Account
from nearfield.vectors.job import Job, forget_job, replaces
from nearfield.vectors.joined import write_joined
from nearfield.vectors.manifest import FILE, write_manifest
from nearfield.vectors.part import PartMaker
from nearfield.vectors.replaced import adapter_of, check_replaced, refuse_others_vectors
from nearfield.vectors.request import Request
from nearfield.vectors.shards import BYTES, ROWS, Shard, cut_shards

FORMAT = 4  # of a job: raised when shards are cut or written otherwise


def encode_to(
    encoder: Encoder[Any],
    stream: Stream,
    path: str | Path,
    request: Request = Request(),  # noqa: B008 - frozen
    *,
    cache: bool = True,
    shard_rows: int = ROWS,
    replace: bool = False,
    progress: Progress = silent,
) -> Account:
    """Encode the rows of `stream` into a vector folder at `path`, which `open_embeddings` opens,
    with a manifest of all the rows.

    A row that cannot be encoded has no vector and is in the manifest as failed, with the reason.
    What is done is on the disk after each shard, and within one every half a minute; when the
    process is killed, the same call goes on there, and the vectors are those of a run that was not
    killed, bit for bit where a vector does not depend on its batch, as on a processor. `cache`
    keeps vectors by their text's hash (see `VectorCache`), so that no text is encoded again. At
    most `shard_rows` rows are in memory at once, and as many more are read ahead. Finished vectors
    at `path` by another model, for another role or of other texts alone are put aside for the new
    ones only with `replace`, which a killed run remembers.

    Raises StorageError where that was not asked for; InputError where the stream is empty or no row
    can be encoded, and where an unfinished run to `path` was made from another input, model or
    request; ContractError and ModelError as the encoder does.
    """
    path = Path(path)
    refuse_other_folder(path)
    if not replace and not replaces(path):
        refuse_others_vectors(path, encoder, request.role, stream)
    empty = nothing(encoder, request.role)
    request.check(encoder.contract, empty)
    use = encoder.facts(request.role) if cache and encoder.worth_caching else None
    shards = cut_shards(stream.rows(), most_rows=shard_rows, most_bytes=_most_bytes(encoder))
    facts = _facts(encoder, request, shard_rows)
    with (
        closing(Remembered(use, encoder.contract.name)) as remembered,
        Job.opened(path, facts, replace=replace) as job,
    ):
        maker = PartMaker(encoder, remembered, request, empty=empty)
        _run(job, shards, maker, progress, stream.total() or 0)
        _refuse_nothing(job, stream)
        _warn(job.account, encoder)
        _finish(job, encoder, request, request.stored(empty))
        return job.account


def refuse_other_folder(path: Path) -> None:
    """Raise StorageError where something else than a vector folder is at `path`, or nothing can be
    written there.
    """
    ours = (path / "vectors.json").is_file()
    empty = path.is_dir() and not any(path.iterdir())
    if path.exists() and not ours and not empty:
        raise StorageError(
            f"{path}: exists and is not a vector folder, so that it is not replaced; "
            "give another place with --to"
        )
    check_writable(path)


def _most_bytes(encoder: Encoder[Any]) -> int:
    """Of text per shard: a vector per token takes some hundred times its text's bytes."""
    kind = EMBEDDINGS[encoder.contract.kind]
    if kind.one_vector or kind.has_terms:
        return BYTES
    return BYTES // 8


def _facts(encoder: Encoder[Any], request: Request, shard_rows: int) -> dict[str, object]:
    """All that the vectors depend on beside the rows."""
    cut = {"format": FORMAT, "shard_rows": shard_rows, "shard_bytes": _most_bytes(encoder)}
    asked: dict[str, object] = {
        "role": request.role,
        "dim": request.dim or encoder.contract.dim,
        "dtype": request.storage,
        "prompt": encoder.contract.prompt(request.role),
    }
    if request.pool_tokens:
        asked["pool_tokens"] = request.pool_tokens
    return cut | {"model": encoder.contract.name} | dict(encoder.identity or {}) | asked


def _run(
    job: Job, shards: Iterator[Shard], maker: PartMaker, progress: Progress, total: int
) -> None:
    """Confirm the parts that are done and make the others."""
    pace = Pace()
    resumed = job.marks.copy()
    confirmed = 0
    done = 0
    for shard in _ahead(shards):
        start = 0
        while start < len(shard.rows):
            # the cut of what is done was chosen by the pace of then
            again = confirmed < len(resumed)
            part = shard.part(start, resumed[confirmed].account.rows if again else pace.rows)
            rows = len(part.rows)
            start += rows
            done += rows
            if again:
                job.confirm(confirmed, part)
                confirmed += 1
                continue
            told = _within(progress, done - rows, rows, total)
            started = time.monotonic()
            made = maker.make(part, job.account.usage.items, progress=told)
            job.add(part, made)
            fresh = made.account.usage.items - made.account.cached - made.account.repeated
            pace.took(rows, fresh, time.monotonic() - started)
            progress(done, max(total, done) if total else 0)
    if confirmed < len(resumed):
        job.refuse_end()


def _within(progress: Progress, before: int, rows: int, of: int) -> Progress:
    """The progress of one shard of `rows` rows after `before` of all `of`: its texts that are in no
    cache are what takes time.
    """

    def show(done: int, total: int, note: str = "") -> None:
        whole = max(of, before + rows) if of else 0  # a total that was only estimated may be less
        progress(before + done * rows // max(1, total), whole, note)

    return show


def _ahead(shards: Iterator[Shard]) -> Iterator[Shard]:
    """The same shards, each read on another thread while the one before is encoded."""
    with ThreadPoolExecutor(1, thread_name_prefix="read") as pool:
        coming = pool.submit(next, shards, None)
        # The next one is asked for only when this one is here: no two threads may advance one
        # generator. None is the end; an error in reading is raised here, in the caller's thread.
        while shard := coming.result():
            coming = pool.submit(next, shards, None)
            yield shard


def _refuse_nothing(job: Job, stream: Stream) -> None:
    """Raise InputError where no row was encoded; nothing of the job is left then."""
    account = job.account
    if not account.rows:
        raise InputError("holds no text", path=stream.name)
    if not account.usage.items:
        forget_job(job.path)
        raise InputError(
            f"none of its {account.rows:,} rows can be encoded; the first: {account.faults[0]}",
            path=stream.name,
        )


def _warn(account: Account, encoder: Encoder[Any]) -> None:
    """Say what a reader of the vectors must know."""
    usage = account.usage
    if account.empty:
        message = (
            f"{account.empty:,} of {usage.items:,} texts are empty (the first is "
            f"{account.first_empty}); their vectors tell nothing"
        )
        warnings.warn(message, NearfieldWarning, stacklevel=3)
    warn_of_truncation(usage, encoder.contract, "texts", stacklevel=4)


def _finish(job: Job, encoder: Encoder[Any], request: Request, empty: Embeddings) -> None:
    """Make the vector folder of what the job holds, move it to its place, and remove the job.

    `empty` is embeddings of no text, stored as asked for. Raises StorageError where vectors of
    other texts alone lie there.
    """
    stage = job.folder / "finished"
    # a run that was killed while it joined its shards left a part of this
    shutil.rmtree(stage, ignore_errors=True)
    with storage(job.path):
        stage.mkdir()
        write_manifest(job.manifest(), stage / FILE)
        _write_ids(job, stage / IDS)
        write_joined(stage, job.files, job.rows, empty)
    described: Any = empty
    # with the tokens and the time of the whole run, of which no shard knows
    changed(described, usage=job.account.usage).save_facts(stage, job.rows)
    identity = encoder.identity or {}
    name = encoder.contract.name
    # weights that no folder holds could not be opened again by whoever searches the vectors
    if "files" in identity:
        source = request.source or name
        adapter = adapter_of(encoder, request.role)
        MadeBy(name, source, identity["files"], request.role, adapter).save(stage)
    try:
        # on the finished manifest: a stream that can be read only once was not looked at before
        check_replaced(job.path, stage, asked=job.replaces)
    except StorageError:
        # what the model made stays in the cache, where one is used
        forget_job(job.path)
        raise
    # The shards go last: after a kill in between, the next run confirms them and joins them again.
    move_folder(stage, job.path)
    forget_job(job.path)


def _write_ids(job: Job, path: Path) -> None:
    """The ids of the rows that have a vector, one JSON string per line."""
    with open(path, "w", encoding="utf-8") as file:
        for part in job.manifest():
            ids = part["id"].filter(part["vector"].is_valid()).to_pylist()
            file.writelines(json.dumps(name, ensure_ascii=False) + "\n" for name in ids)
