"""Folders of multi-vector models, in three layouts: sentence-transformers 6 (`MultiVectorEncoder`),
PyLate (its settings in config_sentence_transformers.json), and Stanford's ColBERT
(`artifact.metadata`, with the projection as `linear.weight` among the backbone's weights).
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from nearfield.errors import ModelError
from nearfield.formats.honoured import TOKEN_MASK, refuse_unhonoured
from nearfield.formats.late_interaction import INLINE, MEAN, Expansion, LateInteraction
from nearfield.formats.layout import Files, Layout
from nearfield.formats.model_folder import ModelFolder
from nearfield.formats.stated import whole_contract
from nearfield.formats.transformer_settings import dim_of, max_tokens_of, read_settings
from nearfield.formats.weights import Weights
from nearfield.store.fields import Fields, read_optional
from nearfield.types.role import DOCUMENT, QUERY, Role

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
KIND = "multi-vector"
_MODULES = ("Transformer", "Dense", "MultiVectorMask", "Normalize", "Pooling")


class LateLayout(Layout):
    """Any of the three."""

    head = "late-interaction"

    def recognises(self, files: Files) -> bool:
        """See Layout."""
        kind = files.own.text("model_type", "SentenceTransformer")
        if kind in ("ColBERT", "MultiVectorEncoder"):
            return True
        if kind == "SentenceTransformer" and _is_pylate(files.own):
            return True
        if (files.path / "artifact.metadata").is_file():
            return True
        config = read_optional(files.path / "config.json")
        return "HF_ColBERT" in config.texts("architectures", [])

    def read(self, files: Files) -> ModelFolder:
        """See Layout. Raises ModelError for modules and settings that cannot be honoured."""
        # Stanford's folders are plain transformers' ones, without modules.json
        if not files.modules:
            return _stanford(files)
        kinds = files.kinds
        files.refuse_modules(
            _MODULES,
            "Transformer, then Dense, MultiVectorMask and Normalize",
            fit=kinds[0] == "Transformer" and ("Dense" in kinds or "MultiVectorMask" in kinds),
        )
        settings = _pylate(files.own)
        normalise = True
        for mask in files.folders("MultiVectorMask"):
            settings = _native(files, mask)
            inputs = [
                read_optional(folder / "config.json").text("module_input_name", None)
                for folder in files.folders("Normalize")
            ]
            # a Normalize over whole texts changes no token's vector
            normalise = "token_embeddings" in inputs
        prompts = _pylate_prompts(files.own)
        if prompts is not None:
            settings = replace(settings, markers=tuple(prompts.values()))
        dim = dim_of(files.folders("Dense"), files.config)
        return _folder(files, settings, dim, normalise=normalise, prompts=prompts)


LAYOUT = LateLayout()


def _folder(
    files: Files,
    settings: LateInteraction,
    dim: int,
    *,
    normalise: bool,
    prompts: Mapping[Role, str] | None,
) -> ModelFolder:
    transformer = files.transformer
    limits = read_settings(transformer, KIND)
    limit = partial(max_tokens_of, transformer, files.config, limits, files.stated)
    # a length that is stated of a role counts instead of the tokeniser's
    query = limit(own=settings.longest_query)
    document = limit(own=settings.document_tokens)
    facts: dict[str, Any] = {
        "kind": KIND,
        "pooling": "tokens",
        "include_prompt": True,
        "normalise": normalise,
        "max_tokens": max(query, document),
        "dim": dim,
    }
    similarity = "cosine" if normalise else "dot"
    contract = whole_contract(
        facts, files.stated, files.own, similarity=similarity, prompts=prompts
    )
    return ModelFolder(
        files.path,
        LAYOUT.head,
        contract,
        transformer,
        tuple(files.folders("Dense")),
        limits.flag("do_lower_case", False),
        late=replace(settings, query_tokens=query, document_tokens=document),
        code=files.code(),
    )


def _native(files: Files, mask: Path) -> LateInteraction:
    stated = files.own
    limits = read_optional(files.transformer / "sentence_bert_config.json")
    facts = read_optional(mask / "config.json")
    refuse_unhonoured(facts, TOKEN_MASK)
    if facts.get("keep_only_token_ids"):
        raise ModelError(
            f"{mask / 'config.json'}: keep_only_token_ids is for models of images, "
            "which are not supported"
        )
    tasks = facts.get("skiplist_tasks")
    if isinstance(tasks, str):
        tasks = [tasks]
    elif tasks is not None:
        tasks = facts.texts("skiplist_tasks")
    known = LateInteraction(average=stated.text("similarity_fn_name", None) == MEAN)
    if _is_pylate(stated):
        known = _pylate(stated)
    expansion = known.expansion
    # null says that queries are not filled up; without the key, what PyLate's settings said holds
    if "query_expansion" in limits:
        expansion = _expansion(limits.object("query_expansion", None))
    return replace(
        known,
        expansion=expansion,
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


def _is_pylate(stated: Fields) -> bool:
    return any(key in stated for key in _PYLATE)


def _pylate(stated: Fields) -> LateInteraction:
    """PyLate fills queries up to query_length and skips punctuation where its settings don't say
    otherwise.
    """
    length = stated.integer("query_length", None, low=1)
    expansion = None
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
        average=stated.text("similarity_fn_name", None) == MEAN,
    )


def _pylate_prompts(stated: Fields) -> dict[Role, str] | None:
    """Its markers before the prompts, None where it has no markers."""
    if not any(f"{role}_prefix" in stated for role in (QUERY, DOCUMENT)):
        return None
    prompts = stated.named_texts("prompts")
    for role in (QUERY, DOCUMENT):
        marker = stated.text(f"{role}_prefix", "")
        # a prompt may hold the marker already
        prompts[role] = marker + prompts.get(role, "").removeprefix(marker)
    return prompts


def _stanford(files: Files) -> ModelFolder:
    """A folder of Stanford's ColBERT, whose defaults are those of its ColBERTConfig."""
    stated = read_optional(files.path / "artifact.metadata")
    query = stated.text("query_token_id", "[unused0]")
    document = stated.text("doc_token_id", "[unused1]")
    prompts = {QUERY: f"{query} ", DOCUMENT: f"{document} "}
    length = stated.integer("query_maxlen", _USUAL_LENGTH, low=1)
    settings = LateInteraction(
        Expansion(length, attended=stated.flag("attend_to_mask_tokens", False)),
        document_tokens=stated.integer("doc_maxlen", None, low=1),
        skipped=tuple(string.punctuation) if stated.flag("mask_punctuation", True) else (),
        markers=tuple(prompts.values()),
        inline=True,
    )
    dim = _inline_dim(files.path, stated)
    return _folder(files, settings, dim, normalise=True, prompts=prompts)


def _inline_dim(path: Path, stated: Fields) -> int:
    dim = stated.integer("dim", None, low=1)
    if dim is not None:
        return int(dim)
    # without artifact.metadata, the rows of the projection say it
    weights = Weights(path)
    if INLINE not in weights:
        raise ModelError(
            f"{path}: a folder of Stanford's ColBERT has its projection as {INLINE} "
            "among the weights, and this has none"
        )
    return len(weights.float32(INLINE))
