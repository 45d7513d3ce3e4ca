"""The known models as a table, and all that is known of one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nearfield.catalog.card import Api, Card
from nearfield.catalog.needs import dollars, weights_bytes
from nearfield.catalog.suggest import task_sets
from nearfield.report.reproduce import flat
from nearfield.report.table import Column, Fitted, column_of
from nearfield.similarity import EMBEDDINGS
from nearfield.types.contract import Contract
from nearfield.types.licence import allows_commercial_use
from nearfield.types.numbers import UNKNOWN, count, size
from nearfield.types.role import Role

Facts = dict[str, Any]
_COMMERCIAL = {True: ", commercial use allowed", False: ", commercial use forbidden", None: ""}


def model_table(
    cards: Sequence[Card], *, cached: Collection[str] = (), columns: Sequence[Column] = ()
) -> RenderableType:
    """The main facts of each card, with `columns` of the caller's behind the name; models in the
    cache are marked.
    """
    column = partial(column_of, cards)
    shown = (
        column("model", lambda card: f"{card.name}{' ●' * (card.name in cached)}", 9, right=False),
        *columns,
        column("kind", lambda card: card.kind, 6, right=False),
        column("weights", lambda card: parameters(card.parameters), 5),
        column("$/M tokens", _price, 5),
        column("dims", lambda card: count(card.contract.dim), 8),
        column("tokens", lambda card: count(card.contract.max_tokens), 7),
        column("languages", lambda card: languages(card.contract.terms.languages), 4, right=False),
        column("licence", _licence, 3, right=False),
    )
    return Fitted("", shown, best_first=False)


def parameters(number: int | None) -> str:
    """A number of parameters as the field writes it: 22.7 M, 7.11 B."""
    if number is None:
        return UNKNOWN
    if number >= 1e9:
        return f"{number / 1e9:.3g} B"
    return f"{number / 1e6:.3g} M"


def languages(spoken: tuple[str, ...]) -> str:
    """The languages in few characters: en; en, zh; 73; 18+ where more are claimed than listed."""
    if not spoken:
        return UNKNOWN
    listed = [language for language in spoken if language != "*"]
    short = ", ".join(listed) if len(listed) < 3 else count(len(listed))
    if "*" in spoken:
        return f"{short}+"
    return short


def card_page(card: Card, *, cached: bool) -> Iterator[RenderableType]:
    """All that a card says: what the model is, contract, prompts, terms, API, published scores,
    files and notes.
    """
    yield Text.assemble((card.name, "bold cyan"), f"  {card.summary}")
    what: Facts = {"kind": card.kind}
    files = {}
    if card.weights is not None:
        taken = weights_bytes(card)
        what |= {
            "hub": card.weights.hub,
            "revision": card.weights.revision or "the newest",
            "parameters": parameters(card.parameters),
            "weights": None if taken is None else f"{size(taken)} in float32",
            "in the cache": cached,
        }
        hashes = card.weights.files
        files = {file: f"SHA-256 {digest[:16]}…" for file, digest in hashes.items()}
        if not files:
            files = {"no hashes": "a download is checked against what the hub states"}
    sections = {"": what, **_contract(card.contract, card.roles, local=card.local)}
    if card.api is not None:
        sections["API"] = _api(card.api)
    yield from _sections(sections)
    if card.published:
        yield from _published(card)
    notes = {str(number): note for number, note in enumerate(card.notes, start=1)}
    yield from _sections({"Files": files, "Notes": notes})


def folder_page(folder: Path, contract: Contract) -> Iterator[RenderableType]:
    """The contract that a model's folder states, as a card's page shows a catalogued model's."""
    yield Text(contract.name, style="bold cyan")
    what = {"kind": contract.kind, "folder": str(folder)}
    yield from _sections({"": what, **_contract(contract, {}, local=True)})


def _price(card: Card) -> str:
    price = card.contract.terms.price_per_million_tokens
    return UNKNOWN if price is None else dollars(price)


def _licence(card: Card) -> str:
    if card.api is None:
        return card.contract.terms.licence or UNKNOWN
    # the terms of a model behind an API are its vendor's
    return card.api.provider


def _sections(facts: Mapping[str, Facts]) -> Iterator[RenderableType]:
    """A title and a line for each fact that is known, for each section that has any."""
    for title, values in facts.items():
        rows = flat(values)
        if not rows:
            continue
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(style="dim", no_wrap=True, min_width=12)
        table.add_column(overflow="fold")
        for key, value in rows.items():
            table.add_row(key, Text(value))
        yield Group(Text(f"\n{title}", style="bold"), table) if title else table


def _contract(contract: Contract, roles: Mapping[Role, str], *, local: bool) -> dict[str, Facts]:
    """The contract, each role's prompt with what the model calls the role, and the terms. The
    licence is that of the weights, so only a model that runs here has one.
    """
    similarity: str = contract.similarity
    if EMBEDDINGS[contract.kind].merges_tokens:
        similarity += ", each query token's best match summed (MaxSim)"
    terms = contract.terms
    spoken = [language for language in terms.languages if language != "*"]
    if "*" in terms.languages:
        spoken.append("and more that the makers do not list")
    licence = None
    if local:
        allowed = _COMMERCIAL[allows_commercial_use(terms.licence)]
        licence = f"{terms.licence or 'not known'}{allowed}"
    return {
        "Contract": {
            "dim": count(contract.dim),
            "Matryoshka": list(contract.matryoshka_dims) or "none trained",
            "max tokens": count(contract.max_tokens),
            "pooling": contract.pooling,
            "pooled with the prompt": contract.include_prompt,
            "normalise": contract.normalise,
            "layer norm before truncation": contract.layer_norm,
            "similarity": similarity,
        },
        "Prompts": _prompts(contract, roles),
        "Terms": {
            "languages": spoken or "not stated",
            "licence": licence,
            "price": _per_million(terms.price_per_million_tokens),
        },
    }


def _prompts(contract: Contract, roles: Mapping[Role, str]) -> Facts:
    prompts: Facts = {}
    for role in dict.fromkeys(("query", "document", *contract.prompts, *roles)):
        prompt = repr(contract.prompts[role]) if role in contract.prompts else "none"
        if roles.get(role):
            prompt += f", as {roles[role]}"
        prompts[role] = prompt
        if role in contract.templates:
            prompts[f"{role} template"] = repr(contract.templates[role])
    return prompts


def _api(api: Api) -> Facts:
    facts = {name.replace("_", " "): value for name, value in vars(api).items()}
    facts["batch price per million tokens"] = _per_million(api.batch_price_per_million_tokens)
    return facts


def _per_million(price: float | None) -> str | None:
    if price is None:
        return None
    return f"{dollars(price)} per million tokens"


def _published(card: Card) -> Iterator[RenderableType]:
    """The published scores, after the means of the sets of tasks that are published whole."""
    makers = "; ° in part or whole by its makers" if card.self_reported else ""
    title = f"Published: main scores of the MTEB results repository{makers}"
    yield Text(f"\n{title}", style="bold")
    means: Facts = {}
    for tasks in task_sets():
        scores = [card.published[task] for task in tasks.tasks if task in card.published]
        if len(scores) == len(tasks.tasks):
            means[f"{sum(scores) / len(scores):.4f}"] = f"mean of {tasks.name}, {len(scores)}"
    yield from _sections({"": means})
    marks = dict.fromkeys(card.self_reported, "°")
    lines = [f"{task} {score:.4f}{marks.get(task, '')}" for task, score in card.published.items()]
    yield Columns(map(Text, lines), padding=(0, 2))
