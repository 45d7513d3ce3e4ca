"""How a multi-vector model treats queries and documents, and where its folder says so.

Three layouts are read: sentence-transformers 6 (`MultiVectorEncoder`), PyLate (its settings in
config_sentence_transformers.json), and Stanford's ColBERT (`artifact.metadata`, with the projection
as `linear.weight` among the backbone's weights).
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from nearfield.errors import ModelError
from nearfield.formats.honoured import TOKEN_MASK, refuse_unhonoured
from nearfield.formats.modules import read_modules
from nearfield.formats.weights import Weights
from nearfield.store.fields import Fields, read_optional
from nearfield.types.role import DOCUMENT, QUERY, Role

# sentence-transformers' name of MaxSim divided by the number of the query's tokens
MEAN = "meanmaxsim"
SCORES = ("maxsim", MEAN)
INLINE = "linear.weight"
_PYLATE = (
    "query_length",
    "document_length",
    "do_query_expansion",
    "attend_to_expansion_tokens",
    "attend_to_mask_tokens",
    "query_prefix",
    "document_prefix",
    "skiplist_words",
)
# tokens of a query where a ColBERT folder doesn't say (Khattab and Zaharia 2020)
_USUAL_LENGTH = 32


@dataclass(frozen=True)
class Expansion:
    """Queries of fewer than `length` tokens are filled up with `token`, the tokeniser's mask token
    where it is None.

    `fixed`: longer ones are cut to it. The added tokens always count in MaxSim; the others look at
    them only where `attended`.
    """

    length: int
    fixed: bool = True
    attended: bool = False
    token: str | None = None


@dataclass(frozen=True)
class LateInteraction:
    """What of a text gets a vector.

    `query_tokens`, `document_tokens`: the most tokens of either, None where a folder says it of
    neither. `skipped`: tokens without a vector in the roles `skipped_in`, where every role but
    query counts as document. `average`: scores are means over the query's tokens. `markers`:
    prompts that the tokeniser must keep whole. `inline`: the projection is `linear.weight` among
    the backbone's weights.
    """

    expansion: Expansion | None = None
    query_tokens: int | None = None
    document_tokens: int | None = None
    skipped: tuple[str, ...] = ()
    skipped_in: tuple[Role, ...] = (DOCUMENT,)
    average: bool = False
    markers: tuple[str, ...] = ()
    inline: bool = False

    @property
    def longest_query(self) -> int | None:
        """The most tokens of a query, where a folder says it of queries."""
        if self.expansion is None:
            return self.query_tokens
        if self.expansion.fixed:
            return self.expansion.length
        return None if self.query_tokens is None else max(self.query_tokens, self.expansion.length)


@dataclass(frozen=True)
class LateFiles:
    """What a multi-vector folder says: `projections` are the folders of its Dense modules;
    `prompts` is None where sentence-transformers' own file states them, `dim` where the projections
    do.
    """

    transformer: Path
    settings: LateInteraction
    projections: tuple[Path, ...] = ()
    normalise: bool = True
    prompts: Mapping[Role, str] | None = None
    dim: int | None = None


def is_late(path: Path) -> bool:
    """Whether the folder at `path` is a multi-vector model's."""
    stated = read_optional(path / "config_sentence_transformers.json")
    kind = stated.text("model_type", "SentenceTransformer")
    if kind in ("ColBERT", "MultiVectorEncoder") or (
        kind == "SentenceTransformer" and _pylate(stated)
    ):
        return True
    return (path / "artifact.metadata").is_file() or "HF_ColBERT" in read_optional(
        path / "config.json"
    ).texts("architectures", [])


def read_late(path: Path) -> LateFiles:
    """What the multi-vector folder at `path` says. Raises ModelError for modules and settings that
    cannot be honoured.
    """
    if not (path / "modules.json").exists():
        return _stanford(path)
    stated = read_optional(path / "config_sentence_transformers.json")
    modules = read_modules(path)
    kinds = [module.kind for module in modules]
    wrong = [
        kind
        for kind in kinds
        if kind not in ("Transformer", "Dense", "MultiVectorMask", "Normalize", "Pooling")
    ]
    if (
        wrong
        or kinds[:1] != ["Transformer"]
        or ("Dense" not in kinds and "MultiVectorMask" not in kinds)
    ):
        said = f"module {wrong[0]} is not supported" if wrong else f"modules are {', '.join(kinds)}"
        raise ModelError(
            f"{path / 'modules.json'}: {said}; wanted Transformer, then Dense, "
            "MultiVectorMask and Normalize"
        )
    folders = {kind: [module.folder for module in modules if module.kind == kind] for kind in kinds}
    native = "MultiVectorMask" in kinds
    if native:
        inputs = [
            read_optional(folder / "config.json").text("module_input_name", None)
            for folder in folders.get("Normalize", [])
        ]
        normalise = "token_embeddings" in inputs
        settings = _native(path, folders["Transformer"][0], folders["MultiVectorMask"][0], stated)
    else:
        normalise, settings = True, _of_pylate(stated)
    prompts = _pylate_prompts(stated)
    if prompts is not None:
        settings = replace(settings, markers=tuple(prompts.values()))
    return LateFiles(
        folders["Transformer"][0], settings, tuple(folders.get("Dense", [])), normalise, prompts
    )


def _native(path: Path, transformer: Path, mask: Path, stated: Fields) -> LateInteraction:
    limits = read_optional(transformer / "sentence_bert_config.json")
    facts = read_optional(mask / "config.json")
    refuse_unhonoured(facts, TOKEN_MASK)
    if facts.get("keep_only_token_ids"):
        raise ModelError(
            f"{mask / 'config.json'}: keep_only_token_ids is of models of images, "
            "which are not supported"
        )
    tasks = facts.get("skiplist_tasks")
    if isinstance(tasks, str):
        tasks = [tasks]
    elif tasks is not None:
        tasks = facts.texts("skiplist_tasks")
    known = (
        _of_pylate(stated)
        if _pylate(stated)
        else LateInteraction(average=stated.get("similarity_fn_name") == MEAN)
    )
    return replace(
        known,
        expansion=_expansion(limits.object("query_expansion", None))
        if "query_expansion" in limits
        else known.expansion,
        query_tokens=_tokens(limits, "query_length", known.query_tokens),
        document_tokens=_tokens(limits, "document_length", known.document_tokens),
        skipped=tuple(facts.texts("skiplist_words", [])),
        skipped_in=tuple(tasks or [DOCUMENT]),
    )


def _tokens(stated: Fields, key: str, otherwise: int | None) -> int | None:
    """How many tokens `stated` allows under `key`: `otherwise` where it says nothing of it, None
    where it is null.
    """
    found: int | None = stated.integer(key, None, low=1) if key in stated else otherwise
    return found


def _expansion(asked: Fields | None) -> Expansion | None:
    if asked is None:
        return None
    strategy = asked.one_of("strategy", ("fixed", "min"))
    return Expansion(
        asked.integer("length", low=1),
        strategy == "fixed",
        asked.flag("attend", False),
        asked.text("token", None),
    )


def _pylate(stated: Fields) -> bool:
    return any(key in stated for key in _PYLATE)


def _of_pylate(stated: Fields) -> LateInteraction:
    """PyLate fills queries up to query_length and skips punctuation where its settings don't say
    otherwise.
    """
    length, expansion = stated.integer("query_length", None, low=1), None
    if stated.flag("do_query_expansion", True):
        attended = stated.flag(
            "attend_to_expansion_tokens", stated.flag("attend_to_mask_tokens", False)
        )
        expansion = Expansion(length or _USUAL_LENGTH, attended=attended)
    return LateInteraction(
        expansion,
        None if expansion else length,
        stated.integer("document_length", None, low=1),
        tuple(stated.texts("skiplist_words", string.punctuation)),
        average=stated.get("similarity_fn_name") == MEAN,
    )


def _pylate_prompts(stated: Fields) -> dict[Role, str] | None:
    """Its markers before the prompts, None where it has no markers."""
    if not any(f"{role}_prefix" in stated for role in (QUERY, DOCUMENT)):
        return None
    prompts = stated.named_texts("prompts")
    for role in (QUERY, DOCUMENT):
        marker = stated.text(f"{role}_prefix", "")
        prompts[role] = marker + prompts.get(role, "").removeprefix(marker)
    return prompts


def _stanford(path: Path) -> LateFiles:
    """A folder of Stanford's ColBERT, whose defaults are those of its ColBERTConfig."""
    stated = read_optional(path / "artifact.metadata")
    query, document = (
        stated.text("query_token_id", "[unused0]"),
        stated.text("doc_token_id", "[unused1]"),
    )
    prompts = {QUERY: f"{query} ", DOCUMENT: f"{document} "}
    length = stated.integer("query_maxlen", _USUAL_LENGTH, low=1)
    settings = LateInteraction(
        Expansion(length, attended=stated.flag("attend_to_mask_tokens", False)),
        document_tokens=stated.integer("doc_maxlen", None, low=1),
        skipped=tuple(string.punctuation) if stated.flag("mask_punctuation", True) else (),
        markers=tuple(prompts.values()),
        inline=True,
    )
    return LateFiles(path, settings, prompts=prompts, dim=_inline_dim(path, stated))


def _inline_dim(path: Path, stated: Fields) -> int:
    dim = stated.integer("dim", None, low=1)
    if dim is not None:
        return int(dim)
    weights = Weights(path)
    if INLINE not in weights:
        raise ModelError(
            f"{path}: a folder of Stanford's ColBERT has its projection as {INLINE} "
            "among the weights, and this has none"
        )
    return len(weights.float32(INLINE))
