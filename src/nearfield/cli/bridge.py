"""`nearfield bridge`: an old model's vectors carried into a new model's space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from nearfield.cli.console import Json, progress_bar
from nearfield.cli.opened import Device, On
from nearfield.cli.shell.trained import AllowErrors, Guards, RunTo, guards_of, show_trained


def bridge(
    old: Annotated[str, typer.Argument(help="The model whose vectors are stored.")],
    new: Annotated[str, typer.Argument(help="The model that queries are to be asked with.")],
    on: On,
    to: RunTo,
    sample: Annotated[
        int, typer.Option(help="Documents that both models embed to fit the map.", min=32)
    ] = 2000,
    width: Annotated[
        int,
        typer.Option(help="Hidden units beside the linear map; 0 for the linear map alone.", min=0),
    ] = 1024,
    guard: Guards = None,
    allow: AllowErrors = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Fit a map from the old model's vectors to the new one's, so that a corpus is searched with
    the new model before it is embedded again.

    No labels are needed to fit it. It is measured on judged test queries against the old model and
    against the corpus embedded again by the new one, also with a part of the corpus done.

    Examples:

        nearfield bridge bge-small mpnet --on my-data --to runs/to-mpnet
        nearfield bridge ./old ./new --on my-data --to runs/to-new --width 0 --json
    """
    from nearfield.store.fields import read_json
    from nearfield.train.fits.bridge import BridgeRecipe
    from nearfield.train.runs.bridge import FACTS, MAP
    from nearfield.train.runs.bridge import bridge as run
    from nearfield.train.setting import Setting

    verdict = run(
        old,
        new,
        on,
        to=to,
        recipe=BridgeRecipe(width=width, sample=sample),
        guards=guards_of(guard),
        allow=allow or (),
        setting=Setting(progress_bar, device=device),
    )
    facts = read_json(to / f"{FACTS}.json") if verdict else {}
    show_trained(to, verdict, facts=facts, said=_worth(facts), json=json, made=MAP)


def _worth(facts: Mapping[str, Any]) -> str:
    """What the map keeps, in words."""
    from nearfield.types.numbers import estimated
    from nearfield.types.verdict import Estimate

    if not facts:
        return ""
    recall = estimated(Estimate(**facts["recall"]))
    lines = [
        f"fitted on {facts['fitted_on']:,} documents",
        f"recall of the ten best of the re-embedded corpus: {recall}",
    ]
    if facts["kept"] is not None:
        lines.append(f"measure: {facts['kept']:.1%} of what the re-embedded corpus gives")
    if facts["regained"] is not None:
        lines.append(
            "of what is lost when new queries meet the old vectors as they are, "
            f"{facts['regained']:.1%} is regained"
        )
    return "\n".join(lines)
