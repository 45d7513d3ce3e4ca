"""Code that a model folder names to be run: classes of its own, or of another package, in place of
transformers'.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nearfield.errors import ModelError
from nearfield.store.fields import Fields, read_fields, read_objects
from nearfield.store.regular import read_bytes

MAP = "auto_map"
_FLAG = (
    "--trust-remote-code, an option of encode, evaluate, prompts, search and similarity (in "
    "Python: trust_remote_code=True)"
)
OWN_TYPES = "sentence_transformers."
KNOWN_TYPES = ("pylate.models.Dense.Dense",)
"""Types of other packages that are known to do what sentence-transformers' module of the same name
does, as it says itself.
"""
# Repositories whose published code transformers has made an architecture of its own, by that
# architecture's model_type.
#
# A model that names their code runs on that architecture here. Whoever names a file of the folder
# itself means that file, whatever it is called.
_TAKEN_OVER = {
    "nomic_bert": ("nomic-ai/nomic-bert-2048",),
    "eurobert": ("EuroBERT/EuroBERT-210m", "EuroBERT/EuroBERT-610m", "EuroBERT/EuroBERT-2.1B"),
}
TASKS = {
    "": "AutoModel",
    "fill-mask": "AutoModelForMaskedLM",
    "sequence-classification": "AutoModelForSequenceClassification",
    "text-generation": "AutoModelForCausalLM",
}
"""transformers' names of the tasks whose heads are used here, "" for none, and its classes of the
models that have them.
"""


def refuse_foreign_modules(path: Path) -> None:
    """Raise ModelError for a module in modules.json that is not sentence-transformers' own: its
    code is never run here.
    """
    file = path / "modules.json"
    if not file.exists():
        return
    for module in read_objects(file):
        kind = module.text("type")
        if not kind.startswith(OWN_TYPES) and kind not in KNOWN_TYPES:
            raise ModelError(
                f"{file}: {module.where}type is {kind}; wanted sentence-transformers' own "
                "modules: code of other packages, or of the folder, is not run as a module"
            )


def remote_code(transformer: Path, *, task: str = "", trusted: bool) -> tuple[Path, ...]:
    """The files of the folder's own code that loading its transformer and its tokeniser runs; none
    for most folders.

    Raises ModelError, naming file, field and class, where there is such code and it is not
    `trusted`; where it lies outside the folder; and where its file is missing.
    """
    stated = list(_references(transformer, task))
    for file, key, reference in stated:
        where = f"{file}: {MAP} names {reference} for {key}"
        if not trusted:
            raise ModelError(f"{where}, which is code; once you have read it, run it with {_FLAG}")
        # transformers would run the code of that repository on the hub, which may change
        repository, _, _ = reference.rpartition("--")
        if repository:
            advice = f"copy its files into the folder and leave out {repository}-- in {MAP}"
            raise ModelError(f"{where}, which is code outside of the folder and not run; {advice}")
        source = transformer / f"{reference.rpartition('.')[0]}.py"
        if not source.is_file():
            raise ModelError(
                f"{where}, and the folder has no {source.name}; get it where the model came from"
            )
    if stated:
        # all of them: a file that is named may import its neighbours
        return tuple(sorted(transformer.glob("*.py")))
    return ()


def refuse_code(transformer: Path, *, task: str) -> None:
    """Raise ModelError where loading the transformer of a cross-encoder would run code, which is
    not done here.
    """
    for file, key, reference in _references(transformer, task):
        raise ModelError(
            f"{file}: {MAP} names {reference} for {key}, which is code, and that of "
            "a cross-encoder is not run here"
        )


def described(files: tuple[Path, ...]) -> str:
    """The files, each with its SHA-256, in words."""
    said = []
    for file in files:
        digest = hashlib.sha256(read_bytes(file)).hexdigest()
        said.append(f"{file} (sha256 {digest})")
    return ", ".join(said)


def _references(transformer: Path, task: str) -> Iterator[tuple[Path, str, str]]:
    """Each class that would be run: the file that names it, for what, and the class."""
    config = transformer / "config.json"
    tokenizer = transformer / "tokenizer_config.json"
    if config.exists():
        stated = read_fields(config)
        taken_over = _TAKEN_OVER.get(str(stated.get("model_type")), ())
        for key in ("AutoConfig", TASKS[task]):
            for reference in _named(stated, key):
                # "repository--file.Class", or "file.Class" of the folder itself
                if reference.partition("--")[0] not in taken_over:
                    yield config, key, reference
    if tokenizer.exists():
        for reference in _named(read_fields(tokenizer), "AutoTokenizer"):
            yield tokenizer, "AutoTokenizer", reference


def _named(stated: Fields, key: str) -> list[str]:
    """The classes that auto_map names for `key`: a tokeniser may have two, and once was named
    alone.
    """
    found: Any = stated.get(MAP)
    if isinstance(found, dict):
        found = found.get(key)
    elif key != "AutoTokenizer":
        found = None
    many = found if isinstance(found, list) else [found]
    return [reference for reference in many if isinstance(reference, str)]
