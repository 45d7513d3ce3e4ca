"""A model over text, with one vector a text."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nearfield.batch.late_tokens import LateTokens
from nearfield.batch.packed import packed_batches
from nearfield.batch.tokens import Tokeniser, Tokens
from nearfield.encoders.collect import Collector, collector
from nearfield.encoders.encoder import E, Encoder
from nearfield.encoders.runtimes.choose import choose, open_runtime
from nearfield.encoders.runtimes.proof import Proof
from nearfield.encoders.runtimes.runtime import Runtime
from nearfield.errors import ContractError, InputError, ModelError, TruncationWarning
from nearfield.similarity.dense import Dense
from nearfield.store.fingerprint import model_hash
from nearfield.store.model_folder import ModelFolder, read_model_folder
from nearfield.store.static_folder import table_rows
from nearfield.types.progress import Progress, silent
from nearfield.types.role import Role
from nearfield.types.usage import Usage

if TYPE_CHECKING:
    from nearfield.encoders.adapter import Adapter

_CHUNK = 8192  # texts tokenised at once: bounds the memory that token ids take
_LEAST = 64  # tokens of a batch below which sharing the work among threads costs more than it brings


class TextEncoder(Encoder[E]):
    """Contract, tokeniser and a runtime of a model folder.

    `batch_tokens` bounds the tokens of one call of the runtime, by default at what is fastest for it. `why` says in words why it is
    this runtime, where that was left open. `adapter` maps the vectors of its role.
    """

    def __init__(
        self, folder: ModelFolder, runtime: Runtime, *, batch_tokens: int | None = None, why: str = "", adapter: Adapter | None = None
    ) -> None:
        self.folder = folder
        self.contract = folder.contract
        self.adapter = adapter
        if adapter is not None:
            adapter.check(folder.contract)
            self.contract = replace(folder.contract, name=f"{folder.contract.name} adapted")
        self.runtime = runtime
        self.batch_tokens = batch_tokens or runtime.batch_tokens
        self.why = why
        self.tokeniser = tokeniser_of(folder)
        self.late = None if folder.late is None else LateTokens(folder.late, self.tokeniser, folder.transformer)

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        runtime: str = "auto",
        precision: str = "float32",
        device: str = "auto",
        batch_tokens: int | None = None,
        proof: Proof | None = None,
    ) -> TextEncoder[Any]:
        """The encoder in a model folder.

        `runtime` is a name of the registry, `precision` that of the matrix products (float32, bfloat16, int8), `device` as torch
        names it (cpu, cuda); "auto" leaves each to `choose`. `proof` says on what texts and to what cosine a model that is converted
        (openvino, onnx) is checked. Raises ModelError and ContractError as `read_model_folder`, `choose` and
        the runtime do.
        """
        folder = read_model_folder(path)
        choice = choose(folder, runtime=runtime, precision=precision, device=device)
        return cls(folder, open_runtime(folder, choice, proof), batch_tokens=batch_tokens, why=choice.why)

    @property
    def precision(self) -> str:
        """The runtime's precision."""
        return self.runtime.precision

    @cached_property
    def identity(self) -> dict[str, str] | None:
        """See Encoder.identity."""
        own = {"files": model_hash(self.folder.path), "runtime": self.runtime.name, "precision": self.runtime.precision}
        return own if self.adapter is None else own | {"adapter": self.adapter.files}

    def tokenise(self, items: Sequence[str], role: Role, *, max_tokens: int | None = None) -> Tokens:
        """Token ids of the items with the role's prompt before each, at most `max_tokens` (the contract's by default) each.

        Raises ContractError where the prompt fills them all and is not pooled, so that nothing would be left of any item, and
        InputError where the items are no texts.
        """
        if isinstance(items, str):
            raise InputError(f"got one text where a list of texts is wanted; write [{items[:20]!r}]")
        for at, item in enumerate(items):
            if not isinstance(item, str):
                raise InputError(f"item {at} is {item!r}; wanted a text")
        limit = min(max_tokens or self.contract.max_tokens, self.contract.max_tokens)
        if self.late is not None:
            tokens = self.tokeniser.tokenise(items, self.contract.prompt(role), max_tokens=self.late.limit(role, limit))
            return self.late.marked(tokens, role)
        tokens = self.tokeniser.tokenise(items, self.contract.prompt(role), max_tokens=limit)
        if tokens.prompt_tokens >= limit and not self.contract.include_prompt:
            raise ContractError(
                f"{self.contract.name}: the prompt of role {role!r} has {tokens.prompt_tokens} tokens and the model reads {limit}; as "
                "prompts are not pooled, nothing would be left to pool. Shorten the prompt or raise the limit."
            )
        return tokens

    def count_tokens(self, items: Sequence[str]) -> npt.NDArray[np.int64]:
        """(n,) tokens of each item, without prompt, before any truncation."""
        return self.tokeniser.count(items)

    def encode(self, items: Sequence[str], role: Role, *, progress: Progress = silent) -> E:
        """See Encoder.encode. Batches are cut by length within chunks of 8,192 items; the next chunk is tokenised meanwhile."""
        started = time.perf_counter()
        collect = collector(self.contract, len(items), self.runtime)
        counts, prompted = np.empty((len(items), 2), np.int64), 0
        unknown, nothing = 0, 0
        for start, tokens in self._chunks(items, role):
            for done in self._encode_chunk(tokens, start, collect):
                progress(start + done, len(items))
            counts[start : start + _CHUNK] = np.stack([tokens.lengths, tokens.lost], 1)
            prompted += tokens.prompt_tokens * len(tokens.lost)
            unknown += tokens.unknown
            nothing += int((tokens.lengths == 0).sum())
        (tokens_read, lost), truncated = counts.sum(0).tolist(), int((counts[:, 1] > 0).sum())
        usage = Usage(len(items), tokens_read, truncated, lost, prompted, time.perf_counter() - started, unknown, nothing)
        if truncated:
            share = lost / (lost + tokens_read)
            warnings.warn(
                f"{self.contract.name} reads {self.contract.max_tokens} tokens: {truncated:,} of {len(items):,} texts were longer and "
                f"lost {lost:,} tokens ({share:.1%} of all)",
                TruncationWarning,
                stacklevel=2,
            )
        found: E = collect.embeddings(usage, counts)  # type: ignore[assignment]
        if self.adapter is not None and isinstance(found, Dense):  # whose check has seen to it
            found = self.adapter.behind(found, role)  # type: ignore[assignment]
        return found

    def _chunks(self, items: Sequence[str], role: Role) -> Iterator[tuple[int, Tokens]]:
        """The tokens of every 8,192 items with the place of the first; the next ones are made on another thread."""
        starts = range(0, len(items), _CHUNK)
        if len(starts) < 2:
            yield from ((start, self.tokenise(items, role)) for start in starts)
            return
        with ThreadPoolExecutor(1, thread_name_prefix="tokenise") as pool:
            coming = pool.submit(self.tokenise, items[:_CHUNK], role)
            for start in starts:
                tokens = coming.result()
                if start + _CHUNK < len(items):
                    coming = pool.submit(self.tokenise, items[start + _CHUNK : start + 2 * _CHUNK], role)
                yield start, tokens

    def _encode_chunk(self, tokens: Tokens, start: int, collect: Collector) -> Iterator[int]:
        """Collect the embeddings of `tokens`, the first of which is item `start`, yielding how many are done after each batch."""
        streams, done = self.runtime.streams, 0
        share = max(_LEAST, math.ceil(len(tokens.ids) / streams))
        batches = packed_batches(tokens, min(self.batch_tokens, share) if streams > 1 else self.batch_tokens)
        if streams == 1 or len(batches) == 1:
            for batch in batches:
                collect.put(start + batch.items, collect.make(self.runtime, batch))
                done += len(batch)
                yield done
            return
        with ThreadPoolExecutor(streams, thread_name_prefix="encode") as pool:
            running = {pool.submit(collect.make, self.runtime, batch): batch for batch in batches}
            try:
                for future in as_completed(running):
                    batch = running.pop(future)
                    collect.put(start + batch.items, future.result())
                    done += len(batch)
                    yield done
            finally:
                pool.shutdown(cancel_futures=True)


def tokeniser_of(folder: ModelFolder) -> Tokeniser:
    """The tokeniser of a model folder under its contract. Raises ModelError where it cannot be read or is of another model."""
    limit = folder.contract.max_tokens
    if folder.static:
        tokeniser = Tokeniser.open_static(folder.transformer, max_tokens=limit, drop_unknown=folder.drops_unknown)
        rows = table_rows(folder.transformer)
        if tokeniser.size > rows:
            said = f"the tokeniser knows {tokeniser.size:,} tokens and there are {rows:,} vectors"
            raise ModelError(f"{folder.path}: {said}; one file is of another model")
        return tokeniser
    markers = () if folder.late is None else folder.late.markers
    return Tokeniser.open(folder.transformer, max_tokens=limit, lower_case=folder.lower_case, markers=markers)
