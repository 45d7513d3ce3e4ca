"""The tokeniser of a model folder, as transformers builds it of the folder's files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from nearfield.errors import ModelError
from nearfield.formats.tokenizer_file import tokenizer_of
from nearfield.formats.transformer_settings import processor_arguments
from nearfield.store.fields import read_optional
from nearfield.store.foreign import foreign

# the classes of transformers that are known here, and what they put around a text
_WORD_PIECE = {"BertTokenizer": ("[CLS]", "[SEP]"), "MPNetTokenizer": ("<s>", "</s>")}
# What follows the first token of two texts A and B, S being the token after a text, and the types
# of all these.
_PAIRED = {"BertTokenizer": ("ASBS", [0, 0, 1, 1]), "MPNetTokenizer": ("ASSBS", [0, 0, 0, 0, 0])}
# The special tokens of both classes where the files name no others.
_NAMED = {
    "BertTokenizer": {
        "unk_token": "[UNK]",
        "sep_token": "[SEP]",
        "pad_token": "[PAD]",
        "cls_token": "[CLS]",
        "mask_token": "[MASK]",
    },
    "MPNetTokenizer": {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "[UNK]",
        "sep_token": "</s>",
        "pad_token": "<pad>",
        "cls_token": "<s>",
        "mask_token": "<mask>",
    },
}
_CHECKED = (
    "do_lower_case",
    "tokenize_chinese_chars",
    "strip_accents",
    "split_special_tokens",
    "tokenizer_class",
    "added_tokens_decoder",
)
_MORE_SPECIAL = ("additional_special_tokens", "extra_special_tokens")
# What of tokenizer_config.json changes no token of a text alone.
_WITHOUT_EFFECT = (
    "add_bos_token",  # transformers leaves these two to tokenizer.json
    "add_eos_token",
    "backend",
    "chat_template",
    "clean_up_tokenization_spaces",  # of ids to text
    "do_basic_tokenize",
    "is_local",
    "local_files_only",
    "max_len",
    "max_length",
    "model_input_names",
    "model_max_length",  # the model folder's limit is made of it
    "name_or_path",
    "never_split",
    "pad_to_multiple_of",
    "pad_token_type_id",
    "padding_side",
    "processor_class",
    "special_tokens_map_file",
    "stride",
    "tokenizer_file",
    "trust_remote_code",
    "truncation_side",  # read by open_tokenizer
    "truncation_strategy",
    "use_fast",
)
# Methods by which a class of transformers may make other ids than its tokeniser of the tokenizers
# library does.
_CALLED = ("__call__", "_encode_plus", "encode", "pad", "prepare_for_model")


def open_tokenizer(folder: Path, *, trust_remote_code: bool = False) -> tuple[Tokenizer, bool]:
    """The tokeniser that transformers builds of `folder`, and whether a text that is too long loses
    its start.

    What sentence_bert_config.json gives transformers besides (see `processor_arguments`) is
    honoured. tokenizer.json alone is read where it is known to be that very tokeniser; else
    transformers is imported. `trust_remote_code`: a class that the folder itself defines may be
    run. Raises ModelError where the folder holds no tokeniser that can be read.
    """
    arguments = processor_arguments(folder)
    file = folder / "tokenizer.json"
    stated = dict(read_optional(folder / "tokenizer_config.json")) | arguments
    tokenizer = tokenizer_of(file) if file.exists() else None
    with foreign(folder, "the tokeniser could not be read"):
        if tokenizer is not None and _agrees(tokenizer, stated, folder):
            direction = (tokenizer.truncation or {}).get("direction", "right")
            return tokenizer, stated.get("truncation_side", direction) == "left"
        return _built(folder, arguments, trust_remote_code)


def told_types(folder: Path) -> bool:
    """Whether transformers gives a model the types of its tokens: where tokenizer_config.json says
    so, or the tokeniser's class.
    """
    names = read_optional(folder / "tokenizer_config.json").texts("model_input_names", None)
    if names is None:
        from transformers import AutoTokenizer

        with foreign(folder, "the tokeniser could not be read"):
            names = AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            ).model_input_names
    return "token_type_ids" in names


def named_tokens(folder: Path) -> dict[str, str | None] | None:
    """The special tokens of `folder` by their names, as `cls_token`; None where its files leave it
    to transformers which these are.
    """
    stated = dict(read_optional(folder / "tokenizer_config.json"))
    name = str(stated.get("tokenizer_class", "")).removesuffix("Fast")
    if name not in _NAMED or not (folder / "tokenizer.json").is_file():
        return None
    effective = _NAMED[name] | stated
    if not _same_names(read_optional(folder / "special_tokens_map.json"), effective):
        return None
    return {key: _content(token) for key, token in effective.items() if key.endswith("_token")}


def _same_names(also: Mapping[str, Any], effective: Mapping[str, Any]) -> bool:
    """Whether what special_tokens_map.json says `also` is what tokenizer_config.json does: which of
    the two counts is for transformers to say.
    """
    named = [key for key in also if key not in _MORE_SPECIAL]
    return all(_content(also[key]) == _content(effective.get(key)) for key in named)


def _agrees(tokenizer: Tokenizer, stated: dict[str, Any], folder: Path) -> bool:
    """Whether a tokenizer.json is known to be what transformers makes of it under the
    tokenizer_config.json `stated`.

    transformers keeps of tokenizer.json what the class named in tokenizer_config.json does not set
    itself, and adds to it the tokens of three other files. Known here are the two classes that BERT
    and MPNet models name.
    """
    name = str(stated.get("tokenizer_class", "")).removesuffix("Fast")
    if name not in _WORD_PIECE or stated.get("split_special_tokens"):
        return False
    known = {*_CHECKED, *_MORE_SPECIAL, *_WITHOUT_EFFECT}
    if any(key not in known and not key.endswith("_token") for key in stated):
        return False
    if not _pieces_agree(tokenizer, stated, name):
        return False
    return _added_tokens_agree(tokenizer, stated, name, folder)


def _pieces_agree(tokenizer: Tokenizer, stated: dict[str, Any], name: str) -> bool:
    """Whether normaliser, words and word pieces are those that the class called `name` sets."""
    own = tokenizer.normalizer
    model = tokenizer.model
    if not isinstance(own, normalizers.BertNormalizer) or not isinstance(model, models.WordPiece):
        return False
    asked = {
        "do_lower_case": own.lowercase,
        "tokenize_chinese_chars": own.handle_chinese_chars,
        "strip_accents": own.strip_accents,
    }
    defaults = {"do_lower_case": True, "tokenize_chinese_chars": True, "strip_accents": None}
    before, after = _WORD_PIECE[name]
    around = [_content(stated.get("cls_token", before)), _content(stated.get("sep_token", after))]
    return (
        asked == {key: stated.get(key, default) for key, default in defaults.items()}
        and own.clean_text
        and isinstance(tokenizer.pre_tokenizer, pre_tokenizers.BertPreTokenizer)
        and (model.continuing_subword_prefix, model.max_input_chars_per_word) == ("##", 100)
        and model.unk_token == _content(stated.get("unk_token", "[UNK]"))
        and _empty(tokenizer) == around
        and _pairs_agree(tokenizer, name, around)
    )


def _pairs_agree(tokenizer: Tokenizer, name: str, around: list[Any]) -> bool:
    """Whether two texts are put together as the class called `name` does, with the tokens `around`
    a text.
    """
    # the post-processor is not taken apart: what it makes of two texts says all that counts
    encoding = tokenizer.encode("a", "b")
    said = list(encoding.tokens)
    for at, owner in enumerate(encoding.sequence_ids):
        if owner is not None:
            said[at] = "AB"[owner]
    before, after = around
    order, types = _PAIRED[name]
    parts = {"A": "A", "B": "B", "S": after}
    wanted = [before, *[parts[letter] for letter in order]]
    return said == wanted and encoding.type_ids == [0, *types]


def _added_tokens_agree(
    tokenizer: Tokenizer, stated: dict[str, Any], name: str, folder: Path
) -> bool:
    """Whether all tokens that transformers keeps whole are kept whole by tokenizer.json, and no
    others.
    """
    added = tokenizer.get_added_tokens_decoder()
    decoder = stated.get("added_tokens_decoder")
    also: Mapping[str, Any] = {}
    if decoder is not None:  # it counts in place of three other statements
        own = {number: _properties(token) for number, token in added.items()}
        said = {int(number): _properties(AddedToken(**token)) for number, token in decoder.items()}
        if said != own:
            return False
    else:
        also = read_optional(folder / "special_tokens_map.json")
        numbers = {token.content: number for number, token in added.items()}
        for content, number in read_optional(folder / "added_tokens.json").items():
            if numbers.get(content) != number:
                return False
    effective = _NAMED[name] | stated
    if not _same_names(also, effective):
        return False
    special = {token.content for token in added.values() if token.special}
    return special.issuperset(_special_contents(effective, also))


def _special_contents(*statements: Mapping[str, Any]) -> Iterator[str]:
    """The contents of all tokens that the statements call special."""
    for stated in statements:
        for key, value in stated.items():
            if key in _MORE_SPECIAL:
                many = value.values() if isinstance(value, dict) else value or []
                yield from (str(_content(token)) for token in many)
            elif key.endswith("_token") and not isinstance(value, bool) and value is not None:
                yield str(_content(value))


def _properties(token: AddedToken) -> tuple[str, bool, bool, bool, bool, bool]:
    return (
        token.content,
        token.single_word,
        token.lstrip,
        token.rstrip,
        token.normalized,
        token.special,
    )


def _empty(tokenizer: Tokenizer) -> list[str]:
    tokenizer.no_padding()
    return list(tokenizer.encode("").tokens)


def _content(token: Any) -> Any:
    return token["content"] if isinstance(token, dict) else token


def _built(
    folder: Path, arguments: Mapping[str, Any], trust_remote_code: bool
) -> tuple[Tokenizer, bool]:
    from transformers import AutoTokenizer, PreTrainedTokenizerBase
    from transformers.tokenization_utils_tokenizers import TokenizersBackend

    built: Any = AutoTokenizer.from_pretrained(
        folder, local_files_only=True, trust_remote_code=trust_remote_code, **arguments
    )
    kind = type(built)
    if not isinstance(built, TokenizersBackend):
        raise ModelError(
            f"{folder}: its tokeniser {kind.__name__} is none of the tokenizers "
            "library, which is what is run here"
        )
    for method in _CALLED:
        plain = getattr(TokenizersBackend, method, None)
        plain = plain or getattr(PreTrainedTokenizerBase, method, None)
        if getattr(kind, method, None) is not plain:
            raise ModelError(
                f"{folder}: its tokeniser {kind.__name__} has a {method} of its own, "
                "which is not run here"
            )
    backend: Tokenizer = built.backend_tokenizer
    return backend, built.truncation_side == "left"
