"""`nearfield models` and its table of commands."""

from __future__ import annotations

from typing import Any

import typer

from nearfield.cli.models.catalog import catalog
from nearfield.cli.shell.columns import takes_data
from nearfield.registry import Registry

MODELS: Registry[Any] = Registry(
    "models command",
    {
        "list": "nearfield.cli.models.catalog:catalog",
        "show": "nearfield.cli.models.catalog:show",
        "get": "nearfield.cli.models.catalog:get",
        "suggest": "nearfield.cli.models.suggest:suggest",
        "merge": "nearfield.cli.models.algebra:merge",
        "drop-layers": "nearfield.cli.models.algebra:drop_layers",
        "trim": "nearfield.cli.models.algebra:trim",
        "quantise": "nearfield.cli.models.algebra:quantise",
        "sif": "nearfield.cli.models.algebra:sif",
        "rotate": "nearfield.cli.models.rotate:rotate",
        "head": "nearfield.cli.models.head:head",
        "join": "nearfield.cli.models.join:join",
        "centre": "nearfield.cli.models.centre:centre",
        "lexical": "nearfield.cli.models.lexical:lexical",
        "merge-adapter": "nearfield.cli.models.merge_adapter:merge_adapter",
    },
)
TAKE_DATA = ("merge", "drop-layers", "trim", "quantise", "sif", "head", "centre", "lexical")

models = typer.Typer(no_args_is_help=False)
models.callback(invoke_without_command=True)(catalog)
for _name in MODELS:
    _command = MODELS[_name]
    if _name in TAKE_DATA:
        _command = takes_data(_command)
    models.command(_name)(_command)
