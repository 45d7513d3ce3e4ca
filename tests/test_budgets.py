"""The rules of docs/architecture.md: parameters, names, and what the library may not do."""

from __future__ import annotations

import ast
import re
import subprocess
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

from tree import Function, file_of, functions, modules

PARAMETERS, EQUAL_LINES = 8, 8
# a command's parameters are its options, each named and documented where it is declared
COMMAND_OPTIONS = 18
COLUMNS = 100  # of a line of C; ruff holds Python to it
VAGUE = {"utils", "util", "common", "helpers", "helper", "base", "misc"}
SEEDING = {
    "torch.manual_seed",
    "np.random.seed",
    "numpy.random.seed",
    "random.seed",
    "torch.cuda.manual_seed_all",
}
MACHINE_PATHS = re.compile("|".join([r"/ro" + r"ot\b", r"/wo" + r"rk/", r"/ho" + r"me/[a-z]+/"]))
REGISTRIES = re.compile(
    "|".join(
        [
            "pypi" + r"\.org",
            "python" + r"hosted",
            "npm" + r"js\.",
            "deb" + r"ian\.org",
            "/opt/" + "(?:wheels|pypi)",
        ]
    )
)
PROCESS_WORDS = re.compile(
    r"\b(?:sess" + r"ions?|tick" + r"ets?|iss" + r"ue #?\d+)\b", re.IGNORECASE
)


def parameters(function: Function) -> list[str]:
    arguments = function.args
    return [
        item.arg
        for item in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
        if item.arg not in ("self", "cls")
    ]


@cache
def shared_options() -> set[str]:
    """The names of the annotated options that several commands share."""
    return {
        ast.unparse(node.targets[0])
        for name, tree in modules().items()
        for node in tree.body
        if name.startswith("nearfield.cli.") and isinstance(node, ast.Assign)
        if ast.unparse(node.value).startswith("Annotated[")
    }


def bound(module: str, function: Function) -> int:
    annotations = [item.annotation for item in (*function.args.args, *function.args.kwonlyargs)]
    options = bool(annotations) and all(
        note is not None
        and ("Annotated" in ast.unparse(note) or ast.unparse(note) in shared_options())
        for note in annotations
    )
    return COMMAND_OPTIONS if module.startswith("nearfield.cli.") and options else PARAMETERS


@pytest.mark.parametrize("module", modules())
def test_parameters(module: str) -> None:
    wide = [
        f"{node.name}: {len(parameters(node))} parameters"
        for node in functions(modules()[module])
        if len(parameters(node)) > bound(module, node)
    ]
    assert wide == []


def test_c_sources_are_as_wide_as_python(repository: Path) -> None:
    sources = sorted((repository / "src" / "nearfield" / "kernels").glob("*.[ch]"))
    lines = [
        (path.name, at, text)
        for path in sources
        for at, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    ]
    assert len(lines) > 1000
    assert [
        f"{name}:{at}: {len(text)} columns" for name, at, text in lines if len(text) > COLUMNS
    ] == []


@pytest.mark.parametrize("module", modules())
def test_what_the_library_may_not_do(module: str) -> None:
    tree = modules()[module]
    calls = [
        (node.lineno, ast.unparse(node.func))
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    ]
    assert [line for line, name in calls if name == "print"] == [], "print"
    assert [line for line, name in calls if name in SEEDING] == [], "global seeding"
    public = [node for node in functions(tree) if not node.name.startswith("_")]
    assert [node.name for node in public if node.args.kwarg is not None] == [], (
        "**kwargs in a public function"
    )
    assert module.rsplit(".", 1)[-1] not in VAGUE
    assert ast.get_docstring(tree), "no docstring"


@pytest.mark.parametrize(
    "module",
    [name for name in modules() if file_of(name).name == "__init__.py" and name != "nearfield"],
)
def test_a_folders_init_is_its_registry_only(module: str) -> None:
    body = modules()[module].body
    assert [ast.unparse(node) for node in body if isinstance(node, ast.ClassDef)] == []
    assert len([node for node in body if isinstance(node, Function)]) <= 1, (
        "more than the registry's look-up"
    )


def code_lines(module: str) -> list[tuple[int, str]]:
    """Line numbers and stripped text of a module, without blank lines, comments, imports and the
    signatures of functions.
    """
    signatures = {
        line
        for node in functions(modules()[module])
        for line in range(node.lineno, node.body[0].lineno)
    }
    lines = enumerate(file_of(module).read_text(encoding="utf-8").splitlines(), 1)
    kept = [(number, text.strip()) for number, text in lines if number not in signatures]
    return [
        (number, text)
        for number, text in kept
        if text and not text.startswith(("import ", "from ", "#"))
    ]


def test_no_eight_equal_lines_in_two_places() -> None:
    places: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for module in modules():
        kept = code_lines(module)
        for start in range(len(kept) - EQUAL_LINES + 1):
            run = kept[start : start + EQUAL_LINES]
            places[tuple(text for _, text in run)].append(f"{module}:{run[0][0]}")
    assert [found for found in places.values() if len(found) > 1] == []


def tracked_texts(repository: Path) -> list[tuple[str, str]]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("this is no git checkout; what it tracks cannot be listed")
    texts = []
    for name in sorted(set(listed.stdout.split("\0")) - {""}):
        path = repository / name
        if path.is_file():
            content = path.read_bytes()
            if b"\0" not in content:
                texts.append((name, content.decode("utf-8", errors="replace")))
    return texts


def test_no_machine_paths_and_no_registry_hosts(repository: Path) -> None:
    texts = tracked_texts(repository)
    assert [
        (name, found.group())
        for name, text in texts
        for pattern in (MACHINE_PATHS, REGISTRIES)
        for found in pattern.finditer(text)
    ] == []


def test_documents_speak_of_the_library_only(repository: Path) -> None:
    texts = [(name, text) for name, text in tracked_texts(repository) if name.endswith(".md")]
    assert [
        (name, found.group()) for name, text in texts for found in PROCESS_WORDS.finditer(text)
    ] == []


def test_contributing_is_short(repository: Path) -> None:
    assert len((repository / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()) <= 40
