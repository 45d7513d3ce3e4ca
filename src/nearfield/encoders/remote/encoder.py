"""A model behind a vendor's API as an encoder."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np

from nearfield.encoders.encoder import Encoder, refuse_one_text
from nearfield.encoders.remote.address import Address
from nearfield.encoders.remote.client import Client, Got, Wanted
from nearfield.encoders.remote.known import contract_of, limits_of, price_of
from nearfield.encoders.remote.vendor import Asked
from nearfield.encoders.spec import ModelSpec
from nearfield.errors import ContractError, InputError, NearfieldWarning, TruncationWarning
from nearfield.similarity.dense import Dense
from nearfield.store.vector_cache import VectorCache
from nearfield.types.arrays import Floats, Integers
from nearfield.types.contract import Contract
from nearfield.types.forecast import Forecast
from nearfield.types.progress import Progress, silent
from nearfield.types.role import DOCUMENT, QUERY, Role
from nearfield.types.usage import Usage


class RemoteEncoder(Encoder[Dense]):
    """`client` asks for the vectors; `words` are the vendor's for the roles, and `dim` the length
    that it is asked for, None where it is left to the vendor.

    Each vector is in the vector cache as soon as it has come, so that a run that ended half-way
    pays for none twice. An empty text is not asked for and has the zero vector.
    """

    def __init__(
        self, client: Client, contract: Contract, words: Mapping[Role, str], dim: int | None = None
    ) -> None:
        self.client, self.contract, self.words, self.dim = client, contract, words, dim

    @classmethod
    def open(cls, spec: ModelSpec, address: Address) -> RemoteEncoder:
        """The encoder of a spec at its address.

        What the catalog knows of the model holds here, too: its dims, its prompts where the API
        puts none before a text, its price, its limits. The dim of an unknown model is that of the
        vector of one word. Warns with NearfieldWarning of an unknown model whose prompts, if it
        wants any, are put nowhere. Raises InputError without the vendor's key, ContractError for a
        spec with more than a dim, or with a dim that the model does not have.
        """
        if (spec.runtime, spec.precision, spec.device, spec.task) != (None,) * 4:
            raise ContractError(
                f"{spec.name}{spec.after}: how it runs is up to its server; wanted dim=N at most"
            )
        card = address.card
        client = Client(address, price=price_of(address), limits=limits_of(address))
        words = dict(client.vendor.roles)
        if words and card is not None:
            words |= card.roles
        contract = contract_of(spec, card)
        if words:
            contract = replace(contract, prompts=dict.fromkeys(words, ""), templates={})
        elif card is None:
            warnings.warn(
                f"{spec.name}: the catalog does not know it; texts are sent as they are, without "
                "the prompts that it may want",
                NearfieldWarning,
                stacklevel=3,
            )
        encoder = cls(client, contract, words, spec.dim)
        if card is None and spec.dim is None:
            encoder.contract = replace(contract, dim=encoder._measured_dim())
        return encoder

    @property
    def identity(self) -> dict[str, str]:
        return self.client.identity

    @property
    def roles_differ(self) -> bool:
        words = self.words.get(QUERY) != self.words.get(DOCUMENT)
        return words or super().roles_differ

    def count_tokens(self, items: Sequence[str]) -> Integers:
        """(n,) tokens of each item as the vendor counts them, or estimated."""
        return np.array(self.client.counter.count(items), np.int64)

    def forecast(self, items: Sequence[str], role: Role) -> Forecast:
        """What encoding the items would cost; those in the cache cost nothing."""
        keys = dict(zip(_keys(items), items, strict=True))
        held = self._held(role, list(keys))
        sent = self._sent(role, [text for key, text in keys.items() if key not in held])
        return self.client.forecast(sent.tokens, len(list(self.client.parts(sent.tokens))))

    def encode_as(self, role: Role, items: Sequence[str], *, progress: Progress = silent) -> Dense:
        """See `Encoder.encode`. `usage.tokens` are those billed for the items, now or before, each
        counted as often as it is there; `usage.seconds` is what asking took now. Raises as
        `Client.fetch` does.
        """
        refuse_one_text(items)
        keys = _keys(items)
        held = self._held(role, list(dict.fromkeys(keys)))
        missing: dict[bytes, tuple[int, str]] = {}
        for place, key in enumerate(keys):
            if key not in held:
                missing.setdefault(key, (place, items[place]))
        seconds = self._fetch(role, missing, held, progress) if missing else 0.0
        vectors = np.zeros((len(items), self.contract.dim), np.float32)
        counts = np.zeros((len(items), 3), np.int64)
        for place, key in enumerate(keys):
            vectors[place], counts[place] = held[key]
        usage = Usage(
            len(items),
            int(counts[:, 0].sum()),
            int((counts[:, 1] > 0).sum()),
            int(counts[:, 1].sum()),
            int(counts[:, 2].sum()),
            seconds,
            nothing_known=int((counts[:, 0] == 0).sum()),
        )
        progress(len(items), len(items))
        if usage.truncated:
            warnings.warn(
                f"{self.contract.name} reads {self.contract.max_tokens} tokens: "
                f"{usage.truncated:,} of {usage.items:,} texts were longer and lost "
                f"{usage.tokens_lost:,} tokens",
                TruncationWarning,
                stacklevel=4,
            )
        return Dense.under(self.contract, vectors, usage=usage, counts=counts[:, :2])

    def _fetch(
        self,
        role: Role,
        missing: Mapping[bytes, tuple[int, str]],
        held: dict[bytes, tuple[Floats, Integers]],
        progress: Progress,
    ) -> float:
        """Ask for the texts that are missing from `held`, and put them there and in the cache; the
        seconds that took.
        """
        keys = list(missing)
        sent = self._sent(role, [text for _, text in missing.values()])
        places = [place for place, _ in missing.values()]
        wanted = self._wanted(role, sent, places)
        kept = self._cache(role)

        def keep(got: Got) -> None:
            values = [self._finished(value) for value in got.values]
            some = [keys[place] for place in got.places]
            counts = np.array(
                [
                    (count, sent.lost[place], sent.prompt)
                    for place, count in zip(got.places, got.tokens, strict=True)
                ],
                np.int64,
            )
            held.update(zip(some, zip(values, counts, strict=True), strict=True))
            if kept is not None:
                kept.add(some, [value.tobytes() for value in values], counts)
            progress(len(held) - before, len(keys))

        before, started = len(held), time.perf_counter()
        try:
            self.client.fetch(wanted, list(self.client.parts(sent.tokens)), keep)
        finally:
            if kept is not None:
                kept.close()
        return time.perf_counter() - started

    def _wanted(self, role: Role, sent: _Sent, places: Sequence[int]) -> Wanted:
        vendor, model, word = self.client.vendor, self.client.address.model, self.words.get(role)

        def request(part: Sequence[int]) -> tuple[str, dict[str, object]]:
            return vendor.embedding(Asked(model, [sent.texts[at] for at in part], word, self.dim))

        return Wanted(
            "embed",
            sent.tokens,
            request,
            vendor.vectors,
            self.contract.dim or None,
            unit=vendor.unit,
            in_order=vendor.in_order,
            places=places,
        )

    def _finished(self, vector: Floats) -> Floats:
        """The vector as its contract has it."""
        length = np.linalg.norm(vector)
        # the last digits of a unit vector stay as they came
        if not self.contract.normalise or abs(length - 1) < 1e-4:
            return vector
        unit: Floats = (vector / length).astype(np.float32)
        return unit

    def _sent(self, role: Role, texts: Sequence[str]) -> _Sent:
        """What is sent for the texts, in their role."""
        prompt, counter = self.contract.prompt(role), self.client.counter
        whole = [prompt + text for text in texts]
        tokens, most = counter.count(whole), self.contract.max_tokens
        lost = [max(0, count - most) if counter.by else 0 for count in tokens]
        if any(lost) and not self.client.vendor.cuts:
            whole = [
                counter.cut(text, most) if over else text
                for text, over in zip(whole, lost, strict=True)
            ]
        added = counter.count([prompt])[0] if prompt else 0
        return _Sent(whole, [min(count, most) for count in tokens], lost, added)

    def _held(self, role: Role, keys: Sequence[bytes]) -> dict[bytes, tuple[Floats, Integers]]:
        """Vectors and counts of the texts that are in the cache, and of the empty one."""
        kept = self._cache(role)
        held = {_EMPTY: (np.zeros(self.contract.dim, np.float32), np.zeros(3, np.int64))}
        if kept is None:
            return held
        try:
            found = kept.find(keys)
        finally:
            kept.close()
        for at, record, counts in zip(found.items, found.records, found.counts, strict=True):
            held[keys[at]] = (np.frombuffer(record, np.float32), counts)
        return held

    def _cache(self, role: Role) -> VectorCache | None:
        facts = {"dim": str(self.contract.dim), "kind": self.contract.kind, "role": role}
        facts["prompt"] = self.contract.prompt(role)
        return VectorCache.open(self.identity | facts, model=self.contract.name)

    def _measured_dim(self) -> int:
        """The length of the vector of a word, which is asked for once."""
        kept = self._cache(DOCUMENT)
        key = _keys([_WORD])[0]
        found: list[Floats] = []
        try:
            if kept is not None:
                found = [np.frombuffer(each, np.float32) for each in kept.find([key]).records]
            if not found:
                sent = self._sent(DOCUMENT, [_WORD])
                wanted = replace(self._wanted(DOCUMENT, sent, [0]), width=None)
                self.client.fetch(wanted, [[0]], lambda got: found.extend(got.values))
                if kept is not None:
                    kept.add([key], [found[0].tobytes()], np.array([[*sent.tokens, 0, 0]]))
        finally:
            if kept is not None:
                kept.close()
        return len(found[0])


@dataclass(frozen=True)
class _Sent:
    """Texts with their prompt, which has `prompt` tokens; the `tokens` that are expected to be
    billed for each, and those that are `lost`.
    """

    texts: list[str]
    tokens: list[int]
    lost: list[int]
    prompt: int


_WORD = "dimensions"


def _keys(items: Sequence[str]) -> list[bytes]:
    """The hashes of the texts; of all that are empty the same. Raises InputError for an item that
    is none.
    """
    wrong = next((at for at, item in enumerate(items) if not isinstance(item, str)), None)
    if wrong is not None:
        raise InputError(f"item {wrong} is {items[wrong]!r}; wanted a text")
    return [_key(item if item.strip() else "") for item in items]


def _key(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


_EMPTY = _key("")
