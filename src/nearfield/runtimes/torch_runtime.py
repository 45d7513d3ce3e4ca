"""torch as a runtime: every architecture that transformers knows, on a CPU or a GPU."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from nearfield.batch.packed import Packed
from nearfield.formats.model_folder import ModelFolder
from nearfield.models.device_memory import device_memory
from nearfield.models.model import TextModel
from nearfield.runtimes.runtime import Runtime
from nearfield.similarity import EMBEDDINGS
from nearfield.similarity.embeddings import Embeddings


class TorchRuntime(Runtime):
    """A `TextModel`, run as it stands: while it is trained, the vectors are those of its weights at
    that moment.
    """

    name = "torch"
    precisions = ("float32", "bfloat16")
    kinds = tuple(EMBEDDINGS)
    adapts = True
    streams = 1  # torch spreads each operation over the cores itself

    def __init__(self, model: TextModel) -> None:
        self.model = model
        self.precision, self.places = model.precision, model.habits.places

    @property
    def batch_tokens(self) -> int:  # type: ignore[override]  # it changes while the model is trained
        """Enough to fill a GPU; what stays in a CPU's cache; of the kernels, which see to that
        themselves, enough for all threads.
        """
        if self.model.device.type == "cuda":
            return 32_768
        return 2048 if self.model.layers is None else 8192

    @classmethod
    def open(
        cls, folder: ModelFolder, *, precision: str = "float32", device: str = "cpu"
    ) -> TorchRuntime:
        """The runtime of a model folder. Raises ModelError as `load_backbone` does."""
        return cls(TextModel(folder, precision=precision, device=device))

    def embed(self, batch: Packed) -> npt.NDArray[np.float32]:
        """See Runtime.embed."""
        with torch.inference_mode(), device_memory():
            vectors: npt.NDArray[np.float32] = self.model.embed(batch).cpu().numpy()
        return vectors

    def represent(self, batch: Packed) -> Embeddings:
        """See Runtime.represent."""
        with device_memory():
            return self.model.represent(batch)


def why_not(folder: ModelFolder) -> str | None:
    """None: torch runs whatever transformers opens, and what that does not open, nothing
    here does.
    """
    return None
