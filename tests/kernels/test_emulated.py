"""The sources of levels that this processor may lack, run with their instructions emulated by SIMDe
(Debian: libsimde-dev).
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from indexes import clustered
from nearfield.formats.model_folder import read_model_folder
from nearfield.indexes import funnel, signs
from nearfield.indexes.scan import numpy_scan, scan
from nearfield.kernels.compile import _FLAGS, Level, compile_library
from nearfield.kernels.library import Kernels, kernels, runnable
from nearfield.kernels.matrix import PRECISIONS, Matrix
from nearfield.models.backbones import native_layers
from nearfield.models.model import TextModel
from nearfield.runtimes import native
from nearfield.runtimes.native import NativeRuntime
from nearfield.runtimes.options import OpenOptions
from nearfield.similarity.storages import STORAGES
from tiny import tiny_model
from tokens import LENGTHS, packed

HEADER = Path(__file__).parent / "emulated.h"
OF_AVX2 = ("-mavx2", "-mfma", "-mf16c", "-mpopcnt")


COMPILER = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)


def can_emulate() -> bool:
    if COMPILER is None or "avx2" not in runnable():
        return False
    return (
        subprocess.run(
            [COMPILER, "-E", "-include", "simde/x86/avx512.h", "-x", "c", "/dev/null"],
            capture_output=True,
        ).returncode
        == 0
    )


pytestmark = pytest.mark.skipif(
    not can_emulate(), reason="no AVX2, or no C compiler that finds SIMDe's headers (libsimde-dev)"
)


@pytest.fixture(scope="module", params=["avx512", "vnni", "bf16", "amx", "avxvnni"])
def own(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kernels:
    place = tmp_path_factory.mktemp(request.param)
    library, header = place / "kernels.so", place / HEADER.name
    shutil.copy(HEADER, header)
    flags = (*OF_AVX2, f"-DEMULATE_{request.param.upper()}")
    # gcc takes the header as it is compiled here once, instead of reading SIMDe for each source
    once = [COMPILER, *_FLAGS, "-Og", *flags, "-x", "c-header", header]
    subprocess.run([*once, "-o", f"{header}.gch"], capture_output=True, check=False)
    level = Level(8 if request.param == "avxvnni" else 16, (*flags, "-include", str(header)))
    compile_library(library, of={"plain": level}, flags=("-Og",))
    found = kernels("plain", path=library)
    assert found.call("units", PRECISIONS.index("int8"), 9) == {"avx512": 5, "amx": 16}.get(
        request.param, 3
    )
    return found


def test_models_give_the_vectors_of_another_level(
    own: Kernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {"hidden_size": 72, "num_attention_heads": 2, "intermediate_size": 400}
    folder = read_model_folder(
        tiny_model(tmp_path / "tiny", kind="mpnet", max_tokens=128, sizes=sizes)
    )
    wanted = {
        precision: NativeRuntime.open(folder, OpenOptions(precision=precision), level="avx2")
        .run(packed(LENGTHS))
        .vectors
        for precision in PRECISIONS
    }
    monkeypatch.setattr(native, "kernels", lambda level: own)
    # roundings fall otherwise where sums differ by their order
    for precision, least in zip(PRECISIONS, (1e-5, 3e-3, 3e-3), strict=True):
        vectors = (
            NativeRuntime.open(folder, OpenOptions(precision=precision))
            .run(packed(LENGTHS))
            .vectors
        )
        np.testing.assert_allclose(vectors, wanted[precision], atol=least, rtol=0)


@pytest.mark.parametrize("one_token", [False, True])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_gradients_are_those_of_another_level(
    own: Kernels, precision: str, one_token: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {"hidden_size": 72, "num_attention_heads": 2, "intermediate_size": 400}
    model = TextModel.open(tiny_model(tmp_path / "tiny", kind="mpnet", max_tokens=128, sizes=sizes))
    weights, found = (
        [weight for name, weight in model.parameters().items() if not name.startswith("pooler")],
        [],
    )
    batch = packed([length for length in LENGTHS if length])
    for chosen in (own, kernels("avx2")):
        monkeypatch.setattr(native_layers, "kernels", lambda level, chosen=chosen: chosen)
        model.layers = native_layers.NativeLayers(model.backbone, precision=precision, threads=2)
        states = model.states(batch, picked=batch.lengths // 2 if one_token else None)
        loss = (
            states * torch.randn(states.shape, generator=torch.Generator().manual_seed(0))
        ).sum()
        found.append([states.detach(), *torch.autograd.grad(loss, weights)])
    for one, other in zip(*found, strict=True):
        assert (
            float((one - other).norm())
            <= (1e-5 if precision == "float32" else 2e-2) * float(other.norm()) + 1e-3
        )


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("columns", [1, 3, 7, 383, 385, 900])
def test_products_are_those_of_another_level(own: Kernels, precision: str, columns: int) -> None:
    generator = np.random.default_rng(columns)
    weight, bias = (
        generator.standard_normal((40, columns), np.float32),
        generator.standard_normal(40, np.float32),
    )
    inputs, results = generator.standard_normal((29, columns), np.float32) * 3 + 1, []
    for chosen in (own, kernels("avx2")):
        out, room = (
            np.zeros((29, 64), np.float32),
            np.empty(29 * (chosen.padded(columns) + 2), np.float32),
        )
        matrix = Matrix(chosen, [weight], [bias], precision=precision)
        chosen.call(
            "product",
            ctypes.addressof(matrix.layout),
            np.array([0, 40, 0, columns]),
            inputs,
            columns,
            29,
            room,
            out,
            64,
            0,
        )
        results.append(out[:, :40])
    np.testing.assert_allclose(results[0], results[1], atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("storage", list(STORAGES))
def test_scans_find_what_numpy_finds(own: Kernels, storage: str) -> None:
    query, documents = clustered(11, seed=1).floats(), clustered(300).quantise(storage)
    found, scores = scan(query, documents, 9, kernels=own)
    wanted, by_numpy = numpy_scan(query, documents, 9)
    np.testing.assert_array_equal(np.sort(found), np.sort(wanted))
    np.testing.assert_allclose(np.sort(scores), np.sort(by_numpy), rtol=1e-4, atol=1e-4)


def test_shortlists_are_those_of_another_level(
    own: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    query, documents = clustered(5, seed=1).floats(), clustered(300)
    for module, kind in ((funnel, funnel.Funnel), (signs, signs.Signs)):
        index = kind.of(documents)
        found = []
        for chosen in (own, kernels("avx2")):
            monkeypatch.setattr(module, "chosen_kernels", lambda chosen=chosen: chosen)
            found.append(np.sort(index.candidates(query, 40)))
        np.testing.assert_array_equal(found[0], found[1])
