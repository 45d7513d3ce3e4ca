"""`nearfield models` and its table of commands."""

from __future__ import annotations

from typing import Any

import typer

from nearfield.cli.models.catalog import catalog
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
        "head": "nearfield.cli.models.head:head",
        "lexical": "nearfield.cli.models.lexical:lexical",
        "merge-adapter": "nearfield.cli.models.merge_adapter:merge_adapter",
    },
)

models = typer.Typer(no_args_is_help=False)
models.callback(invoke_without_command=True)(catalog)
for _name in MODELS:
    models.command(_name)(MODELS[_name])
