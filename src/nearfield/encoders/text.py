"""Encoder for text models: tokenises, batches and runs them."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, reduce
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfield.batch.late_tokens import LateTokens
from nearfield.batch.tokens import Tokeniser, Tokens
from nearfield.data.trained_on import TrainedOn
from nearfield.encoders.collect import chunks, collect, warn_of_truncation
from nearfield.encoders.encoder import E, Encoder, places_by_role, refuse_images, refuse_one_text
from nearfield.errors import ContractError, InputError
from nearfield.formats.model_folder import ModelFolder, read_model_folder
from nearfield.formats.remote_code import described
from nearfield.models.heads import HEADS
from nearfield.models.tokeniser import tokeniser_of
from nearfield.runtimes.choose import open_runtime
from nearfield.runtimes.options import DEFAULTS, OpenOptions
from nearfield.runtimes.runtime import Runtime
from nearfield.similarity import EMBEDDINGS
from nearfield.store.fingerprint import OpenedFiles
from nearfield.types.arrays import Floats, Integers, Positions
from nearfield.types.contract import Contract
from nearfield.types.figures import worded
from nearfield.types.progress import Progress, silent
from nearfield.types.role import QUERY, Role

if TYPE_CHECKING:
    from nearfield.encoders.adapter import Adapter
    from nearfield.encoders.token_parts import TokenParts

log = logging.getLogger(__name__)


class TextEncoder(Encoder[E]):
    """Contract, tokeniser and a runtime of a model folder.

    `batch_tokens` bounds the tokens of one call of the runtime, by default at what is fastest for
    it. `why` says in words why it is this runtime, where that was left open. `adapter` maps the
    vectors of its role.
    """

    def __init__(
        self,
        folder: ModelFolder,
        runtime: Runtime,
        *,
        batch_tokens: int | None = None,
        why: str = "",
        adapter: Adapter | None = None,
    ) -> None:
        # a model that was converted has no more places than it was converted for
        self.folder = folder = folder.within(runtime.places)
        self.contract = folder.contract
        self.adapter = adapter
        if adapter is not None:
            adapter.check(folder.contract)
            self.contract = replace(folder.contract, name=f"{folder.contract.name} adapted")
        self.runtime = runtime
        self._batch_tokens = batch_tokens
        self.why = why
        self._opened = OpenedFiles(folder.path)
        self.tokeniser = tokeniser_of(folder)
        self.late: LateTokens | None = None
        if folder.late is not None:
            self.late = LateTokens(folder.late, self.tokeniser, folder.transformer)
        self._query_terms: Tokeniser | None = None
        if folder.queries is not None:
            table = folder.queries
            self._query_terms = Tokeniser.open(
                table.folder, max_tokens=table.max_tokens, specials=False
            )

    @classmethod
    def open(
        cls,
        path: str | Path,
        options: OpenOptions = DEFAULTS,
        *,
        batch_tokens: int | None = None,
        changes: Mapping[str, Any] = MappingProxyType({}),
    ) -> TextEncoder[Any]:
        """The encoder in a model folder, with `changes` of its contract. The files of code that the
        folder names, where the options trust it, are logged.

        Raises ModelError and ContractError as `read_model_folder`, `choose` and the runtime do, and
        ContractError for changes of what is no dense model or pools nothing.
        """
        folder = read_model_folder(path, trust_remote_code=options.trust_remote_code)
        if changes:
            folder = _changed(folder, changes)
        if folder.code:
            log.warning("%s: runs code of its own: %s", folder.path, described(folder.code))
        # before the weights are read: files that change meanwhile are no longer the model's
        opened = OpenedFiles(folder.path)
        runtime, why = open_runtime(folder, options)
        encoder = cls(folder, runtime, batch_tokens=batch_tokens, why=why)
        encoder._opened = opened
        return encoder

    @property
    def batch_tokens(self) -> int:
        """The most tokens of one call of the runtime."""
        return self._batch_tokens or self.runtime.batch_tokens

    @property
    def precision(self) -> str:
        """The runtime's precision."""
        return self.runtime.precision

    @property
    def identity(self) -> dict[str, str] | None:
        """None where the weights are others than the folder's: they were trained, or the folder was
        written to since it was opened.
        """
        ran = self.runtime.identity
        if ran is None:
            return None
        files = self._opened.hash
        if files is None:
            return None
        own = {"files": files} | ran
        if self.folder.adapters:
            own["adapters"] = "by role"
        if self.adapter is not None:
            own["adapter"] = self.adapter.files
        return own

    @cached_property
    def trained_on(self) -> TrainedOn:
        """What the model's folder says, and that of its adapter."""
        own = TrainedOn.read(self.folder.path)
        return own if self.adapter is None else own | self.adapter.trained_on

    def tokenise(
        self, items: Sequence[str], role: Role, *, max_tokens: int | None = None
    ) -> Tokens:
        """Token ids of the items with the role's prompt before each, at most `max_tokens` (the
        contract's by default) each.

        Raises ContractError where the prompt fills them all and is not pooled, so that nothing
        would be left of any item, and InputError where the items are not texts.
        """
        refuse_one_text(items)
        for at, item in enumerate(items):
            if not isinstance(item, str):
                raise InputError(f"item {at} is {item!r}; wanted a text")
        refuse_images(items, self.contract.name)
        items = [worded(item) for item in items]
        prompt = self.contract.prompt(role)
        if role == QUERY and self._query_terms is not None:
            # a query of a model without inference for it: terms with a weight in a table
            terms = self._query_terms.tokenise(items, prompt, max_tokens=max_tokens)
            return replace(terms, looked_up=True)
        # a caller may ask for fewer tokens than the model reads, never for more
        limit = min(max_tokens or self.contract.max_tokens, self.contract.max_tokens)
        most = limit if self.late is None else self.late.limit(role, limit)
        tokens = self.tokeniser.tokenise(items, prompt, max_tokens=most)
        if self.late is not None:
            tokens = self.late.marked(tokens, role)
        if tokens.prompt_tokens >= limit and not self.contract.include_prompt:
            raise ContractError(
                f"{self.contract.name}: the prompt of role {role!r} has {tokens.prompt_tokens} "
                f"tokens and the model reads {limit}; as "
                "prompts are not pooled, nothing would be left to pool. Shorten the prompt or "
                "raise the limit."
            )
        number = self.folder.adapter(role)
        if number is None:
            return tokens
        return replace(tokens, columns={**tokens.columns, "adapters": np.full(len(items), number)})

    def count_tokens(self, items: Sequence[str]) -> Integers:
        """(n,) tokens of each item, without prompt, before any truncation."""
        return self.tokeniser.count([worded(item) for item in items])

    def token_starts(self, text: str) -> list[int]:
        starts = [start for start, _, _ in self.tokeniser.pieces([text])[0]]
        return sorted(starts)  # as a normaliser may swap characters

    def room(self, role: Role) -> int:
        around = sum(map(len, self.tokeniser.around()))
        return max(1, self.contract.max_tokens - around - self.prompt_cost(role))

    def names(self, terms: Sequence[int]) -> list[str]:
        """The vocabulary's tokens."""
        return [self.tokeniser.token_of(term) for term in terms]

    def read(self, item: str, role: Role) -> list[str] | None:
        """The tokens of the item and of the role's prompt that have a vector."""
        tokens = self.tokenise([item], role)
        # what is masked out has no vector, nor have the tokens that the head skips
        ids = tokens.ids[tokens.filled("counted")]
        first = HEADS[self.folder.head_name].skips
        return [self.tokeniser.token_of(id_) for id_ in ids[first:].tolist()]

    @cached_property
    def _parts(self) -> TokenParts:
        from nearfield.encoders.token_parts import TokenParts  # with torch

        return TokenParts(self.folder)

    def token_parts(self, item: str, role: Role) -> tuple[list[str], Floats] | None:
        if self.adapter is not None or self.identity is None or not self._parts.linear:
            return None
        ids, parts = self._parts.of(self.tokenise([item], role))
        return [self.tokeniser.token_of(id_) for id_ in ids], parts

    @property
    def roles_differ(self) -> bool:
        beside = (self.folder.adapters, self.folder.queries, self.late, self.adapter)
        return super().roles_differ or any(beside)

    def encode_as(self, role: Role, items: Sequence[str], *, progress: Progress = silent) -> E:
        """Batches are cut by length within chunks of 8,192 items."""
        parts = chunks(len(items), lambda chunk: self.tokenise(items[chunk], role))
        return self._collected(parts, len(items), {role: np.arange(len(items))}, progress)

    def encode_mixed(
        self, items: Sequence[str], roles: Sequence[Role], *, progress: Progress = silent
    ) -> E:
        """Items of all roles share batches, each with its role's prompt and through its role's
        adapter; those with prompts of different lengths that are not pooled don't.
        """
        places = places_by_role(items, roles)
        made = []
        # a batch skips one number of tokens in pooling, and holds either terms or tokens
        alike = set()
        for role, at in places.items():
            tokens = self.tokenise([items[place] for place in at], role)
            skipped = None if self.contract.include_prompt else tokens.prompt_tokens
            alike.add((tokens.looked_up, skipped))
            made.append(tokens)
        parts = list(zip(places.values(), made, strict=True))
        if len(alike) == 1:
            together = reduce(Tokens.followed_by, made)
            parts = [(np.concatenate(list(places.values())), together)]
        return self._collected(parts, len(items), places, progress)

    def instructed(self, task: str, *, role: Role = QUERY) -> TextEncoder[E]:
        """The same model told its task in words: items of `role` get the contract's template with
        `task` in it as their prompt.

        Raises ContractError where the contract has no template for the role.
        """
        return self.under(self.contract.instructed(role, task))

    def under(self, contract: Contract) -> TextEncoder[E]:
        """The same model with the prompts of `contract`, which is its own in all else. Raises
        ContractError where it is not.
        """
        if replace(contract, prompts={}) != replace(self.contract, prompts={}):
            raise ContractError(
                f"{self.contract.name}: only the prompts of a model that is open can be changed; "
                "open it under the contract"
            )
        # shallow: both share the tokeniser, the runtime and its weights
        other = copy.copy(self)
        other.contract = contract
        return other

    def prompt_cost(self, role: Role) -> int:
        """How many tokens the prompt of `role` adds to each item."""
        return self.tokeniser.prompt_cost(self.contract.prompt(role))

    def _collected(
        self,
        parts: Iterable[tuple[Positions, Tokens]],
        count: int,
        roles: Mapping[Role, Positions],
        progress: Progress,
    ) -> E:
        """The embeddings of `count` items whose tokens come in `parts`, each with their places;
        `roles` says which items are of each.
        """
        found = collect(
            self.runtime,
            parts,
            count,
            batch_tokens=self.batch_tokens,
            name=self.contract.name,
            progress=progress,
        )
        warn_of_truncation(found.usage, self.contract, "texts")
        embeddings: Any = found.embeddings
        if self.adapter is not None:
            own = found.embeddings.as_dense("an adapter")
            embeddings = self.adapter.behind_each(own, roles)
        prompted = sum(self.prompt_cost(role) * len(at) for role, at in roles.items())
        usage = replace(found.usage, prompt_tokens=prompted)
        made: E = replace(embeddings, usage=usage, counts=found.counts)
        return made


def _changed(folder: ModelFolder, changes: Mapping[str, Any]) -> ModelFolder:
    contract = folder.contract
    pools = EMBEDDINGS[contract.kind].one_vector
    if folder.static and "pooling" in changes:
        pools = False
    if not pools:
        raise ContractError(
            f"{folder.path}: makes {contract.kind} vectors that it does not pool by a contract; "
            f"leave out {', '.join(changes)}"
        )
    return replace(folder, contract=replace(contract, **changes))
