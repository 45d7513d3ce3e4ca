"""What is chosen to run a model, and what is said about it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nearfield.encoders.load import load
from nearfield.errors import ContractError, InputError, ModelError
from nearfield.formats.model_folder import ModelFolder, read_model_folder
from nearfield.runtimes import RUNTIMES, choose, hardware
from nearfield.runtimes.choose import open_runtime
from nearfield.runtimes.native import NativeRuntime
from nearfield.runtimes.options import ON_CPU, PRECISIONS, OpenOptions
from nearfield.train.engine.environment import precision_here
from nearfield.types.contract import KINDS
from static_models import model2vec_folder
from tiny import tiny_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    return read_model_folder(
        tiny_model(tmp_path_factory.mktemp("models") / "tiny", kind="xlm-roberta")
    )


@pytest.mark.parametrize("name", list(RUNTIMES))
def test_every_runtime_of_the_registry_says_what_it_is(name: str) -> None:
    runtime = RUNTIMES[name]
    assert runtime.name == name
    assert runtime.precisions
    assert set(runtime.precisions) <= set(PRECISIONS)
    assert set(runtime.kinds) <= set(KINDS)


def test_auto_takes_the_first_that_can_and_says_why_not_the_others(
    folder: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = next(iter(RUNTIMES))
    monkeypatch.setattr(choose, "_why_not", lambda name, *_: "it rains" if name == first else None)
    if len(list(RUNTIMES)) == 1:
        with pytest.raises(
            ModelError,
            match=r"no runtime is left for this model at float32 on "
            r"cpu \(.*it rains\)",
        ):
            choose.choose(folder, OpenOptions(device="cpu"))
    else:
        choice, why = choose.choose(folder, OpenOptions(device="cpu"))
        assert choice.runtime == list(RUNTIMES)[1]
        assert why == f"{first}: it rains"


@pytest.mark.parametrize(
    ("flags", "precision"),
    [({"avx512_bf16"}, "bfloat16"), ({"amx_bf16", "avx2"}, "bfloat16"), ({"avx2"}, "float32")],
)
def test_auto_precision_follows_the_processor(
    flags: set[str], precision: str, folder: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "cpu_flags", lambda: frozenset(flags))
    choice, why = choose.choose(folder, OpenOptions(precision="auto", device="cpu"))
    assert choice.precision == precision
    assert "bfloat16" in why


@pytest.mark.parametrize(("capability", "precision"), [((9, 0), "bfloat16"), ((7, 5), "float32")])
def test_a_gpu_is_taken_where_there_is_one(
    capability: tuple[int, int],
    precision: str,
    folder: ModelFolder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(choose, "cuda", lambda: "NVIDIA Tiny")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    choice, why = choose.choose(folder, OpenOptions(precision="auto"))
    assert (choice.runtime, choice.device, choice.precision) == ("torch", "cuda", precision)
    assert "NVIDIA Tiny" in why
    assert precision_here("auto", "cuda") == precision


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"runtime": "tensorflow"}, r"no runtime 'tensorflow'; known: .*torch"),
        ({"precision": "bfloat61"}, r"no precision 'bfloat61'.*Did you mean 'bfloat16'"),
    ],
)
def test_unknown_names_are_refused_with_the_known_ones(
    asked: dict[str, str], message: str, folder: ModelFolder
) -> None:
    with pytest.raises((ContractError, InputError), match=message):
        choose.choose(folder, OpenOptions(**asked))


def test_what_torch_cannot_do_is_said(folder: ModelFolder) -> None:
    with pytest.raises(
        ModelError,
        match=r"no runtime is left.*int8.*torch: has no int8, only "
        r"float32, bfloat16",
    ):
        choose.choose(folder, OpenOptions("torch", "int8", "cpu"))
    with pytest.raises(InputError, match="device 'cuda:99' cannot be used"):
        open_runtime(folder, OpenOptions("torch", "float32", "cuda:99"))
    with pytest.raises(InputError, match="device 'tpu' cannot be used"):
        load(folder.path, runtime="torch", device="tpu")


def test_the_machine_is_looked_at_without_torch() -> None:
    code = (
        "import sys, nearfield.encoders.load, nearfield.runtimes.hardware as h; "
        "h.cpu_flags(); print('torch' in sys.modules)"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "False"
    )
    assert all(" " not in flag for flag in hardware.cpu_flags())


def test_the_first_vector_waits_for_nothing_heavy(minilm: Path) -> None:
    code = (
        "import sys; from nearfield import load; load(sys.argv[1], "
        "device='cpu').encode(['a query'], 'query'); "
    )
    code += "print(sorted({name.split('.')[0] for name in sys.modules} & set(sys.argv[2].split())))"
    heavy = (
        "torch transformers huggingface_hub scipy pyarrow sklearn bm25s openvino onnxruntime pandas"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(minilm), heavy], capture_output=True, text=True, check=True
    )
    if NativeRuntime.why_not(read_model_folder(minilm)) is not None:
        pytest.skip("the kernels are not compiled here, so that torch runs the model")
    assert ran.stdout.strip() == "[]"


def test_no_gpu_is_looked_for_where_none_may_be_seen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert hardware.cuda.__wrapped__() == ""


def test_a_static_model_is_not_converted_and_needs_no_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # whose "auto" is bfloat16 for others
    monkeypatch.setattr(hardware, "cpu_flags", lambda: frozenset({"avx512_bf16"}))
    monkeypatch.setattr(choose, "cuda", lambda: "NVIDIA Tiny")
    folder = read_model_folder(model2vec_folder(tmp_path / "static"))
    assert choose.choose(folder, OpenOptions(precision="auto"))[0].runtime == "static"
    with pytest.raises(
        ModelError,
        match=r"openvino: converts transformers, and this model is a "
        r"table of vectors \(--dtype says",
    ):
        choose.choose(folder, OpenOptions(device="cpu", precision="int8"))


def test_a_head_that_the_kernels_do_not_know_goes_to_torch(
    folder: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ModelFolder, "head_name", "first-and-mean")
    choice, why = choose.choose(folder, ON_CPU)
    assert choice.runtime == "torch"
    assert "native: does not run the head first-and-mean" in why
