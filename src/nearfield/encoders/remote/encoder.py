"""A model behind a vendor's API as an encoder."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from nearfield.encoders.collect import warn_of_truncation
from nearfield.encoders.encoder import (
    Encoder,
    refuse_figures,
    refuse_images,
    refuse_one_text,
)
from nearfield.encoders.remote.address import Address
from nearfield.encoders.remote.answer import read_vector
from nearfield.encoders.remote.client import Client, Wanted
from nearfield.encoders.remote.images import as_text, image_client, shown
from nearfield.encoders.remote.kept import Kept, Value
from nearfield.encoders.remote.known import client_of, contract_of
from nearfield.encoders.spec import ModelSpec
from nearfield.encoders.vendors.vendor import Asked
from nearfield.errors import ContractError, InputError, NearfieldWarning
from nearfield.similarity.dense import Dense
from nearfield.store.vector_cache import text_hash
from nearfield.types.arrays import Floats, Integers
from nearfield.types.contract import Contract
from nearfield.types.figures import worded
from nearfield.types.forecast import Forecast
from nearfield.types.item import Item, is_image_url
from nearfield.types.progress import Progress, after, silent
from nearfield.types.role import DOCUMENT, IMAGE, QUERY, Role
from nearfield.types.usage import Usage

_WORD = "dimensions"
_EMPTY = text_hash("")


@dataclass(frozen=True)
class _Asked:
    """Items with these keys in the cache, and whom they are wanted of."""

    client: Client
    wanted: Wanted
    keys: list[bytes]

    @property
    def parts(self) -> list[list[int]]:
        """The places of the items of each request."""
        return list(self.client.parts(self.wanted.tokens, self.wanted.sizes))

    @property
    def forecast(self) -> Forecast:
        return self.client.forecast(self.wanted.tokens, len(self.parts))


class RemoteEncoder(Encoder[Dense]):
    """`client` asks for the vectors; `words` are the vendor's for the roles, and `dim` the length
    that it is asked for, None where it is left to the vendor. `images` asks for those of images,
    None where the model takes none.

    Each vector is in the vector cache as soon as it has come, so that a run that ended half-way
    pays for none twice. An empty text is not asked for and has the zero vector.
    """

    kind_of_model = "api"
    worth_caching = False

    def __init__(
        self,
        client: Client,
        contract: Contract,
        words: Mapping[Role, str],
        dim: int | None = None,
        *,
        images: Client | None = None,
    ) -> None:
        self.client = client
        self.images = images
        self.reads_images = images is not None
        self.contract = contract
        self.words = words
        self.dim = dim

    @classmethod
    def open(cls, spec: ModelSpec, address: Address) -> RemoteEncoder:
        """The encoder of a spec at its address.

        What the catalog knows of the model holds here, too: its dims, its prompts where the API
        puts none before a text, its price, its limits. The dim of an unknown model is that of the
        vector of one word. Warns with NearfieldWarning of an unknown model whose prompts, if it
        wants any, are put nowhere. Raises InputError without the vendor's key, ContractError for a
        spec with more than a dim, or with a dim that the model does not have.
        """
        if (spec.runtime, spec.precision, spec.device, spec.task) != (None,) * 4 or spec.changes:
            raise ContractError(
                f"{spec.name}{spec.after}: how it runs is up to its server; wanted dim=N at most"
            )
        card = address.card
        client = client_of(address)
        contract = contract_of(spec, card)
        images = image_client(address)
        words = dict(client.vendor.roles)
        if words:
            if card is not None:
                words |= card.roles
            prompts = dict.fromkeys(words, "")
            if images is not None:
                prompts[IMAGE] = ""
            contract = replace(contract, prompts=prompts, templates={})
        elif card is None:
            warnings.warn(
                f"{spec.name}: the catalog does not know it; texts are sent as they are, without "
                "the prompts that it may want",
                NearfieldWarning,
                stacklevel=3,
            )
        encoder = cls(client, contract, words, spec.dim, images=images)
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
        """(n,) tokens of each text as the vendor counts them, or estimated; an image has none."""
        texts = []
        for item in items:
            texts.append("" if is_image_url(item) else worded(item))
        return np.array(self.client.counter.count(texts), np.int64)

    def forecast(self, items: Sequence[Item], role: Role) -> Forecast:
        """What encoding the items would cost; those in the cache cost nothing."""
        texts = self._texts(role, items)
        missing = self._missing(texts, self._held(texts, role))
        whole = self.client.forecast([], 0)
        for each in self._asked(role, missing):
            whole += each.forecast
        return whole

    def encode_as(self, role: Role, items: Sequence[Item], *, progress: Progress = silent) -> Dense:
        """See `Encoder.encode`. `usage.tokens` are those billed for the items, now or before, each
        counted as often as it is there; `usage.seconds` is what asking took, now or before. Raises
        as `Client.fetch` does.
        """
        texts = self._texts(role, items)
        held = self._held(texts, role)
        missing = self._missing(texts, held)
        asked = list(self._asked(role, missing))
        # together, as each alone may be within what is left
        self.client.budget.afford([each.forecast for each in asked])
        done = 0
        for each in asked:
            told = after(progress, done, len(missing))
            kept = self._kept(role, each.client)
            # what has come of it is in the cache, also where this raises
            held |= kept.fetch(each.wanted, each.parts, each.keys, told)
            done += len(each.keys)
        seconds = self._kept(role).seconds(list(dict.fromkeys(map(_key, texts))))
        vectors = np.zeros((len(texts), self.contract.dim), np.float32)
        counts = np.zeros((len(texts), 3), np.int64)
        for place, text in enumerate(texts):
            vectors[place], counts[place] = held[_key(text)]
        if self.contract.normalise:
            self._normalise(vectors)
        progress(len(items), len(items))
        usage = replace(
            Usage.counted(counts),
            seconds=seconds,
            nothing_known=int((~vectors.any(1)).sum()),
            images=sum(map(is_image_url, texts)),
        )
        warn_of_truncation(usage, self.contract, "texts")
        return Dense.under(self.contract, vectors, usage=usage, counts=counts[:, :2])

    def _normalise(self, vectors: Floats) -> None:
        """Make vectors of unit length, in place, that are not."""
        lengths = np.linalg.norm(vectors, axis=1)
        # the last digits of a unit vector stay as they came
        far = (np.abs(lengths - 1) > 1e-4) & (lengths > 0)
        vectors[far] /= lengths[far, None]

    def _asked(self, role: Role, missing: Mapping[str, int]) -> Iterator[_Asked]:
        """How the missing items are asked for: texts and images apart, as no request may hold
        both, and their prices differ.
        """
        images = {item: place for item, place in missing.items() if is_image_url(item)}
        texts = {item: place for item, place in missing.items() if item not in images}
        if texts:
            yield _Asked(self.client, self._wanted(role, texts), list(map(text_hash, texts)))
        if images:
            assert self.images is not None
            wanted = self._wanted_images(self.images, role, images)
            yield _Asked(self.images, wanted, list(map(text_hash, images)))

    def _wanted(self, role: Role, missing: Mapping[str, int]) -> Wanted:
        """How the texts are asked for in their role: each with its prompt, and cut to what the
        model reads where its vendor would refuse it.
        """
        vendor = self.client.vendor
        counter = self.client.counter
        most = self.contract.max_tokens
        prompt = self.contract.prompt(role)
        sent = [prompt + text for text in missing]
        tokens = counter.count(sent)
        lost = [max(0, count - most) for count in tokens]
        if not counter.by:  # what is only estimated might be cut by mistake
            lost = [0] * len(sent)
        for at, over in enumerate(lost):
            if over and not vendor.cuts:
                sent[at] = counter.cut(sent[at], most)
        read = [min(count, most) for count in tokens]
        wanted = self._wanted_of(sent, read, self.words.get(role), list(missing.values()))
        return replace(wanted, lost=lost, prompt=counter.count([prompt])[0] if prompt else 0)

    def _wanted_images(self, client: Client, role: Role, missing: Mapping[str, int]) -> Wanted:
        """As `_wanted`, of data URLs."""
        made = [shown(url, place, client) for url, place in missing.items()]
        urls = [each.url for each in made]
        usual = self.words.get(role, self.words.get(DOCUMENT))
        word = self.words.get(IMAGE, usual)
        tokens = [each.tokens for each in made]
        wanted = self._wanted_of(urls, tokens, word, list(missing.values()))
        return replace(wanted, sizes=list(map(len, urls)))

    def _wanted_of(
        self, sent: Sequence[str], tokens: Sequence[int], word: str | None, named: Sequence[int]
    ) -> Wanted:
        """How what is sent is asked for, where `word` is the vendor's for its role."""
        vendor = self.client.vendor
        model = self.client.address.model

        def request(part: Sequence[int]) -> tuple[str, dict[str, object]]:
            # "" is a card's: the model has no word where the vendor's others have one
            return vendor.embedding(Asked(model, [sent[at] for at in part], word or None, self.dim))

        return Wanted(
            "embed",
            tokens,
            request,
            vendor.vectors,
            partial(read_vector, width=self.contract.dim, unit=vendor.unit),
            in_order=vendor.in_order,
            named=named,
        )

    def _texts(self, role: Role, items: Sequence[Item]) -> Sequence[str]:
        """The items as texts, images as data URLs. Raises ModelError for an image where the model
        takes none, and InputError for an item that is neither.
        """
        refuse_one_text(items)
        if self.images is not None:
            refuse_figures(items, self.contract.name)
            return [as_text(item, role, place) for place, item in enumerate(items)]
        refuse_images(items, self.contract.name)
        wrong = next((at for at, item in enumerate(items) if not isinstance(item, str)), None)
        if wrong is not None:
            raise InputError(f"item {wrong} is {items[wrong]!r}; wanted a text")
        return [worded(item) for item in items]

    def _held(self, items: Sequence[str], role: Role) -> dict[bytes, Value]:
        """What is in the cache of the items, and what an empty one has."""
        held = self._kept(role).find(list(dict.fromkeys(map(_key, items))))
        # some vendors refuse a request that holds one
        held[_EMPTY] = (np.zeros(self.contract.dim, np.float32), np.zeros(3, np.int64))
        return held

    def _missing(self, items: Sequence[str], held: Mapping[bytes, Value]) -> dict[str, int]:
        """The different texts that are not held, with the place of the first of each, by which an
        error names it.
        """
        missing: dict[str, int] = {}
        for place, item in enumerate(items):
            if _key(item) not in held:
                missing.setdefault(item, place)
        return missing

    def facts(self, role: Role) -> dict[str, str]:
        """See `Encoder.facts`: what is asked for."""
        asked = {"dim": str(self.contract.dim), "kind": self.contract.kind, "role": role}
        return self.identity | asked | {"prompt": self.contract.prompt(role)}

    def _kept(self, role: Role, client: Client | None = None) -> Kept:
        return Kept(client or self.client, self.facts(role), self.contract.name)

    def _measured_dim(self) -> int:
        """The length of the vector of a word, which is asked for once."""
        kept = self._kept(DOCUMENT)
        key = text_hash(_WORD)
        held = kept.find([key])
        if not held:
            wanted = self._wanted(DOCUMENT, {_WORD: 0})
            wanted = replace(wanted, check=partial(read_vector, width=None))
            held = kept.fetch(wanted, [[0]], [key], silent)
        return len(held[key][0])


def _key(item: str) -> bytes:
    """The hash of a text; the same of all that are empty."""
    return text_hash(item) if item.strip() else _EMPTY
