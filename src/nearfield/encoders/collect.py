"""The tokens of many items through a runtime, and what it makes of them in the items' order."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from nearfield.batch.packed import Packed, mixed, packed_batches
from nearfield.batch.tokens import Tokens
from nearfield.errors import TruncationWarning
from nearfield.runtimes.runtime import Runtime
from nearfield.similarity.dense import checked_finite
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.arrays import Positions
from nearfield.types.contract import Contract
from nearfield.types.progress import Progress
from nearfield.types.usage import Usage

CHUNK = 8192  # items tokenised at once: bounds the memory that token ids take
# tokens of a batch below which sharing the work among threads costs more than it brings
_LEAST = 64
_NO_TOKENS = Packed(np.empty(0, np.int32), np.zeros(1, np.int64), np.empty(0, np.int64))


@dataclass(frozen=True)
class Collected:
    """The embeddings of n items, and what was read of them: `counts` (n, 2) int64, tokens read and
    tokens lost of each, and their sums in `usage`.
    """

    embeddings: Embeddings
    counts: Positions
    usage: Usage


def warn_of_truncation(
    usage: Usage, contract: Contract, items: str, *, stacklevel: int = 5
) -> None:
    """Warn with TruncationWarning where some of the `items`, such as texts, were cut."""
    if not usage.truncated:
        return
    share = usage.tokens_lost / (usage.tokens_lost + usage.tokens)
    warnings.warn(
        f"{contract.name} reads {contract.max_tokens} tokens: {usage.truncated:,} of "
        f"{usage.items:,} {items} were longer and lost {usage.tokens_lost:,} tokens "
        f"({share:.1%} of all)",
        TruncationWarning,
        stacklevel=stacklevel,
    )


def collect(
    runtime: Runtime,
    parts: Iterable[tuple[Positions, Tokens]],
    count: int,
    *,
    batch_tokens: int,
    name: str,
    progress: Progress,
    spread: bool = True,
) -> Collected:
    """What the runtime makes of `count` items whose tokens come in `parts`, each with the positions
    of its items; in batches of at most `batch_tokens`, or `spread` in smaller ones, so that each of
    the runtime's streams has some.

    Raises ModelError, naming the model, where values are not finite.
    """
    started = time.perf_counter()
    counts = np.empty((count, 2), np.int64)
    unknown = 0

    def budget(tokens: int) -> int:
        if not spread or runtime.streams == 1:
            return batch_tokens
        share = math.ceil(tokens / runtime.streams)
        return min(batch_tokens, max(_LEAST, share))

    def made() -> Iterator[tuple[Positions, Embeddings]]:
        nonlocal unknown
        done = 0
        for places, tokens in parts:
            counts[places] = np.stack([tokens.lengths, tokens.lost], 1)
            unknown += tokens.unknown
            for batch, embeddings in _batches(runtime, tokens, budget(len(tokens.ids))):
                yield places[batch.items], embeddings
                done += len(batch)
                progress(done, count)

    # the first batch says of what kind the embeddings are; dense ones are put into the whole as
    # they come, so that no second copy of all is held
    found = made()
    first = next(found, None)
    if first is None:
        embeddings = runtime.run(_NO_TOKENS)  # which tells of what kind the embeddings are
    else:
        # uses `found` up, with which `counts` and `unknown` are whole
        embeddings = type(first[1]).placed(chain([first], found), count)
    # a NaN or an infinity of an item is its peak: NumPy's maximum hands NaN on
    checked_finite(embeddings.peaks()[:, None], name)
    usage = replace(
        Usage.counted(counts),
        seconds=time.perf_counter() - started,
        unknown_tokens=unknown,
        nothing_known=int((counts[:, 0] == 0).sum()),
    )
    return Collected(embeddings, counts, usage)


def chunks(count: int, tokenise: Callable[[slice], Tokens]) -> Iterator[tuple[Positions, Tokens]]:
    """The tokens of every 8,192 of `count` items with the items' positions; while one chunk is
    used, the next one is tokenised on another thread.
    """
    if count <= CHUNK:
        if count:
            yield np.arange(count), tokenise(slice(0, count))
        return
    with ThreadPoolExecutor(1, thread_name_prefix="tokenise") as pool:
        coming = pool.submit(tokenise, slice(0, CHUNK))
        for start in range(0, count, CHUNK):
            tokens = coming.result()
            following = start + CHUNK
            if following < count:
                coming = pool.submit(tokenise, slice(following, following + CHUNK))
            yield start + np.arange(len(tokens.lengths)), tokens


def _batches(
    runtime: Runtime, tokens: Tokens, batch_tokens: int
) -> Iterator[tuple[Packed, Embeddings]]:
    """The batches of `tokens` with what the runtime makes of each, in the order in which they are
    done.
    """
    streams = runtime.streams
    # long and short ones in turn, so that the share that is done tells how long the rest takes
    batches = mixed(packed_batches(tokens, batch_tokens))
    if streams == 1 or len(batches) == 1:
        for batch in batches:
            yield batch, runtime.run(batch)
        return
    with ThreadPoolExecutor(streams, thread_name_prefix="encode") as pool:
        running = {pool.submit(runtime.run, batch): batch for batch in batches}
        try:
            for future in as_completed(running):
                # popped, so that its vectors are let go of when they have been placed
                yield running.pop(future), future.result()
        finally:
            # after an error, or where the caller stops, nothing more is begun
            pool.shutdown(cancel_futures=True)
