"""A model folder with another head on the same backbone: a place to train it from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nearfield.data.trained_on import keep_trained_on
from nearfield.errors import InputError, ModelError
from nearfield.formats.model_folder import ModelFolder, read_model_folder
from nearfield.models.find import model_path
from nearfield.registry import Registry
from nearfield.similarity import EMBEDDINGS
from nearfield.store.atomic import check_replaceable, staged_folder, write_json
from nearfield.types.progress import Progress, silent

DIM = 128  # of a token's vector: Khattab and Zaharia 2020, section 4


@dataclass(frozen=True)
class HeadOptions:
    """What may be asked of a new head; a head refuses what means nothing to it.

    `dim`: dimensions of a token's vector. `inference_free`: queries of a sparse model are looked
    up, not run through the transformer, and a term begins with a weight that rises with its inverse
    document frequency among `texts` (without texts, all with the same). `max_terms`: how many terms
    a sparse vector keeps at most.
    """

    dim: int | None = None
    inference_free: bool = False
    texts: Sequence[str] = ()
    max_terms: int | None = None

    def token_dim(self, hidden: int) -> int:
        """The dimensions of a token's vector, of states of `hidden`. Raises InputError for more."""
        dim = min(DIM, hidden) if self.dim is None else self.dim
        if not 0 < dim <= hidden:
            raise InputError(
                f"a token's vector of {dim} dimensions was asked for; wanted 1 to "
                f"{hidden}, those of the backbone's states"
            )
        return dim

    def refuse(self, head: str, *keys: str) -> None:
        """Raise InputError where one of `keys` was asked for, which `head` cannot give."""
        for key in keys:
            value = getattr(self, key)
            if value is not None and value is not False:
                raise InputError(f"the head {head!r} has no {key.replace('_', '-')}; leave it out")


FILE = "head.json"
ALSO = {
    "multi-vector": "late-interaction",
    "colbert": "late-interaction",
    "sparse": "splade",
    "several": "three",
    "bge-m3": "three",
}
"""What the heads are called elsewhere, for a message to name ours."""
PLAIN = HeadOptions()
Writer = Callable[[ModelFolder, Path, str, HeadOptions, Progress], None]
"""Takes the model, an empty folder, the new model's name and the options."""
NEW_HEADS: Registry[Writer] = Registry(
    "new head",
    {
        "late-interaction": "nearfield.models.surgery.new_late_interaction:write_late_interaction",
        "splade": "nearfield.models.surgery.new_splade:write_splade",
        "three": "nearfield.models.surgery.new_three:write_three",
    },
)


def new_head(
    model: str | Path,
    head: str,
    *,
    to: str | Path,
    name: str | None = None,
    options: HeadOptions = PLAIN,
    progress: Progress = silent,
) -> ModelFolder:
    """Write the dense model called `model`, of the catalog or a folder, with a new `head` to the
    folder `to`, and return that.

    It is called `name`, by default the model's name and the head's. Whole or not at all. Raises
    InputError for an unknown head or an option that it lacks, and where something is at `to` that
    was not made so; ModelError for a model whose backbone cannot have it, StorageError when writing
    fails.
    """
    if head in ALSO:
        raise InputError(f"there is no new head {head!r}. Did you mean {ALSO[head]!r}?")
    write = NEW_HEADS[head]
    source = read_model_folder(model_path(model))
    if source.static or not EMBEDDINGS[source.contract.kind].one_vector:
        kind = "static" if source.static else source.contract.kind
        raise ModelError(
            f"{source.path}: can only add a head to a dense transformer model; this one is {kind}"
        )
    source.refuse_adapters("a new head is trained without them")
    check_replaceable(to, marker=FILE, what="a model with a new head")
    with staged_folder(to) as stage:
        write(source, stage, name or f"{source.contract.name}-{head}", options, progress)
        keep_trained_on([source.path], stage)
        write_json(stage / FILE, {"format": 1, "head": head, "model": source.contract.name})
    return read_model_folder(to)
