"""What can run a model. One literal table of lazily imported names, in the order in which `auto`
prefers them.

A model is converted for openvino and onnx, which takes a minute the first time, so that `auto`
comes to them last.

Each is the place of a `Runtime`, whose class method `open(folder, *, precision)` gives one, beside
a function `why_not(folder)` that says in words why it cannot run the model in a folder, or gives
None where it can.
"""

RUNTIMES = {
    "static": "nearfield.runtimes.static:StaticRuntime",
    "native": "nearfield.runtimes.native:NativeRuntime",
    "lookup": "nearfield.runtimes.lookup:LookupRuntime",
    "torch": "nearfield.runtimes.torch_runtime:TorchRuntime",
    "openvino": "nearfield.runtimes.openvino_runtime:OpenVINORuntime",
    "onnx": "nearfield.runtimes.onnx_runtime:ONNXRuntime",
}
