"""The contract of a model folder: what its own files say, and nearfield.json beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from nearfield.errors import ContractError, ModelError, nearest
from nearfield.formats.late_interaction import SCORES
from nearfield.store.fields import Fields, read_optional
from nearfield.types.contract import SIMILARITIES, Contract, Terms
from nearfield.types.role import Role

# in the order of sentence-transformers' encode_document
_DOCUMENT_NAMES = ("document", "passage", "corpus")


def read_stated(path: Path) -> dict[str, Any]:
    """What nearfield.json states of the contract, or nothing."""
    file = path / "nearfield.json"
    stated = read_optional(file).object("contract", None)
    if stated is None:
        return {}
    for key in stated:
        if key not in _STATEABLE:
            known = f"known: {', '.join(_STATEABLE)}.{nearest(key, _STATEABLE)}"
            raise ContractError(f"{file}: contract has an unknown key {key!r}; {known}")
    return {key: _STATEABLE[key](stated, key) for key, value in stated.items() if value is not None}


def _terms(stated: Fields, key: str) -> Terms:
    terms = stated.object(key)
    price = terms.number("price_per_million_tokens", None, low=0)
    return Terms(tuple(terms.texts("languages", [])), terms.text("licence", None), price)


def _weights_of_kinds(stated: Fields, key: str) -> dict[str, float]:
    weights = stated.object(key)
    return {kind: weights.number(kind, low=0) for kind in weights}


_positive = partial(Fields.integer, low=1)
# What nearfield.json may state of the contract, and how each is read.
_STATEABLE: dict[str, Callable[[Fields, str], Any]] = {
    "name": Fields.text,
    "dim": _positive,
    "pooling": Fields.text,
    "include_prompt": Fields.flag,
    "normalise": Fields.flag,
    "similarity": lambda stated, key: stated.one_of(key, SIMILARITIES),
    "prompts": Fields.named_texts,
    "templates": Fields.named_texts,
    "max_tokens": _positive,
    "matryoshka_dims": lambda stated, key: tuple(stated.integers(key, low=1)),
    "layer_norm": Fields.flag,
    "kind": Fields.text,
    "terms": _terms,
    "fusion": _weights_of_kinds,
    "max_terms": _positive,
}


def whole_contract(
    facts: dict[str, Any],
    stated: dict[str, Any],
    own: Fields,
    *,
    similarity: str,
    prompts: Mapping[Role, str] | None = None,
    roles: Iterable[Role] = (),
) -> Contract:
    """What the model's files say, `facts` and config_sentence_transformers.json (`own`), joined
    with what nearfield.json has `stated` beside them.

    `similarity` holds where neither names one; `prompts`, if any, instead of those of `own`;
    `roles` are known even without a prompt. Raises ContractError where two of them contradict each
    other.
    """
    path = own.path.parent
    facts = {"name": path.name, "similarity": stated.get("similarity", similarity)} | facts
    facts["prompts"] = dict(prompts or {})
    if not prompts:
        facts |= _similarity_and_prompts(own)
    _refuse_contradictions(facts, stated, path)
    joined = facts | stated
    # nearfield.json may not raise this one: the facts hold the least that any file says
    joined["max_tokens"] = facts["max_tokens"]
    # an adapter's role is known without a prompt; of the others, differences are refused above
    joined["prompts"] = dict.fromkeys(roles, "") | facts["prompts"] | stated.get("prompts", {})
    return Contract(**joined)


def _similarity_and_prompts(facts: Fields) -> dict[str, Any]:
    """The prompts, and the similarity where one is named; a document's prompt may go by another
    name, which stays a role too.
    """
    dim = facts.get("truncate_dim")
    if dim is not None:
        raise ModelError(
            f"{facts.path}: truncate_dim is {dim}, which is not honoured here; "
            f"remove it, and cut vectors with --dims {dim}"
        )
    name = facts.text("similarity_fn_name", None)
    if name in SCORES:  # of two multi-vectors; how two tokens are compared is not named there
        name = None
    if name and name not in SIMILARITIES:
        raise ModelError(
            f"{facts.path}: similarity {name!r} is not supported; wanted {', '.join(SIMILARITIES)}"
        )
    default_prompt_name(facts)
    prompts = facts.named_texts("prompts")
    named = [role for role in _DOCUMENT_NAMES if role in prompts]
    if named:
        prompts["document"] = prompts[named[0]]
    if name:
        return {"prompts": prompts, "similarity": name}
    return {"prompts": prompts}


def default_prompt_name(facts: Fields) -> str | None:
    """The name of the prompt of texts without a role. Raises ModelError where no prompt is called
    so.
    """
    name: str | None = facts.text("default_prompt_name", None)
    known = dict.fromkeys(("query", "document", *facts.named_texts("prompts")))
    if name is not None and name not in known:
        raise ModelError(
            str(facts.error("default_prompt_name", f"the name of a prompt: {', '.join(known)}"))
        )
    return name


def _refuse_contradictions(facts: Mapping[str, Any], stated: Mapping[str, Any], path: Path) -> None:
    differing = []
    for key in ("dim", "pooling", "include_prompt", "normalise", "similarity", "kind"):
        if key in stated and stated[key] != facts[key]:
            differing.append((f"{key} is", stated[key], facts[key]))
    given = stated.get("prompts", {})
    for role, prompt in facts["prompts"].items():
        if role in given and given[role] != prompt:
            differing.append((f"role {role!r} has prompt", given[role], prompt))
    if differing:
        what, ours, theirs = differing[0]
        raise ContractError(
            f"{path}: {what} {ours!r} in nearfield.json and {theirs!r} in the model's own files; "
            "correct the one that is wrong"
        )
