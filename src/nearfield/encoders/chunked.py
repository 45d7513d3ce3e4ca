"""Encoders of long texts: a vector for each chunk of a document, whose best chunk counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from nearfield.batch.packed import pack
from nearfield.data.chunk.chunking import Chunking
from nearfield.data.chunk.chunks import Chunk
from nearfield.encoders.encoder import Encoder
from nearfield.encoders.text import TextEncoder
from nearfield.encoders.wrapped import Wrapped
from nearfield.errors import ContractError
from nearfield.similarity import EMBEDDINGS
from nearfield.similarity.dense import Dense
from nearfield.similarity.multi_vector import MultiVector
from nearfield.similarity.offsets import joined_offsets
from nearfield.types.arrays import Floats, Integers
from nearfield.types.figures import figures_in, worded
from nearfield.types.forecast import Forecast
from nearfield.types.item import Item, is_image
from nearfield.types.progress import Progress, silent
from nearfield.types.role import DOCUMENT, QUERY, Role
from nearfield.types.usage import Usage


class Chunked(Wrapped[MultiVector]):
    """`encoder`, which makes one vector per text, with one for each chunk of a document instead,
    and where it reads images for each of the document's figures; captions have their own. A query
    keeps its one, so that MaxSim is its similarity to the document's best part.

    Raises ContractError for an encoder of several vectors per text.
    """

    def __init__(self, encoder: Encoder[Any], chunking: Chunking) -> None:
        kind = encoder.contract.kind
        if not EMBEDDINGS[kind].one_vector:
            raise ContractError(
                f"{encoder.contract.name} makes {kind} embeddings; wanted a dense model to give "
                "each chunk a vector (for any other: nearfield chunk)"
            )
        super().__init__(encoder, replace(encoder.contract, kind="multi-vector"))
        self.chunking = chunking

    @property
    def identity(self) -> dict[str, str] | None:
        own = self.encoder.identity
        if own is None:
            return None
        how = "late" if self.chunking.late else "chunk"
        return own | {how: str(self.chunking)}

    def forecast(self, items: Sequence[str], role: Role) -> Forecast | None:
        if role != QUERY:
            items = list(chain.from_iterable(map(self.parts, items)))
        return self.encoder.forecast(items, role)

    def chunks(self, text: str) -> list[Chunk]:
        """The chunks of a document, one at least, none longer than the encoder reads; tokens are
        the encoder's.
        """
        size = min(self.chunking.size, self.encoder.room(DOCUMENT))
        # each chunk has to begin behind the one before
        overlap = min(self.chunking.overlap, size - 1)
        own = replace(self.chunking, size=size, overlap=overlap)
        return own.chunks(text, self.encoder.token_starts)

    def parts(self, document: Item) -> list[Item]:
        """What has a vector each, one at least: the chunks of the document's text, its figures and
        their captions; an image is its only part.
        """
        if is_image(document, DOCUMENT):
            return [document]
        text, figures = figures_in(document)
        found: list[Item] = []
        if text or not figures:
            found += [chunk.text for chunk in self.chunks(text)]
        for figure in figures:
            if self.reads_images:
                found.append(figure.url)
            if figure.caption:
                found.append(figure.caption)
        # a document without a vector would score -inf with every query
        return found or [""]

    def read(self, item: str, role: Role) -> list[str] | None:
        """A query as it is, and the parts of a document."""
        if role == QUERY:
            return [item]
        named = []
        for part in self.parts(item):
            named.append("(image)" if is_image(part, role) else part)
        return named

    def encode_as(
        self, role: Role, items: Sequence[str], *, progress: Progress = silent
    ) -> MultiVector:
        if role == QUERY:
            asked = self.encoder.encode_as(role, items, progress=progress).as_dense("chunks")
            return _grouped(asked, np.ones(len(items), np.int64))
        return self._documents(items, role, progress)

    def _documents(self, items: Sequence[str], role: Role, progress: Progress) -> MultiVector:
        parts = [self.parts(item) for item in items]
        texts = list(chain.from_iterable(parts))
        made = self.encoder.encode_as(role, texts, progress=progress).as_dense("chunks")
        return _grouped(made, np.array([len(part) for part in parts], np.int64))


class LateChunked(Chunked):
    """As `Chunked`, but as many chunks as the model reads at once go through it together, and a
    chunk's vector is the mean over the states of its own tokens, which have seen the others.

    Günther et al. 2024 (arXiv 2409.04701). Special tokens and the prompt are of no chunk. Raises
    ContractError for a model that does not pool by the mean, and for chunks longer than it reads.
    """

    encoder: TextEncoder[Any]

    def __init__(self, encoder: TextEncoder[Any], chunking: Chunking) -> None:
        super().__init__(encoder, chunking)
        contract = encoder.contract
        if contract.pooling != "mean" or encoder.adapter is not None:
            how = "has an adapter" if encoder.adapter else f"pools by {contract.pooling!r}"
            raise ContractError(
                f"{contract.name} {how}; late chunks are means over the states of tokens. Write "
                f"chunk={chunking} instead of late={chunking}"
            )

    def _documents(self, items: Sequence[str], role: Role, progress: Progress) -> MultiVector:
        vectors: list[Floats] = []
        counts = np.zeros((len(items), 2), np.int64)
        lengths = np.zeros(len(items), np.int64)
        for at, item in enumerate(map(worded, items)):
            for window in self._windows(item, role):
                found, read, lost = self._window(item, window, role)
                vectors.append(found)
                lengths[at] += len(found)
                counts[at] += read, lost
            progress(at + 1, len(items))
        stacked = np.concatenate([np.empty((0, self.contract.dim), np.float32), *vectors])
        usage = Usage.counted(counts)
        made = Dense.under(self.contract, stacked, usage=usage)
        return replace(_grouped(made, lengths), usage=usage, counts=counts)

    def _windows(self, text: str, role: Role) -> Iterator[list[Chunk]]:
        """Chunks that follow each other and that the model reads at once, as many as fit."""
        room = self.encoder.room(role)
        starts = np.asarray(self.encoder.token_starts(text))
        window: list[Chunk] = []
        for chunk in self.chunks(text):
            if window and _between(starts, window[0].start, chunk.end) > room:
                yield window
                window = []
            window.append(chunk)
        # the last one; a text has one chunk at least, so that it is never empty
        yield window

    def _window(self, text: str, window: Sequence[Chunk], role: Role) -> tuple[Floats, int, int]:
        """The chunks' vectors, and how many tokens were read and lost."""
        start = window[0].start
        whole = text[start : window[-1].end]
        tokens = self.encoder.tokenise([whole], role)
        prompt = self.contract.prompt(role)
        pieces = self.encoder.tokeniser.pieces([prompt + whole])[0]
        # where each token begins in the document, below `start` those of the prompt
        places = np.array([piece[0] for piece in pieces], np.int64) - len(prompt) + start
        before, after = map(len, self.encoder.tokeniser.around())
        spans = []
        for chunk in window:
            own = np.flatnonzero((places >= chunk.start) & (places < chunk.end)) + before
            # what was cut off has no state, nor have special tokens a chunk
            own = own[own < len(tokens.ids) - after]
            # a chunk without tokens of its own is the mean of all
            spans.append(own if len(own) else np.arange(len(tokens.ids)))
        batch = pack(tokens, np.arange(1))
        # with one sequence in the batch, a place in it is a place in the batch
        vectors = self.encoder.runtime.run_spans(batch, spans)
        return vectors.as_dense("chunks").floats(), len(tokens.ids), int(tokens.lost.sum())


def _between(starts: Integers, start: int, end: int) -> int:
    first, last = np.searchsorted(starts, (start, end))
    return int(last - first)


def _grouped(vectors: Dense, lengths: Integers) -> MultiVector:
    """Items of `lengths` vectors each; what was read is counted by item."""
    offsets = joined_offsets([lengths])
    counts = vectors.counts
    if counts is not None and len(lengths):
        counts = np.add.reduceat(counts, offsets[:-1])
    usage = replace(vectors.usage, items=len(lengths))
    return MultiVector(replace(vectors, counts=None), offsets, usage=usage, counts=counts)
