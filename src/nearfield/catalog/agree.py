"""Whether a folder is the catalogued model that it says it is."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from nearfield.catalog.card import Card, card, catalogued
from nearfield.errors import ContractError
from nearfield.formats.model_folder import contract_json, read_model_folder
from nearfield.similarity import EMBEDDINGS
from nearfield.store.atomic import write_json
from nearfield.store.fields import read_optional
from nearfield.store.regular import open_regular
from nearfield.types.contract import Contract

_HUB_CACHE = re.compile(r"models--(.+)--(.+)")  # how huggingface_hub names the folder of owner/name


def contradictions(known: Card, read: Contract) -> list[str]:
    """Each part of the contract `read` from a folder that says otherwise than the card, with both
    values.

    What a folder leaves out contradicts nothing, nor does a lower max_tokens than the card's (what
    is cut off is counted), nor whether vectors of a cosine model are normalised (no score depends
    on it).
    """
    stated = known.contract
    parts = ["kind", "dim", "pooling", "include_prompt", "similarity"]
    if not "cosine" == read.similarity == stated.similarity:
        parts.append("normalise")
    pairs: list[tuple[str, Any, Any]] = [
        (part, getattr(read, part), getattr(stated, part)) for part in parts
    ]
    if read.max_tokens > stated.max_tokens:
        pairs.append(("max_tokens", read.max_tokens, stated.max_tokens))
    for role in sorted({*read.prompts, *stated.prompts}):
        if read.prompts.get(role) and role in stated.prompts:
            pairs.append((f"the prompt of role {role!r}", read.prompts[role], stated.prompts[role]))
    dims = sorted(read.matryoshka_dims), sorted(stated.matryoshka_dims)
    if all(dims):
        pairs.append(("matryoshka_dims", *dims))
    return [
        f"{part} is {ours!r} in the folder and {theirs!r} in the catalog"
        for part, ours, theirs in pairs
        if ours != theirs
    ]


def refuse_contradiction(path: str | Path) -> None:
    """Raise ContractError where the folder at `path` goes by the name of a catalogued model of
    those kinds and contradicts its card.

    A folder is called what its nearfield.json states, else what it or the hub's cache is called,
    else what its README.md is headed.
    """
    known, by = _called(Path(path))
    if known is None or known.kind not in EMBEDDINGS:
        return
    # nothing is run
    wrong = contradictions(known, read_model_folder(path, trust_remote_code=True).contract)
    if wrong:
        other = '{"contract": {"name": "another-name"}}'
        raise ContractError(
            f"{path}: is {known.name} by {by}, and contradicts the catalog's card of it: "
            f"{'; '.join(wrong)}. Get its own files again, or, "
            f"where it is another model, state {other} in nearfield.json"
        )


def settle(known: Card, folder: Path) -> None:
    """Make the folder of a fetched model say all that its card says: prompts, templates, Matryoshka
    dims, layer_norm, terms.

    They are written to nearfield.json where the model's own files leave them out. Raises
    ContractError where the two contradict.
    """
    if known.kind not in EMBEDDINGS:  # formats/model_folder.py reads no other folders
        return
    stated = known.contract
    own = ("modules.json", "nearfield.json", "1_Pooling/config.json")
    if not any((folder / file).exists() for file in own):  # bare transformers' files say nothing
        said = {"kind": known.kind, "pooling": stated.pooling}
        write_json(folder / "nearfield.json", {"contract": said})
    read = read_model_folder(folder, trust_remote_code=True).contract
    wrong = contradictions(known, read)
    if wrong:
        raise ContractError(
            f"these are not the files of {known.name}: {'; '.join(wrong)}. Nothing was installed"
        )
    prompts = {role: prompt for role, prompt in read.prompts.items() if prompt}
    prompts |= stated.prompts
    made = replace(stated, prompts=prompts, max_tokens=read.max_tokens, normalise=read.normalise)
    write_json(folder / "nearfield.json", contract_json(made))


def _called(path: Path) -> tuple[Card | None, str]:
    """The card of the model whose name the folder bears, and what bears it."""
    stated = read_optional(path / "nearfield.json").object("contract", None)
    name = None if stated is None else stated.text("name", None)
    if name:
        return _card(name), "the name in its nearfield.json"
    folder = path.absolute()
    named = {folder.name: folder.name}  # a folder's name, and the model's that it stands for
    for part in (folder, folder.parent.parent):  # models--owner--name/snapshots/<revision>
        cached = _HUB_CACHE.fullmatch(part.name)
        if cached:
            named[part.name] = "/".join(cached.groups())
    for part_name, model in named.items():
        found = _card(model)
        if found:
            return found, f"the folder's name, {part_name}"
    if (path / "README.md").is_file():
        with open_regular(path / "README.md") as file:
            beginning = file.read(1 << 16).decode("utf-8", errors="replace")
        heading = re.search(r"^# +(\S+) *$", beginning, flags=re.MULTILINE)
        if heading:
            return _card(heading.group(1)), "the heading of its README.md"
    return None, ""


def _card(name: str) -> Card | None:
    found = catalogued(name)
    return None if found is None else card(found)
