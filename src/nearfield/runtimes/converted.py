"""A runtime of another project, which runs a graph that the model's backbone is converted to."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from nearfield.batch.packed import Packed, packed_batches
from nearfield.extras import installed, require
from nearfield.formats.model_folder import ModelFolder
from nearfield.models.heads.dense import DenseHead
from nearfield.models.heads.head import Given
from nearfield.models.tokeniser import tokeniser_of
from nearfield.runtimes.conversion import converted
from nearfield.runtimes.hardware import cores
from nearfield.runtimes.options import ON_CPU, OpenOptions
from nearfield.runtimes.padded_states import Shape
from nearfield.runtimes.proof import CHECKED, Measured, Proof
from nearfield.runtimes.runtime import Folder, Runtime
from nearfield.similarity.dense import Dense
from nearfield.types.arrays import Array, Integers


class ConvertedRuntime(Runtime):
    """A converted graph from padded ids to token states, one thread per call and one call per core.

    `packages` are those that run it, which the extra of the runtime's name brings.
    """

    packages: ClassVar[tuple[str, ...]]
    batch_tokens = 1024

    def __init__(self, path: Path, folder: ModelFolder, *, precision: str) -> None:
        """The graph in the conversion at `path`."""
        self.precision = precision
        self.streams = cores()
        self._shape = Shape.open(path)
        self._head = DenseHead.open(Given(folder))
        # the graph has as many positions as there were when it was traced
        self.places = self._shape.places
        self._load(path)

    @classmethod
    def why_not(cls, folder: Folder) -> str | None:
        """None where the packages are here: any architecture that converts, runs."""
        if folder.static:
            return (
                "converts transformers, and this model is a table of vectors (--dtype says how "
                "its vectors are stored)"
            )
        absent = [package for package in cls.packages if not installed(package)]
        if absent:
            return f"{absent[0]} is not installed (pip install 'nearfield[{cls.name}]')"
        return None

    @classmethod
    def open(cls, folder: Folder, options: OpenOptions = ON_CPU) -> Self:
        """The runtime, converted and checked as the proof says when it is not in the cache.

        Raises MissingExtra without the packages, ModelError where the model cannot be converted or
        its vectors are not faithful enough.
        """
        assert isinstance(folder, ModelFolder)
        precision = options.precision
        proof = options.proof
        for package in cls.packages:
            if not installed(package):
                require(package, extra=cls.name)
        settings, packages = cls._settings(precision, proof)

        def make(stage: Path) -> None:
            cls._convert(folder, stage, precision=precision, proof=proof).save(stage)

        def check(stage: Path) -> Measured:
            runtime = cls(stage, folder, precision=precision)
            return measure(runtime, folder, proof.sample(CHECKED))

        conversion = converted(
            folder,
            {"runtime": cls.name, "precision": precision, **settings},
            packages=(*cls.packages, "torch", "transformers", *packages),
            make=make,
            measure=check,
        )
        what = f"{folder.contract.name} on {cls.name} in {precision}"
        # each time, also of a conversion from the cache: another fidelity may be asked for
        conversion.measured.refuse_below(proof.fidelity, precision, what)
        return cls(conversion.path, folder, precision=precision)

    def run(self, batch: Packed) -> Dense:
        states = self._shape.states(batch, self._states)
        return self._head.embeddings(self._head.forward(states, batch), batch)

    @classmethod
    @abstractmethod
    def _settings(cls, precision: str, proof: Proof) -> tuple[Mapping[str, Any], Sequence[str]]:
        """What else a conversion depends on, and the packages beside `packages`.

        Raises MissingExtra or ModelError where this precision is not to be had here.
        """

    @classmethod
    @abstractmethod
    def _convert(cls, folder: ModelFolder, stage: Path, *, precision: str, proof: Proof) -> Shape:
        """Write the graph of the folder's transformer into `stage`. Raises ModelError where it
        cannot be converted.
        """

    @abstractmethod
    def _load(self, path: Path) -> None:
        """Open the graph in the conversion at `path`."""

    @abstractmethod
    def _states(self, ids: Integers, mask: Integers) -> Array:
        """The states (B, L, hidden) of ids and mask (B, L), 1 at real tokens."""


def measure(runtime: ConvertedRuntime, folder: ModelFolder, texts: Sequence[str]) -> Measured:
    """`runtime`'s vectors beside those of torch in float32, for the same tokens without any
    prompt.
    """
    from nearfield.runtimes.torch_runtime import TorchRuntime

    reference: Any = TorchRuntime.open(folder)
    tokens = tokeniser_of(folder.within(runtime.places)).tokenise(texts)
    cosines = []
    for batch in packed_batches(tokens, runtime.batch_tokens):
        ours = runtime.run(batch).floats().astype(np.float64)
        theirs = reference.run(batch).floats().astype(np.float64)
        norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
        products = (ours * theirs).sum(1) / np.where(norms > 0, norms, 1)  # (n,)
        # a vector of zeros has no direction; it is right where both are zeros
        cosines.append(np.where(norms > 0, products, (ours == theirs).all(1)))
    each = np.concatenate(cosines)
    return Measured(float(each.min()), float(each.mean()), len(each))
