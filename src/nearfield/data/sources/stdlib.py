"""The embedded collection `stdlib`: what Python's standard library says of its functions and
classes, and their code.

Each public function, method and class of the running Python's standard library that has a docstring
may be a pair. The query is the docstring's first sentence. The document is the source with every
docstring cut out: of a function its signature and body, of a class its head, its attributes and the
signatures of its methods. Left out are

- modules whose name or a part of whose path starts with "_", and those of LEFT_OUT (tests, data,
  programs, and packages that
  are deprecated as a whole);
- objects whose name, or that of their class, starts with "_", and those defined within functions or
  conditions;
- queries of fewer than MIN_WORDS or more than MAX_WORDS words, queries that several objects share
  ("Emit a record."), and
  those that stand in their own document;
- objects that do nothing (`pass`, `raise NotImplementedError`), and those whose document another
  object has too.

An object's group is its top-level module (`asyncio`, `json`), and each module is in one split, by
the SHA-256 of its name. Source files are parsed and never imported. `stdlib-short` is the part of
it that the demo runs on.
"""

from __future__ import annotations

import ast
import hashlib
import re
import sys
import sysconfig
import textwrap
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

from nearfield.data.cache import files_key, through_cache
from nearfield.data.collection import Collection
from nearfield.data.sources.sentences import first_sentence
from nearfield.data.writer import CollectionWriter
from nearfield.errors import CollectionError

NAME: Final = "stdlib"
RULE: Final = 2  # of this file: raised when what is made of the same sources changes
MIN_WORDS, MAX_WORDS = 3, 40
SHORT: Final = 400  # characters of code that an object of `stdlib-short` has at most
SHORT_SPLITS: Final = {"train": 512, "dev": 96, "test": 400}
_TESTS_AND_DATA = ("test", "tests", "idle_test", "site-packages", "encodings", "pydoc_data")
_DEPRECATED_OR_PROGRAMS = (
    "distutils",
    "lib2to3",
    "idlelib",
    "turtledemo",
    "ensurepip",
    "this",
    "antigravity",
)
LEFT_OUT: Final = frozenset((*_TESTS_AND_DATA, *_DEPRECATED_OR_PROGRAMS))
# A tenth of all pairs is of one module (tkinter), so that an unlucky hash gives splits of odd
# sizes. This salt gives, on Python 3.11, 1,926 train, 263 dev and 1,628 test pairs, with tkinter in
# train; it was chosen by sizes, before anything was measured.
_SALT = 1909
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_SIGNATURE = re.compile(r"[\w.\[\], ]*\w\(.*\)(\s*(->|=>|--).*)?")
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Entry:
    """A documented object: `key` is module:qualified.name, `module` its top-level module."""

    key: str
    module: str
    query: str
    document: str


def open_stdlib() -> Collection:
    """The collection `stdlib` of the running Python, made in a few seconds and then kept in the
    cache.

    Raises CollectionError where the library's sources are not installed.
    """
    return _collection(NAME, entries)


def open_stdlib_short() -> Collection:
    """The collection `stdlib-short`: as `stdlib`, cut down by `short` for a run that ends while one
    watches.
    """
    return _collection(f"{NAME}-short", lambda root: short(entries(root)))


def _collection(name: str, chosen: Callable[[Path], list[Entry]]) -> Collection:
    root = Path(sysconfig.get_path("stdlib"))

    def make(folder: Path | None) -> Collection:
        writer = CollectionWriter(name, folder)
        found = chosen(root)
        if not found:
            raise CollectionError(
                f"{root} holds no sources of the standard library; install them "
                "(on Debian: libpython3-stdlib)"
            )
        for entry in found:
            writer.document(entry.key, entry.document, group=entry.module)
            writer.query(entry.key, entry.query, group=entry.module)
            writer.judgement(entry.key, entry.key, 1, split_of(entry.module))
        return writer.finish()

    def key() -> str:
        files = (file for module in _modules() for file in _files(root, module))
        return files_key(f"{name} {RULE} {sys.version}", files)

    return through_cache(key, make, open_folder=Collection.open)


def _modules() -> list[str]:
    return sorted(sys.stdlib_module_names)


def short(found: Iterable[Entry]) -> list[Entry]:
    """Those of at most SHORT characters of code, and of each split at most SHORT_SPLITS of them,
    chosen by the SHA-256 of their keys, in the order given.
    """
    fitting = [entry for entry in found if len(entry.document) <= SHORT]
    taken: set[str] = set()
    for split, most in SHORT_SPLITS.items():
        keys = [entry.key for entry in fitting if split_of(entry.module) == split]
        keys.sort(key=lambda key: hashlib.sha256(key.encode()).hexdigest())
        taken.update(keys[:most])
    return [entry for entry in fitting if entry.key in taken]


def split_of(module: str) -> str:
    """The split of a top-level module: of 100 parts of the SHA-256's range 43 are test, 8 dev, the
    rest train.
    """
    part = int(hashlib.sha256(f"{module}{_SALT}".encode()).hexdigest()[:8], 16) % 100
    if part < 43:
        return "test"
    if part < 51:
        return "dev"
    return "train"


def entries(root: Path) -> list[Entry]:
    """All objects of the library at `root` that the rule above leaves, by module and place in the
    file.
    """
    found: dict[str, Entry] = {}
    for module in _modules():
        for file in _files(root, module):
            for entry in _file_entries(file, root, module):
                found.setdefault(entry.key, entry)
    # what several objects share is left out with all of them: no document answers it alone
    queries = Counter(_plain(entry.query) for entry in found.values())
    documents = Counter(_plain(entry.document) for entry in found.values())
    kept = []
    for entry in found.values():
        if queries[_plain(entry.query)] == 1 and documents[_plain(entry.document)] == 1:
            kept.append(entry)
    return kept


def _plain(text: str) -> str:
    """What two texts must differ in to be two: not only in case, white space and the stop at the
    end.
    """
    return " ".join(text.lower().split()).rstrip(".!?:)")


def _files(root: Path, module: str) -> Iterator[Path]:
    package = root / module
    candidates = [package.with_suffix(".py")]
    if package.is_dir():
        candidates = sorted(package.rglob("*.py"))
    for file in candidates:
        parts = file.relative_to(root).with_suffix("").parts
        if file.is_file() and not any(map(_left_out, parts)):
            yield file


def _left_out(part: str) -> bool:
    return part in LEFT_OUT or (part.startswith("_") and part != "__init__")


def _file_entries(file: Path, root: Path, module: str) -> Iterator[Entry]:
    source = file.read_bytes().decode("utf-8", "replace")
    try:
        with warnings.catch_warnings():  # of the sources' own invalid escapes
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except SyntaxError:
        return
    parts = file.relative_to(root).with_suffix("").parts
    path = ".".join(part for part in parts if part != "__init__")
    lines = source.splitlines()
    for name, node in _definitions(tree, ""):
        query = _query(ast.get_docstring(node) or "")
        long_enough = MIN_WORDS <= len(query.split()) <= MAX_WORDS
        if not long_enough or all(map(_does_nothing, node.body)):
            continue
        start = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        document = _cut(lines, start, node.end_lineno or node.lineno, _hidden(node))
        if _plain(query) not in _plain(document):
            yield Entry(f"{path}:{name}", module, query, document)


def _definitions(node: ast.Module | ast.ClassDef, prefix: str) -> Iterator[tuple[str, Definition]]:
    for child in node.body:
        if isinstance(child, _DEFINITIONS) and not child.name.startswith("_"):
            yield prefix + child.name, child
            if isinstance(child, ast.ClassDef):
                yield from _definitions(child, f"{prefix}{child.name}.")


def _does_nothing(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Raise):  # NotImplementedError, called or not
        raised = statement.exc
        if isinstance(raised, ast.Call):
            raised = raised.func
        return isinstance(raised, ast.Name) and raised.id == "NotImplementedError"
    if isinstance(statement, ast.Expr):  # a docstring, or ...
        return isinstance(statement.value, ast.Constant)
    return isinstance(statement, ast.Pass)


def _query(docstring: str) -> str:
    """The first sentence, after a line that only repeats the signature."""
    lines = docstring.strip().splitlines()
    if lines and _SIGNATURE.fullmatch(lines[0].strip()):
        lines = lines[1:]
    return first_sentence("\n".join(lines).strip().split("\n\n")[0])


def _hidden(node: Definition) -> list[range]:
    """The lines that are no part of the document: of a function every docstring within, of a class
    its own and the bodies of what it defines.
    """
    if not isinstance(node, ast.ClassDef):
        return [_docstring_lines(inner) for inner in ast.walk(node)]
    hidden = [_docstring_lines(node)]
    for child in node.body:
        if isinstance(child, _DEFINITIONS):
            hidden.append(range(child.body[0].lineno, (child.end_lineno or child.lineno) + 1))
    return hidden


def _docstring_lines(node: ast.AST) -> range:
    """The 1-based lines of the node's docstring, none where it has none."""
    if isinstance(node, _DEFINITIONS) and ast.get_docstring(node, clean=False) is not None:
        first = node.body[0]
        return range(first.lineno, (first.end_lineno or first.lineno) + 1)
    return range(0)


def _cut(lines: list[str], start: int, end: int, hidden: Iterable[range]) -> str:
    """Lines `start` to `end` (1-based) without the hidden and the blank ones, moved to the left
    margin.
    """
    cut = set(chain.from_iterable(hidden))
    kept = []
    for number in range(start, end + 1):
        line = lines[number - 1].rstrip()
        if line and number not in cut:
            kept.append(line)
    return textwrap.dedent("\n".join(kept)).strip()
