"""What a teacher says of the documents that a model learns from: scores of each query's positive
and hard negatives.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nearfield.encoders.encoder_scorer import EncoderScorer
from nearfield.encoders.load import load
from nearfield.encoders.pair_scorer import PairScorer
from nearfield.encoders.remote.address import Address
from nearfield.encoders.remote.reranker import RemoteReranker
from nearfield.encoders.reranker import Reranker
from nearfield.errors import ModelError
from nearfield.formats.reranker_folder import is_reranker
from nearfield.runtimes.options import OpenOptions
from nearfield.store.atomic import storage
from nearfield.store.run import RunFolder
from nearfield.train.data.sampling import TrainingPairs
from nearfield.types.arrays import Floats
from nearfield.types.progress import Progress, silent


def open_teacher(name: str, *, device: str = "auto") -> PairScorer:
    """The cross-encoder in the folder `name` or the vendor's reranker of that name, else the
    encoder of that name or folder; float32, so that a run can be made again.
    """
    if is_reranker(Path(name)):
        return Reranker.open(name, OpenOptions(device=device))
    address = Address.parse(name)
    if address is not None and address.is_reranker:
        return RemoteReranker(address)
    return EncoderScorer(load(name, device=device))


def teacher_scores(
    teacher: PairScorer,
    pairs: TrainingPairs,
    *,
    queries: Sequence[str],
    documents: Sequence[str],
    run: RunFolder,
    progress: Progress = silent,
) -> Floats:
    """(n, 1 + k) float32: the teacher's score of each pair's positive and negatives, 0 where there
    is none.

    They are kept in the run folder as they are made, so that an interrupted run asks again for
    `teacher.at_once` of them at most. Raises InputError where the folder holds another teacher's,
    ModelError where a score is not finite.
    """
    run.identify("teacher.json", {"teacher": teacher.name, **teacher.identity})
    candidates = pairs.candidates()
    row = candidates.shape[1] * np.dtype(np.float32).itemsize  # bytes
    path = run.path / "teacher.float32"
    rows = max(1, teacher.at_once // candidates.shape[1])
    done = 0
    if path.exists():
        done = min(path.stat().st_size // row, len(candidates))
    if done < len(candidates):
        # the same pairs are asked for together, so that a score's last digits are the same
        done -= done % rows
    with storage(path), open(path, "ab") as file:
        file.truncate(done * row)  # what a killed process wrote of a row
        for start in range(done, len(candidates), rows):
            some = candidates[start : start + rows]
            scores = np.zeros(some.shape, np.float32)
            real = some >= 0
            query = np.broadcast_to(pairs.query[start : start + rows, None], some.shape)
            scores[real] = teacher.score_at(queries, documents, (query[real], some[real]))
            if not np.isfinite(scores).all():
                raise ModelError(
                    f"{teacher.name}: a score is NaN or infinite, and nothing can be learnt from it"
                )
            file.write(scores.tobytes())
            file.flush()
            os.fsync(file.fileno())
            progress(start + len(some), len(candidates))
    return np.fromfile(path, np.float32).reshape(candidates.shape)
