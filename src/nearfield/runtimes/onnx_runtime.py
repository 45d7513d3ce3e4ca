"""ONNX Runtime as a runtime: float32, and int8 with dynamic ranges, on a CPU."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from nearfield.batch.packed import Packed
from nearfield.errors import ModelError, first_line
from nearfield.extras import installed, require
from nearfield.formats.model_folder import ModelFolder
from nearfield.models.heads.dense import DenseHead
from nearfield.models.heads.head import Given
from nearfield.runtimes.conversion import NO_TRANSFORMER, converted
from nearfield.runtimes.hardware import cores, cpu_flags
from nearfield.runtimes.padded_states import INPUTS, Shape
from nearfield.runtimes.proof import CHECKED, Measured, Proof, measure
from nearfield.runtimes.runtime import Runtime

BATCH_TOKENS = 1024
_OPSET = 17
_LARGEST = 2**31  # bytes: what one ONNX file may hold


class ONNXRuntime(Runtime):
    """An exported graph, one thread a call and one call a core.

    int8 keeps the weights in int8 and takes the range of each activation as it comes, so that
    nothing is calibrated.
    """

    name: ClassVar[str] = "onnx"
    precisions: ClassVar[tuple[str, ...]] = ("float32", "int8")

    def __init__(self, path: Path, folder: ModelFolder, *, precision: str) -> None:
        """The graph in the conversion at `path`."""
        engine = require("onnxruntime", extra="onnx")
        self.precision, self.batch_tokens, self.streams = precision, BATCH_TOKENS, cores()
        self._shape, self._head = Shape.open(path), DenseHead.open(Given(folder))
        self.places = self._shape.places
        options = engine.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._graph = engine.InferenceSession(
            path / "model.onnx", options, providers=["CPUExecutionProvider"]
        )

    @classmethod
    def open(
        cls, folder: ModelFolder, *, precision: str = "float32", proof: Proof | None = None
    ) -> ONNXRuntime:
        """The runtime of a model folder, converted and checked as `proof` says when it is not in
        the cache.

        Raises MissingExtra without onnxruntime and onnx, ModelError where the model cannot be
        exported or its vectors are not faithful enough.
        """
        proof = proof or Proof()
        for package in ("onnxruntime", "onnx"):
            if not installed(package):
                require(package, extra="onnx")
        settings = {"runtime": cls.name, "precision": precision, "vnni": _vnni()}

        def make(stage: Path) -> None:
            _export(folder, stage, precision=precision)

        def check(stage: Path) -> Measured:
            return measure(cls(stage, folder, precision=precision), folder, proof.sample(CHECKED))

        conversion = converted(
            folder,
            settings,
            packages=("onnxruntime", "onnx", "torch", "transformers"),
            make=make,
            measure=check,
        )
        conversion.measured.refuse_below(
            proof.fidelity, precision, f"{folder.contract.name} on onnx in {precision}"
        )
        return cls(conversion.path, folder, precision=precision)

    def embed(self, batch: Packed) -> npt.NDArray[np.float32]:
        """See Runtime.embed."""
        states = self._shape.states(batch, self._run)
        vectors: npt.NDArray[np.float32] = self._head.forward(states, batch)
        return vectors

    def _run(self, ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        states: npt.NDArray[Any] = self._graph.run(
            None, dict(zip(INPUTS, (ids, mask), strict=True))
        )[0]
        return states


def why_not(folder: ModelFolder) -> str | None:
    """That onnxruntime or onnx is not installed, or that there is no transformer; any architecture
    that exports, runs.
    """
    if folder.static:
        return NO_TRANSFORMER
    absent = [package for package in ("onnxruntime", "onnx") if not installed(package)]
    return f"{absent[0]} is not installed (pip install 'nearfield[onnx]')" if absent else None


def _vnni() -> bool:
    """Whether 8-bit products are added in 32 bits here; elsewhere two are added in 16 and overflow,
    unless weights have 7 bits.
    """
    return bool(cpu_flags() & {"avx512_vnni", "avx_vnni", "asimd"})


def _export(folder: ModelFolder, stage: Path, *, precision: str) -> None:
    """Write the graph of the folder's transformer. Raises ModelError where torch cannot export it.

    Through TorchScript: the exporter that replaces it takes seven times as long here and needs
    onnxscript.
    """
    import torch

    from nearfield.runtimes.traced import States, example, tracing

    states = States(folder.transformer)
    size = sum(weight.nbytes for weight in states.parameters())
    if size >= _LARGEST:
        raise ModelError(
            f"{folder.path}: its weights take {size / 2**30:.1f} GiB, and one ONNX "
            "file holds 2; use another runtime"
        )
    exported, final = stage / "exported.onnx", stage / "model.onnx"
    axes = {name: {0: "rows", 1: "places"} for name in (*INPUTS, "states")}
    with tracing():
        try:
            torch.onnx.export(
                states, example(), exported, dynamo=False, opset_version=_OPSET, dynamic_axes=axes,
                input_names=list(INPUTS), output_names=["states"],
            )  # fmt: skip
        except Exception as error:  # whatever torch raises for what it cannot trace
            raise ModelError(
                f"{folder.path}: torch cannot export this model to ONNX: {first_line(error)}"
            ) from error
        if precision == "int8":
            with _quiet():
                quantise = require("onnxruntime.quantization", extra="onnx")
                quantise.quantize_dynamic(
                    exported,
                    final,
                    per_channel=True,
                    reduce_range=not _vnni(),
                    weight_type=quantise.QuantType.QInt8,
                )
            exported.unlink()
        else:
            exported.rename(final)
    states.shape.save(stage)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the quantiser's advice, which it gives through the root logger."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
