"""The package's own source, parsed, for the tests that hold its rules."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef
SOURCE = Path(__file__).resolve().parents[1] / "src"


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the package, by its dotted name, packages as `nearfield.data` (their
    __init__.py).
    """
    found = {}
    for path in sorted((SOURCE / "nearfield").rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return found


def file_of(module: str) -> Path:
    path = SOURCE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imported(module: str, tree: ast.Module) -> list[tuple[int, str]]:
    """Line and dotted name of all that `module` imports, absolute or relative, also inside
    functions; `a.b` for `from a import b`.
    """
    package = module.split(".") if file_of(module).name == "__init__.py" else module.split(".")[:-1]
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*start, *([node.module] if node.module else [])])
            found += [(node.lineno, f"{origin}.{alias.name}") for alias in node.names]
    return found


def imports(module: str) -> set[str]:
    """The package's modules that `module` imports when it runs, also inside functions."""
    tree = modules()[module]
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    body: list[ast.stmt] = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom) and id(node) not in for_types
    ]
    names = [name for _, name in imported(module, ast.Module(body, []))]
    whole = {name if name in modules() else name.rpartition(".")[0] for name in names}
    return {name for name in whole if name in modules() and name != "nearfield"}


def functions(tree: ast.Module) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))
