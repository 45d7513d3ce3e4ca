"""All that the catalog, or a model folder, says of one model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nearfield.catalog.card import Card
from nearfield.evaluate.needs import dollars, weights_bytes
from nearfield.evaluate.shortlist import task_sets
from nearfield.report.catalog_list import parameters
from nearfield.similarity import EMBEDDINGS
from nearfield.types.contract import Contract, Terms
from nearfield.types.licence import allows_commercial_use
from nearfield.types.numbers import count, size
from nearfield.types.role import Role

Rows = list[tuple[str, str]]
_SOURCE = "main scores of the MTEB results repository"


def card_page(card: Card, *, cached: bool) -> Iterator[RenderableType]:
    """The card as a heading and a table for each part: what it is, contract, prompts, terms, API,
    published scores, files, notes.
    """
    yield Text.assemble((card.name, "bold cyan"), f"  {card.summary}")
    terms = _terms(card.contract.terms, local=card.local)
    parts = [
        ("", _what(card, cached)),
        ("Contract", _contract(card.contract)),
        ("Prompts", _prompts(card.contract, card.roles)),
    ]
    for title, rows in (*parts, ("Terms", terms), ("API", _api(card))):
        if rows:
            yield _part(title, _pairs(rows))
    yield from _published(card)
    if card.files:
        yield _part(
            "Files",
            _pairs([(file, f"SHA-256 {digest[:16]}…") for file, digest in card.files.items()]),
        )
    elif card.local:
        yield _part(
            "Files",
            Text(
                "no hashes here: a download is checked against what the hub states at the revision"
            ),
        )
    if card.notes:
        yield _part("Notes", *(Text(note) for note in card.notes))


def folder_page(folder: Path, contract: Contract) -> Iterator[RenderableType]:
    """The contract that a model's folder states, as a card shows a catalogued model's."""
    yield Text(contract.name, style="bold cyan")
    parts = [
        ("", [("kind", _kind(contract.kind)), ("folder", str(folder))]),
        ("Contract", _contract(contract)),
    ]
    for title, rows in (
        *parts,
        ("Prompts", _prompts(contract, {})),
        ("Terms", _terms(contract.terms, local=True)),
    ):
        yield _part(title, _pairs(rows))


def _part(title: str, *lines: RenderableType) -> RenderableType:
    return Group(*([Text(f"\n{title}", style="bold")] if title else []), *lines)


def _pairs(rows: Rows) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True, min_width=12)
    table.add_column(overflow="fold")
    for key, value in rows:
        table.add_row(key, Text(value))
    return table


def _kind(kind: str) -> str:
    return {"several": "dense, sparse and multi-vector in one pass"}.get(kind, kind)


def _what(card: Card, cached: bool) -> Rows:
    rows = [("kind", _kind(card.kind))]
    if card.hub is not None:
        taken = weights_bytes(card)
        weights = f", {size(taken)} in float32" if taken else ""
        rows += [
            ("hub", card.hub),
            ("revision", card.revision or "the newest"),
            ("parameters", f"{parameters(card.parameters)}{weights}"),
        ]
        rows.append(("in the cache", "yes" if cached else "no"))
    return rows


def _contract(contract: Contract) -> Rows:
    maxsim = ""
    if EMBEDDINGS[contract.kind].merges_tokens:
        maxsim = ", each query token's best match summed (MaxSim)"
    rows = [
        ("dim", count(contract.dim)),
        ("Matryoshka", ", ".join(map(count, contract.matryoshka_dims)) or "none trained"),
        ("max tokens", count(contract.max_tokens)),
        (
            "pooling",
            contract.pooling
            if contract.include_prompt
            else f"{contract.pooling}, without the prompt",
        ),
        ("normalise", "yes" if contract.normalise else "no"),
        ("similarity", contract.similarity + maxsim),
    ]
    return rows + (
        [("layer norm", "over the whole vector, before it is cut")] if contract.layer_norm else []
    )


def _prompts(contract: Contract, roles: Mapping[Role, str]) -> Rows:
    """Each role's prompt, template and, by `roles`, what the model itself calls the role."""
    rows = []
    for role in dict.fromkeys(("query", "document", *contract.prompts, *roles)):
        prompt = repr(contract.prompts[role]) if role in contract.prompts else "none"
        known_as = f", as {roles[role]}" if role in roles else ""
        rows.append((role, prompt + known_as))
        if role in contract.templates:
            rows.append(("  template", repr(contract.templates[role])))
    return rows


def _terms(terms: Terms, *, local: bool) -> Rows:
    listed = ", ".join(language for language in terms.languages if language != "*")
    spoken = (
        f"{listed} and more that the makers do not list"
        if "*" in terms.languages
        else listed or "not stated"
    )
    rows = [("languages", spoken)]
    if local:
        allowed = {True: "commercial use allowed", False: "commercial use forbidden", None: ""}[
            allows_commercial_use(terms.licence)
        ]
        rows.append(("licence", ", ".join(filter(None, [terms.licence or "not known", allowed]))))
    if terms.price_per_million_tokens is not None:
        rows.append(("price", f"{dollars(terms.price_per_million_tokens)} a million tokens"))
    return rows


def _api(card: Card) -> Rows:
    api = card.api
    if api is None:
        return []
    batch = (
        None
        if api.batch_price_per_million_tokens is None
        else f"{dollars(api.batch_price_per_million_tokens)} a million tokens"
    )
    limits = [
        None if limit is None else count(limit)
        for limit in (api.inputs_per_request, api.tokens_per_request, api.default_dim)
    ]
    facts = [
        ("provider", api.provider),
        ("model", api.model),
        ("inputs a request", limits[0]),
        ("tokens a request", limits[1]),
    ]
    facts += [("dim if not told", limits[2]), ("batch price", batch), ("prices of", api.as_of)]
    return [(key, value) for key, value in facts if value is not None]


def _published(card: Card) -> Iterator[RenderableType]:
    if not card.published:
        return
    mark = {task: "°" if task in card.self_reported else "" for task in card.published}
    means = [
        (
            f"{sum(card.published[task] for task in tasks.tasks) / len(tasks.tasks):.4f}",
            f"mean of {tasks.name}, {len(tasks.tasks)}",
        )
        for tasks in task_sets()
        if all(task in card.published for task in tasks.tasks)
    ]
    source = f"Published: {_SOURCE}" + (
        "; ° in part or whole by its makers" if card.self_reported else ""
    )
    yield _part(source, *([_pairs(means)] if means else []))
    yield Columns(
        [Text(f"{task} {score:.4f}{mark[task]}") for task, score in card.published.items()],
        padding=(0, 2),
    )
