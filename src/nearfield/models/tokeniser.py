"""The tokeniser of a model folder, under its contract."""

from __future__ import annotations

from pathlib import Path

from nearfield.batch.open_tokenizer import told_types
from nearfield.batch.tokens import Tokeniser
from nearfield.errors import ModelError
from nearfield.formats.model_folder import ModelFolder
from nearfield.formats.static_folder import table_rows
from nearfield.store.fields import read_optional


def tokeniser_of(folder: ModelFolder) -> Tokeniser:
    """The tokeniser of a model folder under its contract. Raises ModelError where it cannot be read
    or is of another model.
    """
    limit = folder.contract.max_tokens
    if folder.static:
        tokeniser = Tokeniser.open_static(
            folder.transformer, max_tokens=limit, drop_unknown=folder.drops_unknown
        )
        rows = table_rows(folder.transformer)
        if tokeniser.size > rows:
            said = f"the tokeniser knows {tokeniser.size:,} tokens and there are {rows:,} vectors"
            raise ModelError(f"{folder.path}: {said}; one file is of another model")
        return tokeniser
    tokeniser = Tokeniser.open(
        folder.transformer,
        max_tokens=limit,
        lower_case=folder.lower_case,
        markers=() if folder.late is None else folder.late.markers,
        trust_remote_code=bool(folder.code),
    )
    _refuse_types(tokeniser, folder.transformer)
    return tokeniser


def _refuse_types(tokeniser: Tokeniser, transformer: Path) -> None:
    """Raise ModelError where the model would be told other types of a text's tokens than 0, which
    is what it is run with here.
    """
    types = tokeniser.types
    if not any(types):
        return
    known = read_optional(transformer / "config.json").integer("type_vocab_size", 2)
    if known >= 2 and told_types(transformer):
        raise ModelError(
            f"{transformer}: its tokeniser gives the tokens of a text the types "
            f"{', '.join(map(str, sorted(types)))}, and only 0 is run here; set type_id to 0 in "
            "tokenizer.json, or leave token_type_ids out of model_input_names in "
            "tokenizer_config.json"
        )
