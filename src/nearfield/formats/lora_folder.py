"""A LoRA adapter's folder, as PEFT writes one: adapter_config.json beside
adapter_model.safetensors. Read here without importing torch.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nearfield.errors import ModelError
from nearfield.formats.modules import read_modules
from nearfield.store.fields import Fields, read_fields, read_optional
from nearfield.store.inside import inside
from nearfield.types.role import DOCUMENT, QUERY, Role

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
# Settings of PEFT's LoraConfig under which more happens than B A x is added, and what.
_OTHERWISE = {
    "use_dora": "DoRA rescales the sum of weight and adapter",
    "use_qalora": "QALoRA pools the adapter's input",
    "use_bdlora": "block-diagonal LoRA cuts the matrices into blocks",
    "lora_bias": "its second matrix has a bias",
    "layer_replication": "it runs layers of the base more than once",
    "target_parameters": "it changes parameters that are no layer's weight",
    "trainable_token_indices": "it holds rows of the embeddings",
    "alora_invocation_tokens": "it begins to act at a token within the text",
    "arrow_config": "it is a mixture of adapters",
    "kasa_config": "KaSA scales the matrices by singular values",
    "velora_config": "VeLoRA projects the layers' inputs",
    "monteclora_config": "MonteCLoRA draws its matrices at random",
}
# Initialisations that take something out of the base's weights.
_FROM_THE_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")


@dataclass(frozen=True)
class LoRAFolder:
    """What adapter_config.json says: `base` names the model that the adapter belongs to, `alpha`
    gives its scale.

    `alphas` hold instead for the layers whose names end as their keys, regular expressions, say.
    """

    path: Path
    base: str | None
    alpha: float
    alphas: Mapping[str, float] = field(default_factory=dict)
    by_root: bool = False

    def scale(self, module: str, rank: int) -> float:
        """What an adapter of `rank` on the layer called `module` is multiplied by: alpha / r (Hu et
        al. 2021), or alpha / sqrt(r).

        The latter is rank-stabilised LoRA (Kalajdzievski 2023, theorem 3.2), which the folder asks
        for as use_rslora.
        """
        alpha = self.alpha
        for key, value in self.alphas.items():
            if re.match(rf"(.*\.)?({key})$", module):  # PEFT takes the first that matches
                alpha = value
                break
        return alpha / (math.sqrt(rank) if self.by_root else rank)


def is_lora(path: Path) -> bool:
    """Whether the folder holds an adapter."""
    return (path / CONFIG).is_file()


def adapter_place(path: Path) -> Path | None:
    """Where in the folder at `path` its one adapter lies: at the top, or with its first module;
    None where it is no adapter's folder.
    """
    if is_lora(path):
        return path
    modules = read_modules(path)
    if modules and is_lora(modules[0].folder):
        return modules[0].folder
    return None


def read_lora(path: Path) -> LoRAFolder:
    """What the folder's adapter_config.json says. Raises ModelError for an adapter of another kind
    than plain LoRA, saying which.
    """
    facts = read_fields(path / CONFIG)
    kind = facts.get("peft_type")
    if kind != "LORA":
        raise ModelError(
            f"{path / CONFIG}: is an adapter of the kind {kind!r}; wanted LORA, the "
            "kind that is read here"
        )
    for setting, why in _OTHERWISE.items():
        if facts.get(setting):
            raise ModelError(
                f"{path / CONFIG}: {setting} is set ({why}), which is not read here; "
                "merge the adapter with peft first"
            )
    begun = str(facts.get("init_lora_weights")).lower()
    if begun.startswith(_FROM_THE_BASE):
        raise ModelError(
            f"{path / CONFIG}: was begun by {begun}, which changes the base's "
            "weights too; convert it with peft to plain LoRA"
        )
    facts.integer("r", low=1)  # each layer's own rank is read off its matrices
    alphas = {}
    patterns = facts.object("alpha_pattern", None)
    if patterns is not None:
        _refuse_no_patterns(patterns)
        alphas = {key: patterns.number(key) for key in patterns}
    base = facts.text("base_model_name_or_path", None)
    by_root = facts.flag("use_rslora", False)
    return LoRAFolder(path, base, facts.number("lora_alpha"), alphas, by_root)


def _refuse_no_patterns(patterns: Fields) -> None:
    """Raise ModelError for a key that is no regular expression."""
    for key in patterns:
        try:
            re.compile(f"({key})$")
        except (re.error, RecursionError, OverflowError) as error:
            raise ModelError(
                f"{patterns.path}: alpha_pattern has {key[:60]!r}, which is not a regular "
                f"expression: {error}"
            ) from error


_OTHER_NAMES = {
    QUERY: ("retrieval_query", "retrieval.query"),
    DOCUMENT: ("passage", "retrieval_passage", "retrieval.passage"),
}  # as jina-embeddings-v3 calls them


def role_adapters(path: Path) -> dict[Role, Path]:
    """The adapter of each role of the model folder at `path`: none, or those of its sub-folders.

    nearfield.json may name them, as {"adapters": {"query": "adapters/retrieval"}}. Where it does
    not, each sub-folder with an adapter in it, of the folder itself or of its `adapters`, is that
    of the role that it is called by. Raises ModelError where a folder that is named holds no
    adapter.
    """
    file = path / "nearfield.json"
    stated = read_optional(file).object("adapters", None)
    if stated is not None:
        places = {role: inside(path, stated.text(role), path=file) for role in stated}
        for role, place in places.items():
            if not is_lora(place):
                raise ModelError(
                    f"{file}: the adapter of role {role!r} is {stated[role]!r}, and "
                    f"{place} holds no {CONFIG}"
                )
        return places
    found = {}
    for pattern in ("*", "adapters/*"):
        for config in sorted(path.glob(f"{pattern}/{CONFIG}")):
            place = config.parent.relative_to(path)
            # a link may lead out of the folder
            found[place.name] = inside(path, str(place), path=path)
    for role, names in _OTHER_NAMES.items():
        there = [found[name] for name in names if name in found]
        if there:
            # a folder that is called as the role itself counts before one of another name
            found.setdefault(role, there[0])
    return found


def lora_json(
    ranks: Mapping[str, int],
    alphas: Mapping[str, float],
    *,
    base: str | None,
    beside: Sequence[str],
) -> dict[str, Any]:
    """What adapter_config.json holds for an adapter on layers of these ranks and alphas, with the
    whole weights called `beside`.

    The commonest rank and alpha are stated once, the others by layer.
    """
    modules = {name.rpartition(".")[0] for name in beside if name.endswith(".weight")}
    # layers of which the bias alone was trained
    biased = {name.rpartition(".")[0] for name in beside} - modules
    bias = "none"
    if biased:
        bias = "lora_only" if biased <= set(ranks) else "all"
    rank, other_ranks = _by_name(ranks)
    alpha, other_alphas = _by_name(alphas)
    return {
        "peft_type": "LORA",
        "task_type": "FEATURE_EXTRACTION",
        "base_model_name_or_path": base,
        "inference_mode": True,
        "r": rank,
        "lora_alpha": alpha,
        "use_rslora": False,
        "lora_dropout": 0.0,
        "bias": bias,
        "fan_in_fan_out": False,
        "rank_pattern": other_ranks,
        "alpha_pattern": other_alphas,
        "target_modules": sorted(ranks),
        "modules_to_save": sorted(modules) or None,
        "init_lora_weights": True,
    }


def _by_name(values: Mapping[str, float]) -> tuple[float, dict[str, float]]:
    """The commonest value, and the others by patterns of the layers' names."""
    ((usual, _),) = Counter(values.values()).most_common(1)
    # PEFT reads these keys as regular expressions, in which a dot of a name is any character
    others = {re.escape(name): value for name, value in values.items() if value != usual}
    return usual, others
