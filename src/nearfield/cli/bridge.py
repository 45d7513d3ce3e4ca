"""`nearfield bridge`: an old model's vectors carried into a new model's space."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield.cli.console import Json, emit_json, out, progress_bar
from nearfield.cli.opened import Allow, On

if TYPE_CHECKING:
    from nearfield.data.collection import Collection
    from nearfield.train.data.frozen import FrozenVectors
    from nearfield.train.runs.bridging import Bridging

SHARES = (0.25, 0.5, 0.75)


def bridge(
    old: Annotated[str, typer.Argument(help="The model whose vectors are stored.")],
    new: Annotated[str, typer.Argument(help="The model that queries are to be asked with.")],
    on: On,
    to: Annotated[Path, typer.Option(help="The folder that the map is written to.")],
    split: Annotated[str, typer.Option(help="The split whose judged queries measure it.")] = "test",
    allow: Allow = None,
    sample: Annotated[
        int, typer.Option(help="Documents that both models embed to fit the map.", min=32)
    ] = 2000,
    width: Annotated[
        int,
        typer.Option(help="Hidden units beside the linear map; 0 for the linear map alone.", min=0),
    ] = 1024,
    json: Json = False,
) -> None:
    """Fit a map from the old model's vectors to the new one's, so that a corpus is searched with
    the new model before it is embedded again.

    No labels are needed to fit it. It is measured against the corpus embedded again by the new
    model: recall of its ten best, and the measure on judged queries, also with a part of the corpus
    done.

    Examples:

        nearfield bridge bge-small mpnet --on my-data --to bridges/mpnet
        nearfield bridge ./old ./new --on my-data --to bridges/new --width 0 --json
    """
    import numpy as np

    from nearfield.data.open import open_collection
    from nearfield.evaluate.judged_split import judged_split
    from nearfield.store.atomic import check_replaceable, staged_folder, write_json
    from nearfield.train.data.leakage import free_documents
    from nearfield.train.runs.bridge import BridgeRecipe
    from nearfield.train.runs.bridging import bridge as run

    check_replaceable(to, marker="bridge.json", what="a bridge's folder")
    collection = open_collection(on)
    judged_split(collection, split, on)
    sides = [_encoded(model, collection) for model in (old, new)]
    chosen = np.random.default_rng(0).permutation(free_documents(collection))[:sample]
    with progress_bar("fitting the bridge") as progress:
        found = run(
            *sides,
            sample=chosen,
            split=split,
            recipe=BridgeRecipe(width=width),
            shares=SHARES,
            allow=allow or (),
            progress=progress,
        )
    numbers = {
        "recall": found.recall,
        "regained": found.regained,
        "kept": found.kept,
        "comparison": found.comparison,
    }
    facts = {"old": old, "new": new, "collection": collection.name, "fitted_on": found.fitted_on}
    with staged_folder(to) as stage:
        found.vector_map.save(stage / "map")
        write_json(stage / "bridge.json", {"format": 1} | facts | numbers)
    if json:
        emit_json({"bridge": to} | facts | numbers)
    else:
        _show(found, to, found.fitted_on)


def _encoded(model: str, collection: Collection) -> FrozenVectors:
    from nearfield.encoders.load import load
    from nearfield.train.data.frozen import FrozenVectors

    with progress_bar(f"encoding with {model}") as progress:
        return FrozenVectors.of(load(model), collection, progress=progress)


def _show(found: Bridging, to: Path, fitted: int) -> None:
    from nearfield.report.table import comparison_table
    from nearfield.types.numbers import estimated

    out.print(comparison_table(found.comparison))
    config = found.vector_map.config
    kind = "a linear map" if config.kind == "linear" else f"a map with {config.width} hidden units"
    lines = [
        f"\n{kind}, fitted on {fitted:,} documents",
        f"recall of the ten best of the re-embedded corpus: {estimated(found.recall)}",
    ]
    if found.kept is not None:
        measure = found.comparison.measure
        lines.append(f"{measure}: {found.kept:.1%} of what the re-embedded corpus gives")
    if found.regained is not None:
        lines.append(
            "of what is lost when new queries meet the old vectors as they are, "
            f"{found.regained:.1%} is regained"
        )
    out.print("\n".join(lines), highlight=False)
    out.say(f"bridge {to}")
