"""What every command does before its work and after it: names that cannot be right are refused
before anything heavy is loaded, and the next step is shown.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from typer.core import TyperCommand

from nearfield.cli.console import show_next
from nearfield.cli.shell.columns import RESTATED, TAKING, restated
from nearfield.cli.shell.trained import NO_GUARD
from nearfield.errors import InputError

TRAINING = ("pretrain", "tune", "reranker", "adapt", "bridge", "distil")
"""The commands that load torch before they look at what they were given."""
MODELS = ("model", "old", "new")
SOURCES = ("on", "pairs", "guard")
LEXICAL = ("bm25", "tfidf")

NEXT: Mapping[str, str] = {
    "data show": "nearfield data check {source}",
    "data import": "nearfield data check {target}",
    "data split": "nearfield evaluate minilm --on {target}",
    "data check": "nearfield evaluate minilm --on {source}",
    "chunk": 'nearfield search {to} "your question"',
    "encode": 'nearfield search {source} "your question" --vectors {to}',
    "search": "nearfield evaluate {model} --on {collection}",
    "prompts": "nearfield evaluate {model} --on {on}",
    "mine": "nearfield tune {model} --on {source} --pairs {to} --to RUN",
    "pretrain": "nearfield evaluate {model} {to}/model --on {on}",
    "tune": 'nearfield search {on} "your question" --model {to}/model',
    "reranker": "nearfield evaluate minilm --on {on} --rerank {to}/model",
    "adapt": "nearfield evaluate {to}/adapter --on {on}",
    "distil": "nearfield evaluate {model} {to}/model --on YOUR-DATA",
    "models": "nearfield models suggest",
    "models list": "nearfield models suggest",
    "models suggest": "nearfield models get NAME",
    "models get": "nearfield evaluate {name} --on YOUR-DATA",
    "models show": "nearfield models get {name}",
    "models merge": "nearfield evaluate {to} --on YOUR-DATA",
    "models drop-layers": "nearfield evaluate {model} {to} --on YOUR-DATA",
    "models trim": "nearfield evaluate {model} {to} --on YOUR-DATA",
    "models quantise": "nearfield evaluate {model} {to} --on YOUR-DATA",
    "models sif": "nearfield evaluate {model} {to} --on YOUR-DATA",
    "models rotate": "nearfield evaluate {to} --dims 256,128,64 --on YOUR-DATA",
    "models head": "nearfield tune {to} --on YOUR-DATA",
    "models lexical": 'nearfield search {on} "your question" --model {to}',
    "models merge-adapter": "nearfield evaluate {to} --on YOUR-DATA",
    "cache show": "nearfield cache clear",
}
"""By a command's name, the usual command after it, with the values that it was given."""
UNSAID: Mapping[str, str] = {"model": "minilm", "to": "RUN"}


class Checked(TyperCommand):
    """A command that refuses wrong names first and ends with a line on the next step."""

    def invoke(self, ctx: Any) -> Any:
        name = command_name(ctx)
        if name in TRAINING:
            refuse_unknown(ctx.params)
        # for the line on the next step, which reads the same data
        RESTATED.set(restated(ctx))
        result = super().invoke(ctx)
        if name in NEXT and not ctx.params.get("json"):
            show_next(next_step(name, ctx.params))
        return result


def command_name(ctx: Any) -> str:
    """`models get`: the command's name behind those of its groups, without the program's."""
    names: list[str] = []
    while ctx.parent is not None:
        names.insert(0, ctx.info_name)
        ctx = ctx.parent
    return " ".join(names)


def next_step(name: str, given: Mapping[str, Any]) -> str:
    """The usual command after `name`, with what it was given, behind the data's name how that is
    read.
    """
    words = dict(UNSAID)
    for key, value in given.items():
        word = _word(value)
        if word:
            words[key] = word + RESTATED.get() if key in TAKING else word
    return NEXT[name].format_map(words)


def _word(value: object) -> str:
    """One value as a word of a command line; of several the first."""
    if isinstance(value, list | tuple):
        value = next(iter(value), None)
    if value is None:
        return ""
    return shlex.quote(str(value))


def refuse_unknown(given: Mapping[str, Any]) -> None:
    """Raise for a model that is neither a folder nor known, and for data that is not there, by the
    library's own errors.
    """
    from nearfield.data.open import recognise
    from nearfield.encoders.remote.address import Address
    from nearfield.encoders.spec import ModelSpec
    from nearfield.models.find import refuse_unknown_model

    for model in _texts(given, MODELS):
        # behind an API, there is no folder to look for
        if Address.parse(ModelSpec.parse(model).name) is not None:
            continue
        if model in LEXICAL:
            raise InputError(
                f"{model} has no weights to train; compare with it by nearfield evaluate {model}, "
                "or name a model that has: nearfield models"
            )
        refuse_unknown_model(ModelSpec.parse(model).name)
    for source in _texts(given, SOURCES):
        if source != NO_GUARD:
            recognise(source)


def _texts(given: Mapping[str, Any], names: tuple[str, ...]) -> list[str]:
    found: list[str] = []
    for name in names:
        value = given.get(name) or ()
        found += [value] if isinstance(value, str) else list(value)
    return found
