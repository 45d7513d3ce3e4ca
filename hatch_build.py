"""What installing the package runs: compile its C sources beside them, where there is a compiler.

Without one the package installs all the same, and models run on torch. `python hatch_build.py`
compiles in place.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import Any

KERNELS = Path(__file__).parent / "src" / "nearfield" / "kernels"


def compiler() -> ModuleType:
    """nearfield.kernels.compile, loaded by its place, as the package is not installed yet."""
    spec = importlib.util.spec_from_file_location(
        "nearfield_kernels_compile", KERNELS / "compile.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def build() -> str | None:
    """The library's place in the repository, compiled again where a source is newer, or None where
    that failed.
    """
    compiling = compiler()
    try:
        if compiling.stale():
            compiling.compile_library()
    except subprocess.CalledProcessError as error:
        sys.stderr.write(
            "nearfield's kernels could not be compiled; models will run on "
            f"torch.\n{error.stderr}\n"
        )
        return None
    except OSError as error:
        sys.stderr.write(
            "nearfield's kernels were not compiled, as there is no C compiler "
            f"({error}); models will run on torch.\n"
        )
        return None
    return str(compiling.LIBRARY.relative_to(Path(__file__).parent))


if __name__ == "__main__":
    sys.exit(build() is None)

from hatchling.builders.hooks.plugin.interface import BuildHookInterface  # noqa: E402  (compiling by hand needs no hatchling)


class Kernels(BuildHookInterface[Any]):
    """Puts the library into the wheel, which is then one for this platform and any Python 3."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        library = build()
        if library is not None:
            build_data["artifacts"] += [library, f"{library}.crc32"]
            build_data["pure_python"] = False
            build_data["tag"] = (
                f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
            )
