"""OpenVINO as a runtime: float32, bfloat16 and int8 on a CPU."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
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
from nearfield.runtimes.proof import (
    CALIBRATED,
    CHECKED,
    Measured,
    Proof,
    folder_tokeniser,
    measure,
)
from nearfield.runtimes.runtime import Runtime

BATCH_TOKENS = 1024
# of what int8 leaves in floating point
_HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}


class OpenVINORuntime(Runtime):
    """A converted graph on one stream a core.

    float32 and bfloat16 are one graph under two hints; int8 is quantised statically (NNCF, a range
    a tensor) after calibration on the proof's texts.
    """

    name: ClassVar[str] = "openvino"
    precisions: ClassVar[tuple[str, ...]] = ("float32", "bfloat16", "int8")

    def __init__(self, path: Path, folder: ModelFolder, *, precision: str) -> None:
        """The graph in the conversion at `path`."""
        core = openvino().Core()
        self.precision, self.batch_tokens, self.streams = precision, BATCH_TOKENS, cores()
        self._shape, self._head, self._requests = (
            Shape.open(path),
            DenseHead.open(Given(folder)),
            threading.local(),
        )
        self.places = self._shape.places
        settings = {
            "NUM_STREAMS": self.streams,
            "INFERENCE_NUM_THREADS": self.streams,
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
        }
        self._compiled = core.compile_model(path / "model.xml", "CPU", settings)

    @classmethod
    def open(
        cls, folder: ModelFolder, *, precision: str = "float32", proof: Proof | None = None
    ) -> OpenVINORuntime:
        """The runtime of a model folder, converted and checked as `proof` says when it is not in
        the cache.

        Raises MissingExtra without openvino (for int8 without nncf), ModelError where the model
        cannot be converted or its vectors are not faithful enough.
        """
        proof = proof or Proof()
        engine = openvino()
        capabilities = engine.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "bfloat16" and "BF16" not in capabilities:
            raise ModelError(
                "openvino: this processor does not multiply bfloat16, and OpenVINO "
                "would use float32; ask for float32"
            )
        settings = {
            "runtime": cls.name,
            "precision": precision,
            "capabilities": sorted(capabilities),
        }
        packages = ["openvino", "torch", "transformers"]
        if precision == "int8":
            if not installed("nncf"):
                require("nncf", extra="openvino-int8")
            settings["texts"] = proof.fingerprint()
            packages.append("nncf")

        def make(stage: Path) -> None:
            _convert(
                folder, stage, calibration=proof.sample(CALIBRATED) if precision == "int8" else None
            )

        def check(stage: Path) -> Measured:
            return measure(cls(stage, folder, precision=precision), folder, proof.sample(CHECKED))

        conversion = converted(folder, settings, packages=packages, make=make, measure=check)
        conversion.measured.refuse_below(
            proof.fidelity, precision, f"{folder.contract.name} on openvino in {precision}"
        )
        return cls(conversion.path, folder, precision=precision)

    def embed(self, batch: Packed) -> npt.NDArray[np.float32]:
        """See Runtime.embed."""
        states = self._shape.states(batch, self._run)
        vectors: npt.NDArray[np.float32] = self._head.forward(states, batch)
        return vectors

    def _run(self, ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        if not hasattr(self._requests, "own"):
            self._requests.own = self._compiled.create_infer_request()
        given = dict(zip(INPUTS, (ids, mask), strict=True))
        states: npt.NDArray[Any] = self._requests.own.infer(
            given, share_inputs=True, share_outputs=True
        )[0]
        return states


def why_not(folder: ModelFolder) -> str | None:
    """That openvino is not installed, or that there is no transformer; any architecture that
    converts, runs.
    """
    if folder.static:
        return NO_TRANSFORMER
    return None if installed("openvino") else "is not installed (pip install 'nearfield[openvino]')"


def openvino() -> ModuleType:
    """The imported package. Raises MissingExtra with the pip line.

    What it reports home when it is imported and when it converts, it does not report from here.
    """
    with _unreported():
        return require("openvino", extra="openvino")


@contextlib.contextmanager
def _unreported() -> Iterator[None]:
    """Imports in which openvino and nncf find no telemetry to report through, which they are made
    to go without.
    """
    silenced = "openvino_telemetry" not in sys.modules
    if silenced:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # importing it raises ImportError
    try:
        yield
    finally:
        if silenced:
            del sys.modules["openvino_telemetry"]


def _convert(folder: ModelFolder, stage: Path, *, calibration: list[str] | None) -> None:
    """Write the graph of the folder's transformer, quantised after calibration on texts where there
    are any. Raises ModelError.
    """
    from nearfield.runtimes.traced import States, example, tracing

    states = States(folder.transformer)
    with tracing():
        try:
            graph = openvino().convert_model(
                states, example_input=dict(zip(INPUTS, example(), strict=True))
            )
        except Exception as error:  # whatever torch and OpenVINO raise for what they cannot trace
            raise ModelError(
                f"{folder.path}: OpenVINO cannot convert this model: {first_line(error)}"
            ) from error
    if calibration:
        graph = _quantised(graph, folder, calibration)
    openvino().save_model(graph, stage / "model.xml", compress_to_fp16=False)
    states.shape.save(stage)


def _quantised(graph: Any, folder: ModelFolder, texts: list[str]) -> Any:
    """The graph in int8, with the ranges that NNCF finds on `texts`, one at a time: padding would
    count in them.
    """
    with _unreported():
        nncf = require("nncf", extra="openvino-int8")
    nncf.set_log_level(logging.ERROR)
    tokens = folder_tokeniser(folder).tokenise(texts)
    rows = [tokens.of(int(at))[None].astype(np.int64) for at in np.flatnonzero(tokens.lengths)]
    exact = cpu_flags() & {"avx512_vnni", "avx_vnni", "asimd"}
    return nncf.quantize(
        graph,
        nncf.Dataset([dict(zip(INPUTS, (ids, np.ones_like(ids)), strict=True)) for ids in rows]),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(rows),
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            # AVX2 alone adds two 8-bit products in 16 bits and overflows; half the range for the
            # weights avoids that
            overflow_fix=nncf.OverflowFix.DISABLE if exact else nncf.OverflowFix.ENABLE
        ),
    )
