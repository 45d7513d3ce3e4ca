"""Imports only point up the list of layers in docs/architecture.md."""

from __future__ import annotations

import ast

import pytest

from tree import imported, modules

LAYERS = (
    ("errors", "extras", "registry"),
    ("types",),
    ("store",),
    ("kernels",),
    ("statistics",),
    ("formats",),
    ("data",),
    ("batch",),
    ("similarity",),
    ("catalog",),
    ("models",),
    ("runtimes",),
    ("encoders",),
    ("vectors",),
    ("indexes",),
    ("retrieval",),
    ("evaluate",),
    ("train",),
    ("scale",),
    ("report",),
    ("serve",),
    ("cli",),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
SURFACE = "nearfield.__version__"  # all that a module may take from the top of the package


def violations(module: str, tree: ast.Module) -> list[str]:
    """What `module` imports from a lower layer, or from the package's top, which imports
    everything.
    """
    own = RANK[module.split(".")[1]]
    wrong = []
    for line, name in imported(module, tree):
        parts = name.split(".")
        if parts[0] != "nearfield" or name == SURFACE:
            continue
        layer = parts[1] if len(parts) > 1 else ""
        if layer not in RANK or RANK[layer] > own:
            wrong.append(f"{module}:{line} imports {name}")
    return wrong


@pytest.mark.parametrize("module", [name for name in modules() if name != "nearfield"])
def test_imports_only_point_up(module: str) -> None:
    assert module.split(".")[1] in RANK, f"{module} is in no layer"
    assert violations(module, modules()[module]) == []


def test_the_top_of_the_package_imports_nothing_of_it_when_it_is_imported() -> None:
    body = [
        node
        for node in modules()["nearfield"].body
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    ]
    names = [name for _, name in imported("nearfield", ast.Module(body, []))]
    assert [name for name in names if name.startswith("nearfield")] == []


@pytest.mark.parametrize(
    "text",
    [
        "from nearfield.cli import app",
        "import nearfield.train.runs.tune",
        "from nearfield import Collection",
        "def f():\n    from ..cli.app import main",
        "from .. import evaluate",
        "if TYPE_CHECKING:\n    from nearfield.report.page import x",
    ],
)
def test_a_planted_violation_is_seen(text: str) -> None:
    assert len(violations("nearfield.data.open", ast.parse(text))) == 1


def test_what_is_allowed_is_not_a_violation() -> None:
    text = (
        "from nearfield.errors import InputError\nfrom . import pairs\nfrom ..store import "
        "atomic\nfrom nearfield import __version__"
    )
    assert violations("nearfield.data.open", ast.parse(text)) == []
