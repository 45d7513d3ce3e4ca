"""A model folder: how sentence-transformers writes one, with `nearfield.json` beside it.

modules.json names the modules in order; the first is the transformer (its files lie in its path, "" for the folder itself), the
second pools, then come projections and the normalisation. Read here without importing torch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nearfield.errors import ContractError, InputError, ModelError, nearest
from nearfield.store.fields import read_json
from nearfield.store.late_interaction import SCORES, LateInteraction, is_late, read_late
from nearfield.store.lora_folder import role_adapters
from nearfield.store.remote_code import refuse_foreign_modules, remote_code
from nearfield.store.router import LookedUp, looked_up, routed
from nearfield.store.static_folder import STATIC, is_static, read_config, static_facts
from nearfield.store.transformer_settings import processor_arguments, read_settings
from nearfield.types.contract import POOLINGS, SIMILARITIES, Contract, Terms
from nearfield.types.role import Role

_POOLING_NAMES = {"cls": "cls", "max": "max", "mean": "mean", "weightedmean": "weighted", "lasttoken": "last"}
_LEGACY_POOLING = {f"pooling_mode_{long}": short for long, short in (
    ("cls_token", "cls"), ("max_tokens", "max"), ("mean_tokens", "mean"), ("mean_sqrt_len_tokens", "mean_sqrt_len_tokens"),
    ("weightedmean_tokens", "weightedmean"), ("lasttoken", "lasttoken"))}  # fmt: skip
_STATEABLE = (
    "pooling",
    "include_prompt",
    "normalise",
    "similarity",
    "prompts",
    "templates",
    "max_tokens",
    "matryoshka_dims",
    "layer_norm",
    "kind",
    "terms",
    "fusion",
    "max_terms",
)
TOKEN_HEADS = {"multi-vector": "colbert_linear.pt", "sparse": "sparse_linear.pt"}
"""The files beside a dense model that make three heads of it, named as BGE-M3's: a linear layer each, as torch saves its weights."""


@dataclass(frozen=True)
class ModelFolder:
    """What the files of a model folder say.

    `transformer` is the folder of the backbone's files, `projections` those of Dense modules in order. `lower_case` asks for
    lower-casing on top of what the tokeniser does. `head` holds what the contract does not say of a head that is not dense: for a
    sparse one `activation`, relu or log1p_relu. `static`: a vector a token, looked up; `drops_unknown`: a
    static model's mean leaves out tokens that its vocabulary lacks. `late`: what of a text gets a vector, of a multi-vector model.
    `adapters`: the folder of the LoRA adapter of each role that has one. `queries`: the table that a sparse model's are looked up in.
    `code`: files of the folder's own code, which loading it runs.
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
    def adapter_folders(self) -> list[Path]:
        """The adapters' folders, each once; an adapter's number is its place here."""
        return sorted(set(self.adapters.values()))

    def refuse_adapters(self, why: str) -> None:
        """Raise ModelError, saying `why`, where roles have adapters beside the weights."""
        if self.adapters:
            advice = "nearfield models merge-adapter makes a model of base and one adapter"
            raise ModelError(f"{self.path}: roles have adapters ({', '.join(sorted(self.adapters))}), and {why}; {advice}")

    def adapter(self, role: Role) -> int | None:
        """The number of the adapter of `role`; None where no role has one, and -1 where this one has none."""
        if not self.adapters:
            return None
        return self.adapter_folders.index(self.adapters[role]) if role in self.adapters else -1


def read_model_folder(path: str | Path, *, trust_remote_code: bool = False) -> ModelFolder:
    """The contract and the parts of the model folder at `path`; nothing of it is run here.

    Raises ModelError where the folder is missing or is no model, or names code of its own that is not trusted; ContractError
    where its files leave open or contradict how the model is used, with the line of nearfield.json that would state it.
    """
    path = Path(path)
    if not path.is_dir():
        raise ModelError(f"{path}: there is no such folder; a model is a folder with config.json, tokenizer.json and model.safetensors")
    refuse_foreign_modules(path)
    if is_late(path):
        return _read_late(path, trusted=trust_remote_code)
    modules = _modules(path)
    if is_static(read_config(path), [_kind(module) for module in modules]):
        return _read_static(path, modules)
    by_kind = {kind: [path / module["path"] for module in modules if _kind(module) == kind] for kind in _KINDS}
    transformer = by_kind["Transformer"][0] if by_kind["Transformer"] else path
    if not (transformer / "config.json").exists():
        raise ModelError(f"{path}: is no model folder: it has no config.json; wanted config.json, tokenizer.json and model.safetensors")
    config = read_json(transformer / "config.json")
    stated = _stated(path)
    sparse = bool(by_kind["SpladePooling"]) or (not modules and stated.get("kind") == "sparse")
    limits = read_settings(transformer, "sparse" if sparse else "dense")
    facts: dict[str, Any] = {"name": stated.pop("name", path.name), "kind": "sparse" if sparse else _one_or_several(path, stated)}
    head = _splade(by_kind["SpladePooling"][0] if modules else None, stated) if sparse else {}
    facts |= head.pop("facts", None) or _pooling(by_kind["Pooling"][0] if by_kind["Pooling"] else None, stated, config, path)
    facts["normalise"] = bool(by_kind["Normalize"]) if modules else stated.get("normalise", not sparse)
    facts["max_tokens"] = max_tokens_of(transformer, config, limits, stated, path)
    facts["dim"] = int(config["vocab_size"]) if sparse else _dim(by_kind["Dense"], config, path)
    if sparse:
        facts["max_terms"] = stated.get("max_terms") or first_json(path, "config_sentence_transformers.json").get("max_active_dims")
    contract = _whole_contract(facts, stated, path, similarity="dot" if sparse else "cosine")
    adapters = role_adapters(path)
    contract = dataclasses.replace(contract, prompts=dict.fromkeys(adapters, "") | dict(contract.prompts))  # each is a role
    lower = bool(limits.get("do_lower_case", False))
    queries = looked_up(path) if sparse else None
    code = remote_code(transformer, task="fill-mask" if sparse else "", trusted=trust_remote_code)
    dense = tuple(by_kind["Dense"])
    return ModelFolder(path, contract, transformer, dense, lower, head, adapters=adapters, queries=queries, code=code)


def _read_late(path: Path, *, trusted: bool) -> ModelFolder:
    files, stated = read_late(path), _stated(path)
    config, limits = read_json(files.transformer / "config.json"), read_settings(files.transformer, "multi-vector")
    query, document = (  # a length that is stated of a role counts instead of the tokeniser's
        max_tokens_of(files.transformer, config, {**limits, **({"max_seq_length": own} if own else {})}, stated, path)
        for own in (files.settings.longest_query, files.settings.document_tokens)
    )
    facts: dict[str, Any] = {"name": stated.pop("name", path.name), "kind": "multi-vector", "pooling": "tokens", "include_prompt": True}
    facts |= {"normalise": files.normalise, "max_tokens": max(query, document)}
    facts["dim"] = files.dim or _dim(list(files.projections), config, path)
    similarity = "cosine" if files.normalise else "dot"
    contract = _whole_contract(facts, stated, path, similarity=similarity, prompts=files.prompts)
    late = dataclasses.replace(files.settings, query_tokens=query, document_tokens=document)
    lower_case = bool(limits.get("do_lower_case", False))
    code = remote_code(files.transformer, trusted=trusted)
    return ModelFolder(path, contract, files.transformer, files.projections, lower_case, late=late, code=code)


def _read_static(path: Path, modules: list[dict[str, Any]]) -> ModelFolder:
    folder = path / modules[0]["path"] if modules else path
    config, stated = read_config(path), _stated(path)
    facts: dict[str, Any] = {"name": stated.pop("name", path.name), "kind": "dense"}
    facts |= static_facts(folder, config, normalised=len(modules) > 1 if modules else None)
    drops = facts.pop("drops_unknown")
    facts["max_tokens"] = min(facts["max_tokens"], stated.get("max_tokens", facts["max_tokens"]))
    return ModelFolder(path, _whole_contract(facts, stated, path, similarity="cosine"), folder, static=True, drops_unknown=drops)


def _whole_contract(
    facts: dict[str, Any], stated: dict[str, Any], path: Path, *, similarity: str, prompts: Mapping[str, str] | None = None
) -> Contract:
    """What the model's own files say, joined with what nearfield.json states beside them; `prompts`, if any, instead of theirs."""
    said = {"prompts": dict(prompts)} if prompts else _similarity_and_prompts(path)
    facts |= {"similarity": stated.get("similarity", similarity)} | said
    _refuse_contradictions(facts, stated, path)
    stated["prompts"] = facts["prompts"] | stated.get("prompts", {})
    facts |= {key: tuple(value) if key == "matryoshka_dims" else value for key, value in stated.items()}
    return Contract(**facts)


def contract_json(contract: Contract) -> dict[str, Any]:
    """What nearfield.json holds: the whole contract, so that it can be read back without guessing."""
    return {"format": 1, "contract": dataclasses.asdict(contract) | {"prompts": dict(contract.prompts)}}


def pooling_json(contract: Contract, hidden: int) -> dict[str, Any]:
    """What the config.json of a sentence-transformers pooling over states of `hidden` dimensions holds."""
    (name,) = (theirs for theirs, ours in _POOLING_NAMES.items() if ours == contract.pooling)
    return {"embedding_dimension": hidden, "pooling_mode": name, "include_prompt": contract.include_prompt}


_KINDS = ("Transformer", "Pooling", "SpladePooling", "Dense", "Normalize")
_SHAPES = "wanted Transformer, Pooling, then Dense and Normalize where used; or Transformer and SpladePooling"


def _kind(module: dict[str, Any]) -> str:
    kind = str(module["type"]).rsplit(".", 1)[-1]
    return "Transformer" if kind == "MLMTransformer" else kind  # its name in older SPLADE folders


def _modules(path: Path) -> list[dict[str, Any]]:
    if not (path / "modules.json").exists():
        return []
    modules = routed(path, sorted(read_json(path / "modules.json"), key=lambda module: int(module["idx"])))
    kinds = [_kind(module) for module in modules]
    if kinds[:1] == [STATIC] and kinds[1:] in ([], ["Normalize"]):
        return modules
    wrong = [kind for kind in kinds if kind not in _KINDS]
    if wrong:
        raise ModelError(f"{path / 'modules.json'}: module {wrong[0]} is not supported; wanted {', '.join(_KINDS)}")
    order = [_KINDS.index(kind) for kind in kinds]
    sparse = kinds == ["Transformer", "SpladePooling"]
    dense = order == sorted(order) and [kinds.count(kind) for kind in _KINDS[:3]] == [1, 1, 0] and kinds.count("Normalize") <= 1
    if not (sparse or dense):
        raise ModelError(f"{path / 'modules.json'}: modules are {', '.join(kinds)}; {_SHAPES}")
    return modules


def first_json(folder: Path, *names: str) -> dict[str, Any]:
    """What the first of the named files that is in `folder` holds, or nothing."""
    for name in names:
        if (folder / name).exists():
            found: dict[str, Any] = read_json(folder / name)
            return found
    return {}


def _stated(path: Path) -> dict[str, Any]:
    """What nearfield.json states of the contract, or nothing."""
    file = path / "nearfield.json"
    if not file.exists():
        return {}
    stated: dict[str, Any] = dict(read_json(file).get("contract", {}))
    known = ("name", "dim", *_STATEABLE)
    for key in stated:
        if key not in known:
            raise ContractError(f"{file}: contract has an unknown key {key!r}; known: {', '.join(known)}.{nearest(key, known)}")
    stated = {key: value for key, value in stated.items() if value is not None}
    if isinstance(stated.get("terms"), dict):
        terms = stated["terms"]
        stated["terms"] = Terms(**(terms | {"languages": tuple(terms.get("languages", ()))}))
    return stated


def _pooling(folder: Path | None, stated: dict[str, Any], config: Mapping[str, Any], path: Path) -> dict[str, Any]:
    if folder is None:
        if "pooling" not in stated:
            sparse = '; for a SPLADE model {"contract": {"kind": "sparse"}}' if _has_language_head(config) else ""
            raise ContractError(
                f"{path}: nothing says how token states are pooled (no modules.json); state it in {path / 'nearfield.json'}: "
                f'{{"contract": {{"pooling": "mean"}}}}, one of {", ".join(POOLINGS)}{sparse}'
            )
        if stated["pooling"] not in POOLINGS:
            known = f"wanted one of {', '.join(POOLINGS)}.{nearest(str(stated['pooling']), POOLINGS)}"
            raise ContractError(f"{path / 'nearfield.json'}: pooling is {stated['pooling']!r}; {known}")
        return {"pooling": stated["pooling"], "include_prompt": stated.get("include_prompt", True)}
    facts = read_json(folder / "config.json")
    modes = facts.get("pooling_mode") or [short for key, short in _LEGACY_POOLING.items() if facts.get(key)] or ["mean"]
    modes = [modes] if isinstance(modes, str) else modes
    if len(modes) != 1 or modes[0] not in _POOLING_NAMES:
        raise ModelError(f"{folder / 'config.json'}: pooling {' + '.join(modes)} is not supported; wanted {', '.join(_POOLING_NAMES)}")
    return {"pooling": _POOLING_NAMES[modes[0]], "include_prompt": facts.get("include_prompt", True)}


def _has_language_head(config: Mapping[str, Any]) -> bool:
    return any(str(name).endswith("ForMaskedLM") for name in config.get("architectures") or [])


def _splade(folder: Path | None, stated: Mapping[str, Any]) -> dict[str, Any]:
    """What a SpladePooling's config.json says: its pooling as facts of the contract, and its activation.

    `folder` is None for a masked language model alone, of which nearfield.json has `stated` that it is a SPLADE model.
    """
    facts = {"pooling_strategy": stated.get("pooling", "max")} if folder is None else read_json(folder / "config.json")
    pooling, activation = facts.get("pooling_strategy", "max"), facts.get("activation_function", "relu")
    return {"facts": {"pooling": pooling, "include_prompt": True}, "activation": activation}


def _one_or_several(path: Path, stated: dict[str, Any]) -> str:
    """Whether a dense model has the two other heads beside it; nearfield.json may ask for the dense one of them alone."""
    found = [file for file in TOKEN_HEADS.values() if (path / file).exists()]
    if len(found) == 1:
        raise ModelError(f"{path}: holds {found[0]} and not the other of {' and '.join(TOKEN_HEADS.values())}; wanted both or neither")
    return "several" if found and stated.get("kind") != "dense" else "dense"


def max_tokens_of(transformer: Path, config: dict[str, Any], limits: Mapping[str, Any], stated: dict[str, Any], path: Path) -> int:
    """The least of what the files say: sentence-transformers' own limit, the tokeniser's, the number of positions."""
    tokenizer = first_json(transformer, "tokenizer_config.json")
    positions = config.get("max_position_embeddings")
    if positions and config.get("model_type") in OFFSET_POSITIONS:
        positions -= int(config.get("pad_token_id") or 0) + 1
    limit = processor_arguments(transformer).get("model_max_length") or limits.get("max_seq_length")
    own = tokenizer.get("model_max_length", tokenizer.get("max_len"))
    says = [own if limit is None else limit, positions, stated.get("max_tokens")]
    known = [int(value) for value in says if value is not None and 0 < value < 1_000_000]
    if not known:
        state = '{"contract": {"max_tokens": 512}}'
        raise ContractError(f"{path}: nothing says how many tokens the model reads; state {state} in nearfield.json")
    return min(known)


OFFSET_POSITIONS = ("roberta", "xlm-roberta", "camembert", "mpnet", "xlm-roberta-xl")  # positions start at pad_token_id + 1


def _dim(projections: list[Path], config: dict[str, Any], path: Path) -> int:
    if projections:
        return int(read_json(projections[-1] / "config.json")["out_features"])
    sizes = config | config.get("text_config", {})
    found = sizes.get("hidden_size") or sizes.get("dim") or sizes.get("d_model") or sizes.get("n_embd")
    if not found:
        raise ModelError(f"{path}: config.json has no hidden_size; is this a text model?")
    return int(found)


def _similarity_and_prompts(path: Path) -> dict[str, Any]:
    """The prompts, and the similarity where one is named; a document's prompt may go by another name, which stays a role too."""
    facts = first_json(path, "config_sentence_transformers.json")
    name = facts.get("similarity_fn_name")
    if name in SCORES:  # of two multi-vectors; how two tokens are compared is not named there
        name = None
    if name and name not in SIMILARITIES:
        file = path / "config_sentence_transformers.json"
        raise ModelError(f"{file}: similarity {name!r} is not supported; wanted {', '.join(SIMILARITIES)}")
    prompts = {role: text for role, text in (facts.get("prompts") or {}).items() if text is not None}
    document = [prompts[role] for role in _DOCUMENT_NAMES if role in prompts]
    return ({"similarity": name} if name else {}) | {"prompts": prompts | ({"document": document[0]} if document else {})}


_DOCUMENT_NAMES = ("document", "passage", "corpus")  # in the order of sentence-transformers' encode_document


def _refuse_contradictions(facts: dict[str, Any], stated: dict[str, Any], path: Path) -> None:
    for key in ("dim", "pooling", "include_prompt", "normalise", "similarity", "kind"):
        if key in stated and stated[key] != facts[key]:
            said = f"{key} is {stated[key]!r} in nearfield.json and {facts[key]!r} in the model's own files"
            raise ContractError(f"{path}: {said}; correct the one that is wrong")
    own, given = facts["prompts"], stated.get("prompts", {})
    differing = [role for role in own if role in given and own[role] != given[role]]
    if differing:
        role = differing[0]
        said = f"role {role!r} has prompt {given[role]!r} in nearfield.json and {own[role]!r} in the model's own files"
        raise ContractError(f"{path}: {said}; correct the one that is wrong")
    stated.pop("max_tokens", None)  # the least of all has been taken
    if any(not isinstance(prompt, str) for prompt in facts["prompts"].values()):
        raise InputError("prompts must be texts", path=path / "config_sentence_transformers.json")
