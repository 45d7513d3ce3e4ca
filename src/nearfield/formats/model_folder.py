"""A model folder: how sentence-transformers writes one, with `nearfield.json` beside it.

modules.json names the modules in order; the first is the transformer (its files lie in its path, ""
for the folder itself), the second pools, then come projections and the normalisation. Read here
without importing torch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nearfield.errors import ContractError, ModelError, nearest
from nearfield.formats.honoured import NORMALIZE, POOLING, SPLADE_POOLING, refuse_unhonoured
from nearfield.formats.late_interaction import SCORES, LateInteraction, is_late, read_late
from nearfield.formats.lora_folder import role_adapters
from nearfield.formats.modules import Module, read_modules
from nearfield.formats.remote_code import refuse_foreign_modules, remote_code
from nearfield.formats.router import LookedUp, looked_up, routed
from nearfield.formats.static_folder import STATIC, is_static, read_config, static_facts
from nearfield.formats.token_heads import has_token_heads
from nearfield.formats.transformer_settings import processor_arguments, read_settings
from nearfield.store.fields import Fields, read_fields, read_optional
from nearfield.types.contract import POOLINGS, SIMILARITIES, Contract, Terms, pools_terms
from nearfield.types.role import Role

_POOLING_NAMES = {
    "cls": "cls",
    "max": "max",
    "mean": "mean",
    "weightedmean": "weighted",
    "lasttoken": "last",
}
_LEGACY_POOLING = {
    f"pooling_mode_{long}": short
    for long, short in (
        ("cls_token", "cls"),
        ("max_tokens", "max"),
        ("mean_tokens", "mean"),
        ("mean_sqrt_len_tokens", "mean_sqrt_len_tokens"),
        ("weightedmean_tokens", "weightedmean"),
        ("lasttoken", "lasttoken"),
    )
}


@dataclass(frozen=True)
class ModelFolder:
    """What the files of a model folder say.

    `transformer` is the folder of the backbone's files, `projections` those of Dense modules in
    order. `lower_case` asks for lower-casing on top of what the tokeniser does. `head` holds what
    the contract does not say of a head that is not dense: its `name`, and for a sparse one
    `activation`, relu or log1p_relu. `static`: a vector per token, looked up; `drops_unknown`: a
    static model's mean leaves out tokens that its vocabulary lacks. `late`: what of a text gets a
    vector, of a multi-vector model. `adapters`: the folder of the LoRA adapter of each role that
    has one. `queries`: the table that a sparse model's are looked up in. `code`: files of the
    folder's own code, which loading it runs.
    """

    path: Path
    contract: Contract
    transformer: Path
    projections: tuple[Path, ...] = ()
    lower_case: bool = False
    head: Mapping[str, str] = field(default_factory=dict)
    static: bool = False
    drops_unknown: bool = False
    late: LateInteraction | None = None
    adapters: Mapping[Role, Path] = field(default_factory=dict)
    queries: LookedUp | None = None
    code: tuple[Path, ...] = ()

    @property
    def head_name(self) -> str:
        """The head that the files describe, by its name in nearfield.models.heads."""
        return self.head.get("name", "dense")

    @property
    def adapter_folders(self) -> list[Path]:
        """The adapters' folders, each once; an adapter's number is its place here."""
        return sorted(set(self.adapters.values()))

    def within(self, places: int | None) -> ModelFolder:
        """The same folder, whose texts have at most `places` tokens, where that is fewer than its
        files say.
        """
        if places is None or places >= self.contract.max_tokens:
            return self
        contract, late = dataclasses.replace(self.contract, max_tokens=places), self.late
        if late is not None:
            query, document = late.query_tokens or places, late.document_tokens or places
            late = dataclasses.replace(
                late, query_tokens=min(query, places), document_tokens=min(document, places)
            )
        return dataclasses.replace(self, contract=contract, late=late)

    def refuse_adapters(self, why: str) -> None:
        """Raise ModelError, saying `why`, where roles have adapters beside the weights."""
        if self.adapters:
            advice = "nearfield models merge-adapter makes a model of base and one adapter"
            raise ModelError(
                f"{self.path}: roles have adapters "
                f"({', '.join(sorted(self.adapters))}), and {why}; {advice}"
            )

    def adapter(self, role: Role) -> int | None:
        """The number of the adapter of `role`; None where no role has one, and -1 where this one
        has none.
        """
        if not self.adapters:
            return None
        return self.adapter_folders.index(self.adapters[role]) if role in self.adapters else -1


def read_model_folder(path: str | Path, *, trust_remote_code: bool = False) -> ModelFolder:
    """The contract and the parts of the model folder at `path`; nothing of it is run here.

    Raises ModelError where the folder is missing or is no model, or names code of its own that is
    not trusted; ContractError where its files leave open or contradict how the model is used, with
    the line of nearfield.json that would state it.
    """
    path = Path(path)
    if not path.is_dir():
        raise ModelError(
            f"{path}: there is no such folder; a model is a folder with config.json, "
            "tokenizer.json and model.safetensors"
        )
    refuse_foreign_modules(path)
    if is_late(path):
        return _read_late(path, trusted=trust_remote_code)
    modules = _modules(path)
    if is_static(read_config(path), [_kind(module) for module in modules]):
        return _read_static(path, modules)
    by_kind = {
        kind: [module.folder for module in modules if _kind(module) == kind] for kind in _KINDS
    }
    transformer = by_kind["Transformer"][0] if by_kind["Transformer"] else path
    if not (transformer / "config.json").exists():
        raise ModelError(
            f"{path}: is no model folder: it has no config.json; wanted config.json, "
            "tokenizer.json and model.safetensors"
        )
    config = read_fields(transformer / "config.json")
    stated = _stated(path)
    sparse = bool(by_kind["SpladePooling"]) or (not modules and pools_terms(stated.get("kind")))
    limits = read_settings(transformer, "sparse" if sparse else "dense")
    facts: dict[str, Any] = {
        "name": stated.pop("name", path.name),
        "kind": "sparse" if sparse else Contract.kind,
    }
    head: dict[str, Any] = {}
    if sparse:
        head = _splade(by_kind["SpladePooling"][0] if modules else None, stated)
    elif has_token_heads(path, stated):
        facts["kind"] = "several"
        head = {"name": "three"}
    facts |= head.pop("facts", None) or _pooling(
        by_kind["Pooling"][0] if by_kind["Pooling"] else None, stated, config, path
    )
    for folder in by_kind["Normalize"]:
        refuse_unhonoured(read_optional(folder / "config.json"), NORMALIZE)
    facts["normalise"] = (
        bool(by_kind["Normalize"]) if modules else stated.get("normalise", not sparse)
    )
    facts["max_tokens"] = max_tokens_of(transformer, config, limits, stated)
    facts["dim"] = (
        config.integer("vocab_size", low=1) if sparse else _dim(by_kind["Dense"], config, path)
    )
    if sparse:
        theirs = read_optional(path / "config_sentence_transformers.json")
        facts["max_terms"] = stated.get("max_terms") or theirs.integer("max_active_dims", None)
    contract = _whole_contract(facts, stated, path, similarity="dot" if sparse else "cosine")
    adapters = role_adapters(path)
    # each is a role
    contract = dataclasses.replace(
        contract, prompts=dict.fromkeys(adapters, "") | dict(contract.prompts)
    )
    lower = limits.flag("do_lower_case", False)
    queries = looked_up(path) if sparse else None
    code = remote_code(transformer, task="fill-mask" if sparse else "", trusted=trust_remote_code)
    dense = tuple(by_kind["Dense"])
    return ModelFolder(
        path,
        contract,
        transformer,
        dense,
        lower,
        head,
        adapters=adapters,
        queries=queries,
        code=code,
    )


def _read_late(path: Path, *, trusted: bool) -> ModelFolder:
    files, stated = read_late(path), _stated(path)
    config, limits = (
        read_fields(files.transformer / "config.json"),
        read_settings(files.transformer, "multi-vector"),
    )
    query, document = (  # a length that is stated of a role counts instead of the tokeniser's
        max_tokens_of(files.transformer, config, limits, stated, own=own)
        for own in (files.settings.longest_query, files.settings.document_tokens)
    )
    facts: dict[str, Any] = {
        "name": stated.pop("name", path.name),
        "kind": "multi-vector",
        "pooling": "tokens",
        "include_prompt": True,
    }
    facts |= {"normalise": files.normalise, "max_tokens": max(query, document)}
    facts["dim"] = files.dim or _dim(list(files.projections), config, path)
    similarity = "cosine" if files.normalise else "dot"
    contract = _whole_contract(facts, stated, path, similarity=similarity, prompts=files.prompts)
    late = dataclasses.replace(files.settings, query_tokens=query, document_tokens=document)
    lower_case = limits.flag("do_lower_case", False)
    code = remote_code(files.transformer, trusted=trusted)
    return ModelFolder(
        path,
        contract,
        files.transformer,
        files.projections,
        lower_case,
        head={"name": "late-interaction"},
        late=late,
        code=code,
    )


def _read_static(path: Path, modules: list[Module]) -> ModelFolder:
    folder = modules[0].folder if modules else path
    config, stated = read_config(path), _stated(path)
    facts: dict[str, Any] = {"name": stated.pop("name", path.name), "kind": "dense"}
    facts |= static_facts(folder, config, normalised=len(modules) > 1 if modules else None)
    drops = facts.pop("drops_unknown")
    facts["max_tokens"] = min(facts["max_tokens"], stated.get("max_tokens", facts["max_tokens"]))
    return ModelFolder(
        path,
        _whole_contract(facts, stated, path, similarity="cosine"),
        folder,
        static=True,
        drops_unknown=drops,
    )


def _whole_contract(
    facts: dict[str, Any],
    stated: dict[str, Any],
    path: Path,
    *,
    similarity: str,
    prompts: Mapping[str, str] | None = None,
) -> Contract:
    """What the model's own files say, joined with what nearfield.json states beside them;
    `prompts`, if any, instead of theirs.
    """
    said = {"prompts": dict(prompts)} if prompts else _similarity_and_prompts(path)
    facts |= {"similarity": stated.get("similarity", similarity)} | said
    _refuse_contradictions(facts, stated, path)
    stated["prompts"] = facts["prompts"] | stated.get("prompts", {})
    return Contract(**(facts | stated))


def contract_json(contract: Contract) -> dict[str, Any]:
    """What nearfield.json holds: the whole contract, so that it can be read back without
    guessing.
    """
    return {
        "format": 1,
        "contract": dataclasses.asdict(contract) | {"prompts": dict(contract.prompts)},
    }


def pooling_json(contract: Contract, hidden: int) -> dict[str, Any]:
    """What the config.json of a sentence-transformers pooling over states of `hidden` dimensions
    holds.
    """
    (name,) = (theirs for theirs, ours in _POOLING_NAMES.items() if ours == contract.pooling)
    return {
        "embedding_dimension": hidden,
        "pooling_mode": name,
        "include_prompt": contract.include_prompt,
    }


_KINDS = ("Transformer", "Pooling", "SpladePooling", "Dense", "Normalize")
_SHAPES = (
    "wanted Transformer, Pooling, then Dense and Normalize where used; or Transformer and "
    "SpladePooling"
)


def _kind(module: Module) -> str:
    # its name in older SPLADE folders
    return "Transformer" if module.kind == "MLMTransformer" else module.kind


def _modules(path: Path) -> list[Module]:
    modules = routed(path, read_modules(path))
    if not modules:
        return []
    kinds = [_kind(module) for module in modules]
    if kinds[:1] == [STATIC] and kinds[1:] in ([], ["Normalize"]):
        return modules
    wrong = [kind for kind in kinds if kind not in _KINDS]
    if wrong:
        raise ModelError(
            f"{path / 'modules.json'}: module {wrong[0]} is not supported; wanted "
            f"{', '.join(_KINDS)}"
        )
    order = [_KINDS.index(kind) for kind in kinds]
    sparse = kinds == ["Transformer", "SpladePooling"]
    dense = (
        order == sorted(order)
        and [kinds.count(kind) for kind in _KINDS[:3]] == [1, 1, 0]
        and kinds.count("Normalize") <= 1
    )
    if not (sparse or dense):
        raise ModelError(f"{path / 'modules.json'}: modules are {', '.join(kinds)}; {_SHAPES}")
    return modules


def _stated(path: Path) -> dict[str, Any]:
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
    languages, price = (
        terms.texts("languages", []),
        terms.number("price_per_million_tokens", None, low=0),
    )
    return Terms(tuple(languages), terms.text("licence", None), price)


def _weights_of_kinds(stated: Fields, key: str) -> dict[str, float]:
    weights = stated.object(key)
    return {kind: weights.number(kind, low=0) for kind in weights}


_STATEABLE: dict[str, Callable[[Fields, str], Any]] = {
    "name": lambda stated, key: stated.text(key),
    "dim": lambda stated, key: stated.integer(key, low=1),
    "pooling": lambda stated, key: stated.text(key),
    "include_prompt": lambda stated, key: stated.flag(key),
    "normalise": lambda stated, key: stated.flag(key),
    "similarity": lambda stated, key: stated.one_of(key, SIMILARITIES),
    "prompts": lambda stated, key: stated.named_texts(key),
    "templates": lambda stated, key: stated.named_texts(key),
    "max_tokens": lambda stated, key: stated.integer(key, low=1),
    "matryoshka_dims": lambda stated, key: tuple(stated.integers(key, low=1)),
    "layer_norm": lambda stated, key: stated.flag(key),
    "kind": lambda stated, key: stated.text(key),
    "terms": _terms,
    "fusion": _weights_of_kinds,
    "max_terms": lambda stated, key: stated.integer(key, low=1),
}
"""What nearfield.json may state of the contract, and how each is read."""


def _pooling(
    folder: Path | None, stated: dict[str, Any], config: Fields, path: Path
) -> dict[str, Any]:
    if folder is None:
        if "pooling" not in stated:
            sparse = (
                '; for a SPLADE model {"contract": {"kind": "sparse"}}'
                if _has_language_head(config)
                else ""
            )
            raise ContractError(
                f"{path}: nothing says how token states are pooled (no modules.json); state it in "
                f"{path / 'nearfield.json'}: "
                f'{{"contract": {{"pooling": "mean"}}}}, one of {", ".join(POOLINGS)}{sparse}'
            )
        if stated["pooling"] not in POOLINGS:
            known = (
                f"wanted one of {', '.join(POOLINGS)}.{nearest(str(stated['pooling']), POOLINGS)}"
            )
            raise ContractError(
                f"{path / 'nearfield.json'}: pooling is {stated['pooling']!r}; {known}"
            )
        return {"pooling": stated["pooling"], "include_prompt": stated.get("include_prompt", True)}
    facts = read_fields(folder / "config.json")
    refuse_unhonoured(facts, POOLING)
    stated_mode = facts.get("pooling_mode")
    if stated_mode is None:
        modes = [short for key, short in _LEGACY_POOLING.items() if facts.flag(key, False)] or [
            "mean"
        ]
    else:
        modes = (
            facts.texts("pooling_mode")
            if isinstance(stated_mode, list)
            else [facts.text("pooling_mode")]
        )
    if len(modes) != 1 or modes[0] not in _POOLING_NAMES:
        raise ModelError(
            f"{folder / 'config.json'}: pooling {' + '.join(modes)} is not "
            f"supported; wanted {', '.join(_POOLING_NAMES)}"
        )
    return {
        "pooling": _POOLING_NAMES[modes[0]],
        "include_prompt": facts.flag("include_prompt", True),
    }


def _has_language_head(config: Fields) -> bool:
    return any(name.endswith("ForMaskedLM") for name in config.texts("architectures", []))


def _splade(folder: Path | None, stated: Mapping[str, Any]) -> dict[str, Any]:
    """What a SpladePooling's config.json says: its pooling as facts of the contract, and its
    activation.

    `folder` is None for a masked language model alone, of which nearfield.json has `stated` that it
    is a SPLADE model.
    """
    pooling, activation = stated.get("pooling", "max"), "relu"
    if folder is not None:
        facts = read_fields(folder / "config.json")
        refuse_unhonoured(facts, SPLADE_POOLING)
        pooling, activation = (
            facts.text("pooling_strategy", "max"),
            facts.text("activation_function", "relu"),
        )
    said = {"pooling": pooling, "include_prompt": True}
    return {"name": "splade", "facts": said, "activation": activation}


def max_tokens_of(
    transformer: Path,
    config: Fields,
    limits: Fields,
    stated: Mapping[str, Any],
    *,
    own: int | None = None,
) -> int:
    """The least of what the files say: sentence-transformers' own limit, the tokeniser's, the
    number of positions.

    `own`: a limit in place of sentence-transformers'.
    """
    tokenizer = read_optional(transformer / "tokenizer_config.json")
    positions = config.integer("max_position_embeddings", None, low=-1, high=_LONGEST)
    kind = config.get("model_type")
    if positions and kind in OFFSET_POSITIONS:
        positions -= 1 + (1 if kind == "mpnet" else config.integer("pad_token_id", 1, low=-1))
    limit = (
        processor_arguments(transformer).get("model_max_length")
        or own
        or limits.integer("max_seq_length", None, high=_LONGEST)
    )
    theirs = tokenizer.number("model_max_length", tokenizer.number("max_len", None))
    says = [theirs if limit is None else limit, positions, stated.get("max_tokens")]
    known = [int(value) for value in says if value is not None and 0 < value < 1_000_000]
    if not known:
        state = '{"contract": {"max_tokens": 512}}'
        raise ContractError(
            f"{transformer}: nothing says how many tokens the model reads; state "
            f"{state} in nearfield.json"
        )
    return min(known)


_LONGEST = 10**30  # tokens: what transformers writes where there is no limit is about so much


OFFSET_POSITIONS = ("roberta", "xlm-roberta", "camembert", "mpnet", "xlm-roberta-xl")
"""Positions start at pad_token_id + 1, MPNet's at 2: of architectures that open without torch. Of
all others the opened model tells.
"""


def _dim(projections: list[Path], config: Fields, path: Path) -> int:
    if projections:
        return int(read_fields(projections[-1] / "config.json").integer("out_features", low=1))
    for sizes in filter(None, (config.object("text_config", None), config)):
        for name in ("hidden_size", "dim", "d_model", "n_embd", "emb_dim"):
            found = sizes.integer(name, None)
            if found:
                return int(found)
    raise ModelError(f"{path}: config.json has no hidden_size; is this a text model?")


def _similarity_and_prompts(path: Path) -> dict[str, Any]:
    """The prompts, and the similarity where one is named; a document's prompt may go by another
    name, which stays a role too.
    """
    facts = read_optional(path / "config_sentence_transformers.json")
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
        file = path / "config_sentence_transformers.json"
        raise ModelError(
            f"{file}: similarity {name!r} is not supported; wanted {', '.join(SIMILARITIES)}"
        )
    default_prompt_name(facts)
    prompts = facts.named_texts("prompts")
    document = [prompts[role] for role in _DOCUMENT_NAMES if role in prompts]
    return ({"similarity": name} if name else {}) | {
        "prompts": prompts | ({"document": document[0]} if document else {})
    }


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


# in the order of sentence-transformers' encode_document
_DOCUMENT_NAMES = ("document", "passage", "corpus")


def _refuse_contradictions(facts: dict[str, Any], stated: dict[str, Any], path: Path) -> None:
    for key in ("dim", "pooling", "include_prompt", "normalise", "similarity", "kind"):
        if key in stated and stated[key] != facts[key]:
            said = (
                f"{key} is {stated[key]!r} in nearfield.json and {facts[key]!r} in the model's "
                "own files"
            )
            raise ContractError(f"{path}: {said}; correct the one that is wrong")
    own, given = facts["prompts"], stated.get("prompts", {})
    differing = [role for role in own if role in given and own[role] != given[role]]
    if differing:
        role = differing[0]
        said = (
            f"role {role!r} has prompt {given[role]!r} in nearfield.json and {own[role]!r} in "
            "the model's own files"
        )
        raise ContractError(f"{path}: {said}; correct the one that is wrong")
    stated.pop("max_tokens", None)  # the least of all has been taken
