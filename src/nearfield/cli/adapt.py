"""`nearfield adapt`: a small map of query vectors, so that the stored documents stay as
they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield.cli.console import FORMATS, Json, emit_json, out, progress_bar
from nearfield.cli.opened import Allow
from nearfield.errors import InputError

if TYPE_CHECKING:
    from nearfield.data.collection import Collection
    from nearfield.train.data.frozen import FrozenVectors


def adapt(
    on: Annotated[
        str,
        typer.Option(
            "--on", help=f"{FORMATS}; with the splits train, dev and test, or one split to cut."
        ),
    ],
    to: Annotated[Path, typer.Option(help="The folder that the adapter is written to.")],
    model: Annotated[
        str | None,
        typer.Argument(
            help="A model of the catalog or a model folder; none where both vectors are given."
        ),
    ] = None,
    documents: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Stored document vectors, used as they are."),
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Query vectors of a model that only an API has."),
    ] = None,
    kind: Annotated[str, typer.Option(help="linear, low-rank or mlp.")] = "linear",
    width: Annotated[
        int, typer.Option(help="The rank of low-rank, the hidden width of mlp.", min=1)
    ] = 64,
    epochs: Annotated[int, typer.Option(help="Passes over the training pairs.", min=1)] = 30,
    allow: Allow = None,
    json: Json = False,
) -> None:
    """Train a map of query vectors against document vectors that stay as they are, and say what it
    gains on the test split.

    No model is needed, only vectors: a folder by `nearfield encode`, or `vectors.npy` with
    `ids.jsonl` from anywhere. An adapter of a model then goes by its folder in place of a model's
    name: in `search`, also over the documents' vectors as they are, and in `evaluate`.

    Examples:

        nearfield adapt minilm --on stdlib --to adapters/stdlib
        nearfield adapt minilm --on my-data --documents vectors/documents --to adapters/mine
        nearfield adapt --on my-data --documents api/documents --queries api/queries --kind mlp --to
            adapters/api
    """
    from nearfield.data.kept_split import with_all_splits, with_enough_dev
    from nearfield.data.open import open_collection
    from nearfield.models.vector_map import MapConfig
    from nearfield.store.atomic import check_replaceable
    from nearfield.train.runs.adapt import adapt as run
    from nearfield.train.runs.adapt import save_adaptation
    from nearfield.train.runs.adapter import AdapterRecipe

    check_replaceable(to, marker="adapter.json", what="an adapter's folder")
    recipe = AdapterRecipe(kind=kind, width=width, epochs=epochs)
    MapConfig(kind, 1, 1, width)  # an unknown kind is said before anything is encoded
    collection, notes = with_enough_dev(
        *with_all_splits(open_collection(on), seed=recipe.seed), seed=recipe.seed
    )
    vectors = _vectors(model, collection, documents, queries)
    with progress_bar("training the adapter") as progress:
        found = run(vectors, recipe, allow=allow or (), progress=progress)
    facts: dict[str, object] = {
        "model": vectors.name,
        "collection": collection.name,
        "notes": [*notes, *found.notes],
        **_source(model),
    }
    save_adaptation(found, to, facts=facts, recipe=recipe)
    if json:
        emit_json(
            {
                "adapter": to,
                "share": found.share,
                "verdict": found.verdict,
                "comparison": found.comparison,
            }
        )
        return
    from nearfield.report.table import comparison_table, verdict_panel

    out.print(comparison_table(found.comparison))
    out.print(verdict_panel(found.verdict, found.comparison))
    if not found.share:
        out.print(
            "dev was best without a map: the adapter is the identity.",
            style="yellow",
            highlight=False,
        )
    out.say(f"adapter {to}")


def _source(model: str | None) -> dict[str, str]:
    """What opens the adapter's model again, and the hash by which that is seen to be the same;
    nothing for vectors from files.
    """
    if model is None:
        return {}
    from nearfield.encoders.load import known_files
    from nearfield.encoders.spec import ModelSpec
    from nearfield.models.find import model_path
    from nearfield.store.fingerprint import model_hash

    return {
        "source": str(Path(model).resolve()) if Path(model).exists() else model,
        "files": known_files(ModelSpec.parse(model).name) or model_hash(model_path(model)),
    }


def _vectors(
    model: str | None, collection: Collection, documents: Path | None, queries: Path | None
) -> FrozenVectors:
    from nearfield.train.data.frozen import FrozenVectors, stored_vectors

    if model is None:
        if documents is None or queries is None:
            raise InputError(
                "name a model, or give both --documents and --queries: an adapter is "
                "trained on vectors of both"
            )
        return FrozenVectors.read(documents, queries, collection)
    if queries is not None:
        raise InputError(
            f"queries are encoded by {model}; leave out --queries, or leave out the model"
        )
    from nearfield.encoders.load import load
    from nearfield.retrieval.vector_folder import VectorFolder

    stored, folder = None, None
    if documents is not None:
        stored = stored_vectors(documents, collection.document_ids, "document")
        folder = VectorFolder.of(documents, model)
    encoder = load(model)
    if folder is not None:
        folder.check(encoder)
    with progress_bar(f"encoding with {model}") as progress:
        return FrozenVectors.of(encoder, collection, documents=stored, progress=progress)
