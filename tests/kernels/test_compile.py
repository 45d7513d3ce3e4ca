"""Compiling the kernels, and the registers of processors that this one is not."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from nearfield.errors import ModelError, NearfieldWarning
from nearfield.formats.model_folder import read_model_folder
from nearfield.kernels import compile as compiling
from nearfield.kernels.compile import Level, compile_library
from nearfield.kernels.library import kernels, runnable
from nearfield.kernels.matrix import PRECISIONS, Matrix
from nearfield.runtimes import native
from nearfield.runtimes.hardware import cpu_flags
from nearfield.runtimes.native import NativeRuntime
from nearfield.runtimes.options import OpenOptions
from tiny import tiny_model
from tokens import LENGTHS, packed

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="there is no C compiler here"
)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library whose one level has the layout of AVX-512 with VNNI (16 floats, bytes in fours) in
    the instructions of lesser ones.
    """
    library = tmp_path_factory.mktemp("wide") / "wide.so"
    # instructions to a wide register, for the compiler's sake
    fewer = ("-mavx2", "-mfma") if "avx2" in runnable() else ()
    compile_library(library, of={"plain": Level(16, ("-DUNIT_INT8=4", *fewer))}, flags=("-Og",))
    return library


@needs_compiler
def test_wide_registers_give_the_same_vectors(
    wide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = kernels("plain", path=wide)
    assert (own.lanes, own.panel, own.call("units", 2, 9)) == (16, 32, 3)
    sizes = {"hidden_size": 72, "num_attention_heads": 2, "intermediate_size": 400}
    folder = read_model_folder(
        tiny_model(tmp_path / "tiny", kind="mpnet", max_tokens=128, sizes=sizes)
    )
    narrow = {
        precision: NativeRuntime.open(folder, OpenOptions(precision=precision))
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
        np.testing.assert_allclose(vectors, narrow[precision], atol=least, rtol=0)


@needs_compiler
@pytest.mark.parametrize("columns", [1, 3, 4, 7, 383, 385, 900])
def test_bytes_in_fours_add_up_as_in_twos(wide: Path, columns: int) -> None:
    generator = np.random.default_rng(columns)
    weight, bias = (
        generator.standard_normal((40, columns), np.float32),
        generator.standard_normal(40, np.float32),
    )
    inputs = generator.standard_normal((13, columns), np.float32)
    results = []
    for own in (kernels("plain", path=wide), kernels()):
        out, room = (
            np.zeros((13, 64), np.float32),
            np.empty(13 * (own.padded(columns) + 2), np.float32),
        )
        matrix = Matrix(own, [weight], [bias], precision="int8")
        span = np.array([0, 40, 0, columns])
        own.call(
            "product", ctypes.addressof(matrix.layout), span, inputs, columns, 13, room, out, 64, 0
        )
        results.append(out[:, :40])
    np.testing.assert_allclose(results[0], results[1], atol=1e-4)


def test_a_library_of_other_sources_is_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if not runnable():
        pytest.skip("the kernels are not compiled here")
    copy = tmp_path / "copy.so"
    shutil.copy(compiling.LIBRARY, copy)
    monkeypatch.setattr("nearfield.kernels.library.fingerprint", lambda: 1)
    assert runnable(copy) == ()
    with pytest.raises(
        ModelError,
        match=r"not compiled here.*their sources have changed.*python "
        r"-m nearfield.kernels.compile",
    ):
        kernels(path=copy)


def test_a_damaged_library_is_not_loaded(wide: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.so"
    for file in (wide, compiling.noted_at(wide)):
        shutil.copy(file, tmp_path / file.name.replace("wide", "copy"))
    content = bytearray(copy.read_bytes())
    content[len(content) // 2] ^= 1
    copy.write_bytes(content)
    with pytest.warns(NearfieldWarning, match=r"copy\.so: is damaged.*compile it again"):
        assert runnable(copy) == ()


def test_no_library_and_no_level(tmp_path: Path) -> None:
    assert runnable(tmp_path / "none.so") == ()
    if runnable():
        with pytest.raises(ModelError, match="cannot run the kernels of level 'mmx'; it runs "):
            kernels("mmx")


@needs_compiler
def test_a_level_that_the_compiler_does_not_know_is_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old, real = tmp_path / "old", next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))))
    old.write_text(
        f'#!/bin/sh\nfor word; do [ "$word" = -mnew ] && exit 1; done\nexec {real} "$@"\n'
    )
    old.chmod(0o755)
    monkeypatch.setenv("CC", str(old))
    compile_library(
        tmp_path / "kernels.so",
        of={"avx512": Level(16, ("-mnew",)), "plain": Level(4, ())},
        flags=("-O0",),
    )
    assert runnable(tmp_path / "kernels.so") == ("plain",)


@pytest.mark.skipif(
    shutil.which("gcc") is None or "amx" not in compiling.levels(),
    reason="no gcc for x86, which has an assembler of its own",
)
def test_a_level_that_the_assembler_does_not_know_is_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As that of binutils 2.35 does not know AMX, of which gcc 11 writes instructions for it."""
    monkeypatch.setenv("CC", "gcc -Wa,-march=znver1")
    compile_library(
        tmp_path / "kernels.so",
        of={"amx": compiling.X86["amx"], "plain": Level(4, ())},
        flags=("-O0",),
    )
    assert not hasattr(ctypes.CDLL(str(tmp_path / "kernels.so")), "nf_lanes_amx")


@pytest.mark.skipif(
    not runnable() or not Path("/proc/cpuinfo").exists(),
    reason="no kernels, or no /proc/cpuinfo to hold them to",
)
def test_levels_are_those_that_the_system_says_the_processor_has() -> None:
    """And that the compiler knows."""
    narrow = {"avx2", "fma", "f16c", "popcnt"}
    wide = narrow | {"avx512f", "avx512bw", "avx512vl", "avx512dq"}
    needed = {
        "plain": set(),
        "avx2": narrow,
        "avxvnni": narrow | {"avx_vnni"},
        "avx512": wide,
        "vnni": wide | {"avx512_vnni"},
    }
    needed["bf16"] = needed["vnni"] | {"avx512_bf16"}
    needed["amx"] = needed["bf16"] | {"amx_tile", "amx_int8", "amx_bf16"}
    possible = {
        level
        for level, kind in compiling.levels().items()
        if needed[level] <= cpu_flags() and compiling._knows(kind.flags)
    }
    assert set(runnable()) == possible
    assert runnable() is runnable(), "each search asks, and the processor is asked once"


@needs_compiler
@pytest.mark.skipif(
    "amx" not in compiling.levels() or not compiling._knows(compiling.X86["amx"].flags),
    reason="no compiler that knows AMX",
)
def test_tiles_are_used_whatever_the_compiler_calls_them(tmp_path: Path) -> None:
    """clang 14 defines __AMXTILE__ where gcc defines __AMX_TILE__."""
    flags = ("-mavx2", "-mfma", "-mamx-tile", "-mamx-int8", "-mamx-bf16", "-DUNIT_INT8=4")
    for unknown, known in (
        ("AMX_TILE", "AMXTILE"),
        ("AMX_INT8", "AMXINT8"),
        ("AMX_BF16", "AMXBF16"),
    ):
        flags += (f"-U__{unknown}__", f"-U__{known}__", f"-D__{known}__=1")
    compile_library(tmp_path / "kernels.so", of={"plain": Level(16, flags)}, flags=("-Og",))
    assert (
        kernels("plain", path=tmp_path / "kernels.so").call("units", PRECISIONS.index("int8"), 9)
        == 16
    )


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_each_compiler_says_what_the_processor_has(
    compiler: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler} here")
    monkeypatch.setenv("CC", compiler)
    levels = {
        name: level for name, level in compiling.levels().items() if name in ("avx2", "plain")
    }
    compile_library(tmp_path / "kernels.so", of=levels, flags=("-O0",))
    assert runnable(tmp_path / "kernels.so") == tuple(
        level for level in runnable() if level in levels
    )


def test_without_a_compiler_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(OSError, match="no-such-compiler"):
        compile_library(tmp_path / "kernels.so")
    monkeypatch.setenv("CC", "false")
    with pytest.raises(subprocess.CalledProcessError):
        compile_library(tmp_path / "kernels.so")
    assert list(tmp_path.iterdir()) == []
