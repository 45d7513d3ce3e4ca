"""Each environment variable that the source reads stands on the page about them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tree import file_of, modules

NAME = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")


def read_variables() -> set[str]:
    """Names that are read from the environment: given to it, or kept for that under a name that
    says so.
    """
    found: set[str] = set()
    for module, tree in modules().items():
        text = file_of(module).read_text(encoding="utf-8")
        if not re.search(
            "environ[.[]|in os.environ|_variables|NEARFIELD_|python_environment", text
        ):
            continue
        for node in ast.walk(tree):
            text = ast.unparse(node) if isinstance(node, ast.expr | ast.stmt) else ""
            near = isinstance(node, ast.Call | ast.Subscript | ast.Compare) and "environ" in text
            kept = isinstance(node, ast.Assign | ast.AnnAssign) and "_variables" in text
            for part in ast.walk(node) if near or kept else [node]:
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    own = part.value.startswith("NEARFIELD_")
                    if NAME.fullmatch(part.value) and (near or kept or own):
                        found.add(part.value)
    return found


def test_each_variable_that_is_read_is_documented_and_no_other(repository: Path) -> None:
    page = (repository / "docs" / "environment.md").read_text(encoding="utf-8")
    own = page.split("## Read by the libraries below")[0]
    documented = set(re.findall(r"`([A-Z0-9_]+)`", own))
    read = read_variables()
    assert {"NEARFIELD_HOME", "NEARFIELD_CACHE_GB", "CC", "COLUMNS", "OPENAI_API_KEY"} <= read
    assert read == documented
