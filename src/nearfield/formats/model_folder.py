"""A model folder: how sentence-transformers writes one, with `nearfield.json` beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nearfield.errors import ModelError
from nearfield.formats import LAYOUTS
from nearfield.formats.late_interaction import LateInteraction
from nearfield.formats.layout import open_files
from nearfield.formats.router import LookedUp
from nearfield.types.contract import Contract
from nearfield.types.role import Role


@dataclass(frozen=True)
class ModelFolder:
    """What the files of a model folder say.

    `layout` is its name in `LAYOUTS`. `transformer` is the folder of the backbone's files,
    `projections` those of Dense modules in order. `lower_case` asks for lower-casing on top of what
    the tokeniser does. `activation` is a SPLADE model's, relu or log1p_relu. `drops_unknown`: a
    static model's mean leaves out tokens that its vocabulary lacks. `late`: what of a text gets a
    vector in a multi-vector model. `adapters`: the folder of the LoRA adapter of each role that has
    one. `queries`: the table that a sparse model's queries are looked up in. `code`: files of the
    folder's own code, which loading it runs.
    """

    path: Path
    layout: str
    contract: Contract
    transformer: Path
    projections: tuple[Path, ...] = ()
    lower_case: bool = False
    activation: str = "relu"
    drops_unknown: bool = False
    late: LateInteraction | None = None
    adapters: Mapping[Role, Path] = field(default_factory=dict)
    queries: LookedUp | None = None
    code: tuple[Path, ...] = ()

    # a cross-encoder's folder, whose items are pairs, is another kind
    pairs = False

    @property
    def head_name(self) -> str:
        """The head that the files describe, by its name in nearfield.models.heads."""
        return LAYOUTS[self.layout].head

    @property
    def static(self) -> bool:
        """Whether it holds one vector per token, which is looked up, and no transformer."""
        return self.layout == "static"

    @property
    def adapter_folders(self) -> list[Path]:
        """The adapters' folders, each once; an adapter's number is its place here."""
        # sorted, so that the numbers are the same in every process
        return sorted(set(self.adapters.values()))

    def within(self, places: int | None) -> ModelFolder:
        """The same folder, whose texts have at most `places` tokens, where that is fewer than its
        files say.
        """
        if places is None or places >= self.contract.max_tokens:
            return self
        contract = dataclasses.replace(self.contract, max_tokens=places)
        late = None if self.late is None else self.late.within(places)
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
        if role in self.adapters:
            # roles may share a folder, and so a number
            return self.adapter_folders.index(self.adapters[role])
        return -1


def read_model_folder(path: str | Path, *, trust_remote_code: bool = False) -> ModelFolder:
    """The contract and the parts of the model folder at `path`; nothing of it is run here.

    Raises ModelError where the folder is missing or not a model's, or names code of its own that is
    not trusted; ContractError where its files leave open or contradict how the model is used, with
    the line of nearfield.json that would state it.
    """
    files = open_files(path, trusted=trust_remote_code)
    # there is always one: the last recognises whatever the others have not
    layout = next(name for name in LAYOUTS if LAYOUTS[name].recognises(files))
    return LAYOUTS[layout].read(files)


def contract_json(contract: Contract) -> dict[str, Any]:
    """What nearfield.json holds: the whole contract, so that it can be read back without
    guessing.
    """
    return {
        "format": 1,
        "contract": dataclasses.asdict(contract) | {"prompts": dict(contract.prompts)},
    }
