"""The C sources of this folder to a library, by the system's compiler.

    python -m nearfield.kernels.compile

Imports nothing but the standard library, so that installing the package can run it.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
LIBRARY = HERE / ("kernels.dylib" if sys.platform == "darwin" else "kernels.so")
ONCE = "cpu.c"  # the source that is compiled once; each other one is compiled once a level

_NARROW = ("-mavx2", "-mfma", "-mf16c", "-mpopcnt")
_WIDE = (
    "-mavx512f",
    "-mavx512bw",
    "-mavx512vl",
    "-mavx512dq",
    *_NARROW,
    "-mprefer-vector-width=512",
)
_FLAGS = (
    "-std=gnu11",
    "-O3",
    "-fPIC",
    "-fno-semantic-interposition",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-Wno-psabi",
)


@dataclass(frozen=True)
class Level:
    """A kind of processor: how many float32 a register holds, and the compiler's flags."""

    lanes: int
    flags: tuple[str, ...]


# an instruction that comes of a flag: the compiler may know it and the assembler, a program of its
# own, not yet
_SAMPLES = {
    "-mavx2": "vpaddd %ymm0, %ymm0, %ymm0",
    "-mavx512bw": "vpmaddwd %zmm0, %zmm0, %zmm0",
    "-mavx512vnni": "vpdpbusd %zmm0, %zmm0, %zmm0",
    "-mavx512bf16": "vdpbf16ps %zmm0, %zmm0, %zmm0",
    "-mavxvnni": "{vex} vpdpbusd %ymm0, %ymm0, %ymm0",
    "-mamx-tile": "tilerelease",
}
PLAIN = {"plain": Level(4, ())}
_BF16 = (*_WIDE, "-mavx512vnni", "-mavx512bf16")
X86 = {
    "amx": Level(16, (*_BF16, "-mamx-tile", "-mamx-int8", "-mamx-bf16")),
    "bf16": Level(16, _BF16),
    "vnni": Level(16, (*_WIDE, "-mavx512vnni")),
    "avx512": Level(16, _WIDE),
    "avxvnni": Level(8, (*_NARROW, "-mavxvnni")),
    "avx2": Level(8, _NARROW),
    **PLAIN,
}


def levels() -> Mapping[str, Level]:
    """The levels of this kind of machine, best first; the last runs on any of its processors."""
    if platform.machine().lower() in ("x86_64", "amd64"):
        return X86
    return PLAIN


def compile_library(
    target: Path = LIBRARY, *, of: Mapping[str, Level] | None = None, flags: tuple[str, ...] = ()
) -> None:
    """Compile the sources for the levels `of` (this machine's by default) into the library
    `target`, whole or not at all.

    A level that the compiler or its assembler is too old to know is left out. `flags` are added to
    the compiler's. Raises OSError where there is no compiler, CalledProcessError where it fails.
    """
    wanted = levels() if of is None else of
    sources = sorted(source for source in HERE.glob("*.c") if source.name != ONCE)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".kernels-", dir=target.parent) as folder:
        # each object file, and what the compiler is given to make it
        jobs = {f"{folder}/cpu.o": [f"-DSOURCES={fingerprint()}u", str(HERE / ONCE)]}
        for name, level in wanted.items():
            if _knows(level.flags):
                own = [*level.flags, f"-DLEVEL={name}", f"-DLANES={level.lanes}"]
                for source in sources:
                    jobs[f"{folder}/{source.stem}-{name}.o"] = [*own, str(source)]

        def compile_one(made: str) -> None:
            _run([*_FLAGS, *flags, "-c", *jobs[made], "-o", made])

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(compile_one, jobs))  # which raises what any of them did
        built = Path(folder) / target.name
        _run([*flags, "-shared", *jobs, "-o", str(built), "-lm"])
        noted = noted_at(target)
        noted.unlink(missing_ok=True)  # no library is ever held against the checksum of another
        checksum = zlib.crc32(built.read_bytes())
        os.replace(built, target)
        noted.write_text(f"{checksum:08x}", encoding="ascii")


def noted_at(library: Path) -> Path:
    """Where the checksum of the library lies."""
    return library.with_name(f"{library.name}.crc32")


def damaged(library: Path) -> bool:
    """Whether the library is not as it was compiled. One without a checksum beside it is taken as
    it is.
    """
    noted = noted_at(library)
    if not noted.is_file():
        return False
    found = f"{zlib.crc32(library.read_bytes()):08x}"
    return noted.read_text(encoding="ascii", errors="replace") != found


def fingerprint() -> int:
    """What a library says that was compiled from the sources as they are now (CRC-32)."""
    found = 0
    for source in sorted(HERE.glob("*.[ch]")):
        found = zlib.crc32(source.read_bytes(), found)
    return found


def stale() -> bool:
    """Whether the library is missing, or older than a source of it."""
    if not LIBRARY.exists():
        return True
    sources = [*HERE.glob("*.[ch]"), Path(__file__)]
    return LIBRARY.stat().st_mtime < max(source.stat().st_mtime for source in sources)


def _knows(flags: tuple[str, ...]) -> bool:
    sample = [f'__asm__("{text}");\n' for flag, text in _SAMPLES.items() if flag in flags]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "sample.c"
        source.write_text("".join(sample), encoding="ascii")
        try:
            _run([*flags, "-c", str(source), "-o", str(source.with_suffix(".o"))])
        except subprocess.CalledProcessError:
            return False
    return True


def _run(arguments: list[str]) -> None:
    compiler = os.environ.get("CC")
    if not compiler:
        # else the one that Python was compiled with
        usual = str(sysconfig.get_config_var("CC") or "cc").split()[0]
        found = [name for name in ("cc", "gcc", "clang") if shutil.which(name)]
        compiler = found[0] if found else usual
    subprocess.run([*compiler.split(), *arguments], check=True, capture_output=True, text=True)


if __name__ == "__main__":
    compile_library()
