"""No Python that is started here imports from the working folder, and there is one place that
starts them.
"""

from __future__ import annotations

import ast
import os
import subprocess
from pathlib import Path

import pytest

from nearfield.store.child_python import python_command, python_environment
from planted import planted, ran
from tree import modules

STARTS = ("nearfield.catalog.sources", "nearfield.scale.launch")  # a Python
# a compiler, what tells of the processor
OTHERS = ("nearfield.kernels.compile", "nearfield.runtimes.hardware")


@pytest.mark.parametrize("path", ["", os.pathsep, None])
def test_a_child_imports_nothing_of_the_working_folder(
    path: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(planted(tmp_path / "here"))
    if path is not None:
        own = os.environ.get("PYTHONPATH", "")
        monkeypatch.setenv("PYTHONPATH", f"{path}{own}")
    code = (
        "import json, tempfile, importlib.util as u, sys; print([u.find_spec(name).origin for "
        "name in ('pip', 'nearfield')])"
    )
    within = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}], check=True)"
    for words in (code, within):  # what the child starts is safe too
        done = subprocess.run(
            python_command("-c", words),
            env=python_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, ran(tmp_path / "here")) == (0, []), done.stderr
        assert str(tmp_path) not in done.stdout


def test_what_the_user_names_in_pythonpath_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "named_by_the_user.py").write_text("print('found')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}")
    done = subprocess.run(
        python_command("-m", "named_by_the_user"),
        env=python_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "found\n"


def test_nothing_else_starts_a_process() -> None:
    started = set()
    for name, tree in modules().items():
        for node in ast.walk(tree):
            words = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            words += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            words += [ast.unparse(node)] if isinstance(node, ast.Attribute) else []
            refused = {
                "multiprocessing",
                "torch.multiprocessing",
                "sys.executable",
                "os.system",
                "os.popen",
                "os.fork",
                "runpy",
            }
            if name != "nearfield.store.child_python":
                assert refused.isdisjoint(words), (
                    f"{name} starts a Python by itself; wanted python_command"
                )
            started |= {name} if "subprocess" in words else set()
    assert started == {*STARTS, *OTHERS}
