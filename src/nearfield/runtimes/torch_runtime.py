"""torch as a runtime: every architecture that transformers knows, on a CPU or a GPU."""

from __future__ import annotations

from collections.abc import Sequence

from nearfield.batch.packed import Packed
from nearfield.errors import ModelError
from nearfield.formats.reranker_folder import RerankerFolder
from nearfield.models.device_memory import device_memory
from nearfield.models.model import TextModel
from nearfield.models.pair_model import PairModel
from nearfield.models.weight_sums import weight_sums
from nearfield.runtimes.hardware import usable
from nearfield.runtimes.options import ON_CPU, OpenOptions
from nearfield.runtimes.runtime import Folder, Runtime
from nearfield.similarity import EMBEDDINGS
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.arrays import Integers


class TorchRuntime(Runtime):
    """A torch model, run as it stands: while it is trained, the embeddings are those of its weights
    at that moment.
    """

    name = "torch"
    precisions = ("float32", "bfloat16")
    kinds = tuple(EMBEDDINGS.table)
    pairs = True
    cpu_only = False
    adapters = True
    own_code = True
    streams = 1  # torch spreads each operation over the cores itself

    def __init__(self, model: TextModel | PairModel) -> None:
        self.model = model
        self.precision = model.precision
        self.places = model.habits.places
        self.typed = model.typed
        self._opened = weight_sums(model.parameters().values())

    @property
    def identity(self) -> dict[str, str] | None:
        """None once a weight has changed, and with adapters that are not the folder's."""
        own = self.model
        # over all of minilm's weights in .03 s (docs/log.md, Texts encoded once)
        if weight_sums(own.parameters().values()) != self._opened:
            return None
        if own.adapters and not own.folder.adapters:
            return None
        said = {"runtime": self.name, "precision": self.precision}
        if own.layers is not None:  # the kernels round otherwise than torch
            said["layers"] = "native"
        return said

    @property
    def batch_tokens(self) -> int:  # type: ignore[override]
        """Enough to fill a GPU; what stays in a CPU's cache; of the kernels, which see to that
        themselves, enough for all threads.
        """
        if self.model.device.type == "cuda":
            return 32_768
        return 2048 if self.model.layers is None else 8192

    @classmethod
    def open(cls, folder: Folder, options: OpenOptions = ON_CPU) -> TorchRuntime:
        """Raises ModelError as `load_backbone` does, and InputError for a device that this machine
        lacks.
        """
        how = {"precision": options.precision, "device": options.device}
        with usable(options.device):
            if isinstance(folder, RerankerFolder):
                return cls(PairModel(folder, **how))
            return cls(TextModel(folder, **how))

    def run(self, batch: Packed) -> Embeddings:
        with device_memory():
            return self.model.represent(batch)

    def run_spans(self, batch: Packed, spans: Sequence[Integers]) -> Embeddings:
        if isinstance(self.model, PairModel):
            raise ModelError("a cross-encoder scores whole texts and has no late chunks")
        with device_memory():
            return self.model.represent_spans(batch, spans)
