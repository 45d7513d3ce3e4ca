"""What the commands that train have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearfield.cli.console import emit_json, out

if TYPE_CHECKING:
    from nearfield.types.verdict import Verdict

NO_GUARD = "none"
Guards = Annotated[
    list[str] | None,
    typer.Option(
        "--guard",
        help="What must not get worse: a collection or scored pairs. Repeatable; none for no "
        "guard, pydoc-topics when not given.",
    ),
]
AllowErrors = Annotated[
    list[str] | None,
    typer.Option(
        "--allow",
        help="Go on in spite of this error of the data doctor, or trained-on. Repeatable.",
    ),
]
RecipeFile = Annotated[
    Path | None,
    typer.Option(help="A TOML file with what should differ from the default recipe."),
]
RunTo = Annotated[Path, typer.Option(metavar="FOLDER", help="The run folder.")]


def guards_of(given: list[str] | None) -> Sequence[str] | None:
    """The guards that --guard names, None for the built-in one."""
    if given == [NO_GUARD]:
        return ()
    return given or None


def show_trained(
    folder: Path,
    verdict: Verdict | None,
    *,
    json: bool,
    made: str = "model",
    facts: Mapping[str, Any] | None = None,
    said: str = "",
) -> None:
    """Print the comparison, what is `said` besides, the verdict, and where the part `made` lies; as
    JSON `facts` stand beside them.
    """
    from nearfield.report.decode import Place, decode
    from nearfield.report.table import comparison_table, verdict_panel
    from nearfield.store.fields import read_json
    from nearfield.types.comparison import Comparison

    comparison = None
    path = folder / "comparison.json"
    if path.is_file():
        comparison = decode(Comparison, read_json(path), Place(path))
    path = folder / made
    if json:
        run = {"run": folder, made: path, "verdict": verdict, "comparison": comparison}
        emit_json(run | dict(facts or {}))
        return
    if comparison is not None:
        out.print(comparison_table(comparison))
    if said:
        out.print(said, markup=False, highlight=False)
    if verdict is None:
        out.say("no verdict: there are no judged test queries")
    else:
        out.print(verdict_panel(verdict, comparison))
    out.say(f"{made:7} {path}")
