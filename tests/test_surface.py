"""What `import nearfield` and `pip install` bring: few names, and nothing heavy."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import nearfield
from tree import modules

HEAVY = (
    "torch",
    "transformers",
    "tokenizers",
    "huggingface_hub",
    "pyarrow",
    "scipy",
    "sklearn",
    "numpy",
    "pandas",
    "plotly",
    "bm25s",
    "ir_measures",
)
PEERS = (
    "sentence-transformers",
    "mteb",
    "pylate",
    "fastembed",
    "model2vec",
    "flagembedding",
    "txtai",
    "beir",
    "ranx",
    "rerankers",
    "infinity-emb",
)


def names_imported_for_types() -> set[str]:
    (block,) = (node for node in modules()["nearfield"].body if isinstance(node, ast.If))
    return {
        alias.asname or alias.name
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_at_most_25_public_names_and_each_resolves_to_its_module() -> None:
    assert len(nearfield.__all__) <= 25
    assert len(set(nearfield.__all__)) == len(nearfield.__all__)
    for name in nearfield.__all__:
        value = getattr(nearfield, name)
        assert value.__name__ == name
        assert value.__module__ == nearfield._HOMES[name]


def test_type_checkers_see_the_same_names() -> None:
    assert names_imported_for_types() == set(nearfield.__all__)


def test_an_unknown_name_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'Colection'.*Collection"):
        _ = nearfield.Colection  # type: ignore[attr-defined]
    assert set(nearfield.__all__) <= set(dir(nearfield))


@pytest.mark.parametrize(
    "code",
    [
        "import nearfield",
        "import nearfield.cli.app",
        "from nearfield.cli.app import build; build()",
        "import sys; sys.argv = ['nearfield', '--help']\nfrom nearfield.cli.app import main\ntry: "
        "main()\nexcept SystemExit: pass",
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(code: str) -> None:
    check = f"\nimport sys; print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules])"
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code + check],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.splitlines()[-1] == "HEAVY []"


def test_importing_changes_no_state() -> None:
    before = "import os, random; e, r = dict(os.environ), random.getstate()"
    code = f"{before}; import nearfield; print(e == dict(os.environ), r == random.getstate())"
    assert subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split() == ["True", "True"]


def test_installing_brings_no_peer(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {
        re.split(r"[<>=!~\[; ]", line)[0].lower().replace("_", "-")
        for line in project["dependencies"]
    }
    assert wanted
    assert wanted.isdisjoint(PEERS)
    extras = project["optional-dependencies"]
    users = {
        re.split(r"[<>=!~\[; ]", line)[0].lower()
        for extra, lines in extras.items()
        if extra != "dev"
        for line in lines
    }
    assert users.isdisjoint(PEERS)


def test_constraints_pin_every_dependency_exactly(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [
        line
        for line in (repository / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    ]
    assert [
        line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9a-z.]*", line)
    ] == []
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines}
    stated = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    assert {
        re.split(r"[<>=!~\[; ]", line)[0].lower().replace("_", "-") for line in stated
    } <= pinned
    assert "torch==2.13.0" in lines
