"""The kernels under AddressSanitizer and UndefinedBehaviorSanitizer: their tests, and damaged
vector folders.

    python tests/fuzz/sanitised.py --count 2000

Compiles the kernels with -fsanitize=address,undefined for the best level of this processor and the
plain one, and runs a process with the sanitiser's library loaded first. Ends with 0 where nothing
was found, 77 where the compiler or the system lacks what it takes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from random import Random

TESTS = Path(__file__).resolve().parents[1]
LACKING = 77  # the exit status of a test that is left out
LIBRARY = "NEARFIELD_SANITISED_KERNELS"  # where the child finds the library
FLAGS = (
    "-O1",
    "-g",
    "-fno-omit-frame-pointer",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=undefined",
)
OWN_TESTS = ("tests/kernels/test_matrix.py", "tests/indexes")


def main() -> int:
    """Compile, run the child, and pass on how it ended."""
    options = argparse.ArgumentParser()
    options.add_argument("--count", type=int, default=500, help="damaged vector folders")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--no-tests", action="store_true", help="leave the kernels' own tests out")
    options.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.child:
        return child(asked.count, asked.seed, tests=not asked.no_tests)
    preloaded = runtime()
    if preloaded is None:
        return _left_out("no C compiler here comes with libasan.so")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "kernels.so"
        try:
            compile_sanitised(library)
        except subprocess.CalledProcessError as error:
            return _left_out(f"the compiler does not sanitise: {error.stderr[-300:]}")
        environment = os.environ | {
            LIBRARY: str(library),
            "LD_PRELOAD": preloaded,
            "PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent / 'src'}",
            "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
            "UBSAN_OPTIONS": "print_stacktrace=1",
            "PYTHONMALLOC": "malloc",
            "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
        }
        return subprocess.run(
            [sys.executable, __file__, "--child", *sys.argv[1:]], env=environment, check=False
        ).returncode


def compile_sanitised(library: Path) -> None:
    """The kernels of this processor's best level and of the plain one, with the sanitisers. Raises
    CalledProcessError.
    """
    from nearfield.kernels.compile import compile_library, levels
    from nearfield.kernels.library import runnable

    chosen = {*runnable()[:1], "plain"}
    compile_library(
        library, of={name: level for name, level in levels().items() if name in chosen}, flags=FLAGS
    )


def runtime() -> str | None:
    """The libraries that have to be loaded before all others; None where there are none.

    libstdc++ is one of them, as the sanitiser looks up what throws C++ exceptions, pyarrow's too,
    when it begins.
    """
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc"))), None)
    if compiler is None or not sys.platform.startswith("linux"):
        return None
    asked = ([compiler, f"-print-file-name={name}"] for name in ("libasan.so", "libstdc++.so.6"))
    found = [
        subprocess.run(each, capture_output=True, text=True, check=False).stdout.strip()
        for each in asked
    ]
    return " ".join(found) if all(map(os.path.isabs, found)) else None


def child(count: int, seed: int, *, tests: bool) -> int:
    """With the sanitised library in place of the usual one: run the kernels' tests, then open and
    search damaged folders.
    """
    import nearfield.kernels.compile as compiling

    compiling.LIBRARY = Path(os.environ.pop(LIBRARY))
    from nearfield.kernels.library import runnable

    if not runnable():
        return _left_out("the sanitised library does not load")
    if tests:
        import pytest

        failed = int(
            pytest.main(
                [
                    "-q",
                    "-n",
                    "0",
                    "-p",
                    "no:cacheprovider",
                    *(str(TESTS.parent / name) for name in OWN_TESTS),
                ]
            )
        )
        if failed:
            return failed
    return 1 if damaged_folders(count, seed) else 0


def damaged_folders(count: int, seed: int) -> int:
    """How many of the damaged folders ended otherwise than by working or an error of ours; a crash
    ends this process.
    """
    import warnings

    from fuzz.vectors import attempt, make, whole_folders
    from nearfield.errors import NearfieldError

    warnings.simplefilter("ignore")
    works = refused = wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            place = Path(folder) / "inside" / "case"
            place.mkdir(parents=True)
            value, what = make(number, Random(f"{seed}-{number}"), place)
            sys.stdout.write(f"\r{number} ")  # the last one written is the one that a crash ended
            sys.stdout.flush()
            try:
                attempt(value)
                works += 1
            except NearfieldError:
                refused += 1
            except Exception:
                wrong += 1
                sys.stdout.write(f"{what}\n{traceback.format_exc()}\n")
            shutil.rmtree(place)
    shutil.rmtree(whole_folders())
    sys.stdout.write(
        f"\r{count:,} damaged vector folders under the sanitisers: {works:,} work, "
        f"{refused:,} refused, {wrong:,} wrong\n"
    )
    return wrong


def _left_out(why: str) -> int:
    sys.stdout.write(f"left out: {why}\n")
    return LACKING


if __name__ == "__main__":
    sys.path.insert(0, str(TESTS))
    sys.exit(main())
