"""What a model's prompts are worth: the same model with them, without them, and with a task."""

from __future__ import annotations

from collections.abc import Collection as Names
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from nearfield.data.collection import Split
from nearfield.encoders.text import TextEncoder
from nearfield.errors import ContractError
from nearfield.evaluate.compare import compare
from nearfield.evaluate.encode_pass import EncodePass, encode_documents, encode_queries
from nearfield.evaluate.measures import MEASURES
from nearfield.evaluate.systems import DEPTH, System, cut_system, cuts_of, truncation_notes
from nearfield.evaluate.trained import refuse_seen, trained_queries
from nearfield.similarity.embeddings import Embeddings
from nearfield.types.arrays import Doubles
from nearfield.types.comparison import Comparison
from nearfield.types.contract import Contract
from nearfield.types.progress import Progress, part_of, silent
from nearfield.types.role import DOCUMENT, QUERY
from nearfield.types.usage import Usage

NONE, OWN = "no prompt", "its prompts"


@dataclass(frozen=True)
class PromptCost:
    """Tokens that the prompts add to each query and to each document, and their shares of all
    tokens that are read of either.
    """

    query: int
    document: int
    query_share: float
    document_share: float


@dataclass(frozen=True)
class PromptsMeasured:
    """The uses of a model's prompts side by side, and what each costs, by the name of its row."""

    comparison: Comparison
    costs: dict[str, PromptCost]


def prompt_uses(contract: Contract, tasks: Sequence[str] = ()) -> dict[str, Contract]:
    """The contract in every use of its prompts that is compared, by name: without any, with its
    own, told each of `tasks` in words.

    Where queries and documents both have a prompt, also with the one's alone. Raises ContractError
    for a model without prompts that is told no task, and for a task that it takes none of.
    """
    # prompts of other roles stay, as no text is encoded in those here
    mute = {**contract.prompts, QUERY: "", DOCUMENT: ""}
    own = {role: contract.prompt(role) for role in (QUERY, DOCUMENT) if contract.prompt(role)}
    found = {NONE: replace(contract, prompts=mute)}
    if len(own) == 2:
        for role, prompt in own.items():
            found[f"{role}'s alone"] = replace(contract, prompts=mute | {role: prompt})
    if own:
        found[OWN] = contract
    for task in tasks:
        found[f"task: {task}"] = contract.instructed(QUERY, task)
    if len(found) == 1:
        takes = "state them in its nearfield.json"
        if contract.templates:
            takes = "give it a task with --task"
        raise ContractError(
            f"{contract.name} has no prompts, so there is nothing to leave out; {takes}"
        )
    return found


def measure_prompts(
    encoder: TextEncoder[Any],
    split: Split,
    *,
    tasks: Sequence[str] = (),
    measure: str = MEASURES[0],
    measures: Sequence[str] = MEASURES,
    allow: Names[str] = (),
    progress: Progress = silent,
) -> PromptsMeasured:
    """Each use of the prompts, on the split: the same documents and queries, each encoded once a
    different prompt.

    Raises ContractError as `prompt_uses` does, and InputError for queries that the model was
    trained on, unless `allow` holds "trained-on", before anything is encoded.
    """
    uses = prompt_uses(encoder.contract, tasks)
    refuse_seen({encoder.contract.name: encoder.trained_on}, split, allow=allow)
    seen = trained_queries(encoder.trained_on, split)
    told = {name: encoder.under(contract) for name, contract in uses.items()}
    documents = dict.fromkeys(contract.prompt(DOCUMENT) for contract in uses.values())
    made: dict[str, tuple[Embeddings, float | None]] = {}
    asked: dict[str, tuple[Embeddings, Doubles]] = {}
    systems = []
    costs = {}
    for name, use in told.items():
        prefix = use.contract.prompt(DOCUMENT)
        question = use.contract.prompt(QUERY)
        # uses that have a prompt in common share what was encoded with it
        if prefix not in made:
            part = part_of(progress, len(made), len(documents), name)
            made[prefix] = encode_documents(use, split, progress=part)
        if question not in asked:
            asked[question] = encode_queries(use, split)
        found, speed = made[prefix]
        queries, seconds = asked[question]
        encoded = EncodePass(split, found, queries, speed, seconds)
        systems.append(replace(_system(name, encoder.contract, encoded), trained_on=seen))
        costs[name] = _cost(use, encoded)
    comparison = compare(systems, split, measure=measure, measures=measures, allow=allow)
    return PromptsMeasured(comparison, costs)


def _system(name: str, contract: Contract, encoded: EncodePass) -> System:
    (cut,) = cuts_of(contract, (), ("float32",), None)
    notes = truncation_notes(name, encoded.documents.usage, contract)
    system = cut_system(encoded, cut, DEPTH, name=name, model=contract.name)
    return replace(system, notes=notes)


def _cost(use: TextEncoder[Any], encoded: EncodePass) -> PromptCost:
    return PromptCost(
        query=use.prompt_cost(QUERY),
        document=use.prompt_cost(DOCUMENT),
        query_share=_prompt_share(encoded.queries.usage),
        document_share=_prompt_share(encoded.documents.usage),
    )


def _prompt_share(usage: Usage) -> float:
    return min(usage.prompt_tokens / max(1, usage.tokens), 1.0)
