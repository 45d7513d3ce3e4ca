"""How a model is opened."""

from __future__ import annotations

from dataclasses import dataclass

from nearfield.runtimes.proof import BUILT_IN, Proof

AUTO = "auto"
PRECISIONS = ("float32", "bfloat16", "int8")


@dataclass(frozen=True)
class OpenOptions:
    """What runs a model, and how; `choose` decides where "auto" is given.

    `runtime` is a name of the registry, `precision` that of the matrix products (float32, bfloat16,
    int8), `device` as torch names it (cpu, cuda). `proof` says on which texts a converted model
    (openvino, onnx) is checked. Code that a folder names is run only with `trust_remote_code`.
    """

    runtime: str = AUTO
    precision: str = "float32"
    device: str = AUTO
    proof: Proof = BUILT_IN
    trust_remote_code: bool = False


DEFAULTS = OpenOptions()
ON_CPU = OpenOptions(device="cpu")
