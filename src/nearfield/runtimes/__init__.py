"""What can run a model, in the order in which `auto` prefers them.

openvino and onnx convert a model, which takes a minute the first time, so they come last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfield.registry import Registry

if TYPE_CHECKING:
    from nearfield.runtimes.runtime import Runtime

RUNTIMES: Registry[type[Runtime]] = Registry(
    "runtime",
    {
        "static": "nearfield.runtimes.static:StaticRuntime",
        "native": "nearfield.runtimes.native:NativeRuntime",
        "lookup": "nearfield.runtimes.lookup:LookupRuntime",
        "torch": "nearfield.runtimes.torch_runtime:TorchRuntime",
        "openvino": "nearfield.runtimes.openvino_runtime:OpenVINORuntime",
        "onnx": "nearfield.runtimes.onnx_runtime:ONNXRuntime",
    },
)
