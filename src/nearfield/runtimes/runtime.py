"""What runs a model: packed token ids to embeddings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Self

from nearfield.batch.packed import Packed
from nearfield.errors import ModelError
from nearfield.formats.model_folder import ModelFolder
from nearfield.formats.reranker_folder import RerankerFolder
from nearfield.runtimes.options import OpenOptions
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.arrays import Integers

Folder = ModelFolder | RerankerFolder
"""What a runtime opens: an encoder's folder, or a cross-encoder's, whose items are pairs."""


class Runtime(ABC):
    """A model's weights, ready to run. What it can do is stated as class attributes:

    `precisions` of the matrix products and `kinds` of embeddings; `pairs`: it runs cross-encoders;
    `cpu_only`: it runs on the processor alone; `adapters`: it runs LoRA adapters beside the
    weights; `own_code`: it runs code of a model's folder.

    Of an open one, `batch_tokens` is the number of tokens per call at which it is fastest.
    `streams` is how many threads may call `run` at once and be faster for it (1 where the runtime
    uses all cores itself). `places`: how many tokens of a text it has positions for, None for any
    number. `typed`: a cross-encoder is told which text of a pair each token belongs to.
    """

    name: ClassVar[str]
    precisions: ClassVar[tuple[str, ...]]
    kinds: ClassVar[tuple[str, ...]] = ("dense",)
    pairs: ClassVar[bool] = False
    cpu_only: ClassVar[bool] = True
    adapters: ClassVar[bool] = False
    own_code: ClassVar[bool] = False

    precision: str
    batch_tokens: int
    streams: int
    places: int | None = None
    typed: bool = False

    @classmethod
    def why_not(cls, folder: Folder) -> str | None:
        """Why this runtime cannot run the model, in words, beside what its attributes say; None
        where it can.
        """
        return None

    @classmethod
    @abstractmethod
    def open(cls, folder: Folder, options: OpenOptions) -> Self:
        """The runtime of a folder at the precision and on the device of `options`, which `choose`
        has decided.

        Raises ModelError where the weights cannot be used.
        """

    @property
    def identity(self) -> dict[str, str] | None:
        """What the embeddings depend on beside the files of the folder; None where the weights are
        not the folder's.
        """
        return {"runtime": self.name, "precision": self.precision}

    @abstractmethod
    def run(self, batch: Packed) -> Embeddings:
        """The embeddings of the batch's n sequences, in its order, float32, of the model's kind:
        Dense (n, dim); of pairs Dense (n, 1), the logit of each.

        A sequence without a token gives zeros. Safe to call from `streams` threads at once.
        """

    def run_spans(self, batch: Packed, spans: Sequence[Integers]) -> Embeddings:
        """The embeddings of k spans of the batch, pooled as a sequence is: a span is the places
        of its tokens, which have seen the whole sequence. Raises ModelError where the runtime,
        as is the default, cannot.
        """
        raise ModelError(f"the runtime {self.name} pools whole texts; wanted torch for late chunks")
