"""A tokeniser with fewer tokens that cuts given texts as the whole one does."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from nearfield.errors import ModelError

Facts = dict[str, Any]  # a tokenizer.json


def kept_ids(facts: Facts, used: Collection[int]) -> list[int]:
    """The ids to keep, ascending, of a tokeniser whose texts use the ids `used`.

    With them: added and special tokens, the unknown one, every byte and single character, tokens
    that hold a character which has no token of its own, and in BPE the steps that make a kept
    token. Then the texts are cut as before, by each kind's own rule: a greedy longest match
    (WordPiece), merges by rank (BPE) and the best path (Unigram) only ever lose what they did not
    take; and a word whose characters all have tokens stays spellable. Raises ModelError for a kind
    that has no pieces.
    """
    model = facts["model"]
    if model["type"] not in ("WordPiece", "BPE", "Unigram"):
        raise ModelError(
            f"the tokeniser is of the kind {model['type']}, of whole words: each "
            "that is left out would become unknown"
        )
    ids = token_ids(facts)
    added = {token["id"] for token in facts["added_tokens"]}
    pieces = {token: id_ for token, id_ in ids.items() if id_ not in added}
    kept = {*used, *added, *_named(facts.get("post_processor")), *_spelling(model, pieces)}
    if model["type"] == "Unigram":
        scores = [score for _, score in model["vocab"]]
        # what is unknown costs 10 more than the least likely piece
        kept.add(scores.index(min(scores)))
        if model.get("unk_id") is not None:
            kept.add(model["unk_id"])
    elif model.get("unk_token") is not None:
        kept.add(ids[model["unk_token"]])
    if model["type"] == "BPE":  # a token is reached by merges only, through all that it is made of
        kept |= _steps(model, ids, kept)
    return sorted(kept)


def with_only(facts: Facts, kept: list[int]) -> Facts:
    """The tokeniser with the ids `kept`, which become 0, 1, 2, ... in that order."""
    new = {old: at for at, old in enumerate(kept)}
    # a deep copy, as all of it is JSON
    left: Facts = json.loads(json.dumps(facts))
    model = left["model"]
    if model["type"] == "Unigram":
        model["vocab"] = [row for at, row in enumerate(model["vocab"]) if at in new]
        model["unk_id"] = None if model.get("unk_id") is None else new[model["unk_id"]]
    else:
        model["vocab"] = {token: new[id_] for token, id_ in model["vocab"].items() if id_ in new}
    if model["type"] == "BPE":
        merges = []
        for pair in model["merges"]:
            if {*_pair(pair), _joined(model, pair)} <= model["vocab"].keys():
                merges.append(pair)
        model["merges"] = merges
    left["added_tokens"] = [token | {"id": new[token["id"]]} for token in left["added_tokens"]]
    left["post_processor"] = _renumbered(left.get("post_processor"), new)
    if left.get("padding"):
        left["padding"]["pad_id"] = new.get(left["padding"]["pad_id"], 0)
    return left


def token_ids(facts: Facts) -> dict[str, int]:
    """Each token's id, added ones included."""
    vocabulary = facts["model"]["vocab"]
    if isinstance(vocabulary, list):
        own = {row[0]: at for at, row in enumerate(vocabulary)}
    else:
        own = vocabulary
    return own | {token["content"]: token["id"] for token in facts["added_tokens"]}


def _spelling(model: Facts, pieces: Mapping[str, int]) -> set[int]:
    """Bytes, single characters, and pieces with a character that has no piece of its own where it
    stands in them.
    """
    inner = model.get("continuing_subword_prefix") or ("##" if model["type"] == "WordPiece" else "")
    end = model.get("end_of_word_suffix") or ""
    kept = set()
    for piece, id_ in pieces.items():
        body = piece.removeprefix(inner) or piece
        follows = body != piece  # it stands within a word, as "##ing"
        ends = bool(end) and body.endswith(end) and body != end  # and at its end, as "ing</w>"
        if ends:
            body = body.removesuffix(end)
        # its characters as pieces of their own, marked as they would be where they stand
        parts = [inner + letter for letter in body]
        if not follows:
            parts[:1] = body[:1]
        if ends:
            parts[-1] += end
        is_byte = len(piece) == 6 and piece.startswith("<0x")
        if len(body) == 1 or is_byte or any(part not in pieces for part in parts):
            kept.add(id_)
    return kept


def _steps(model: Facts, ids: Mapping[str, int], kept: Collection[int]) -> set[int]:
    """The tokens that kept tokens are merged from, and those that these are merged from."""
    made_of: dict[int, set[int]] = {}
    for pair in model["merges"]:
        made = ids.get(_joined(model, pair))
        if made is not None:  # several merges may make one token
            first, second = _pair(pair)
            made_of.setdefault(made, set()).update({ids[first], ids[second]})
    found: set[int] = set()
    ahead = list(kept)
    # until no kept token is made of one that is not kept
    while ahead:
        new = made_of.get(ahead.pop(), set()) - found
        found |= new
        ahead += new
    return found


def _pair(pair: str | list[str]) -> tuple[str, str]:
    """A merge's two tokens; older files have them in one text with a space between."""
    first, second = pair.split(" ") if isinstance(pair, str) else pair
    return first, second


def _joined(model: Facts, pair: str | list[str]) -> str:
    first, second = _pair(pair)
    return first + second[len(model.get("continuing_subword_prefix") or "") :]


def _named(processor: Facts | None) -> set[int]:
    """The ids that a post-processor puts around texts."""
    found: set[int] = set()
    for part in _parts(processor):
        # (token, id) of BertProcessing and RobertaProcessing; TemplateProcessing has a table
        found |= {part[side][1] for side in ("cls", "sep") if side in part}
        for token in part.get("special_tokens", {}).values():
            found.update(token["ids"])
    return found


def _renumbered(processor: Facts | None, new: Mapping[int, int]) -> Facts | None:
    for part in _parts(processor):
        for side in ("cls", "sep"):
            if side in part:
                token, id_ = part[side]
                part[side] = [token, new[id_]]
        for token in part.get("special_tokens", {}).values():
            token["ids"] = [new[id_] for id_ in token["ids"]]
    return processor


def _parts(processor: Facts | None) -> list[Facts]:
    """A post-processor, or those that it is a sequence of."""
    if processor is None:
        return []
    found = [processor]
    for inner in processor.get("processors", []):
        found += _parts(inner)
    return found
