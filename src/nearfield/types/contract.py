"""All that is needed to use a model rightly, as data that travels with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from nearfield.errors import ContractError, nearest
from nearfield.types.role import DOCUMENT, QUERY, Role

POOLINGS = ("cls", "last", "max", "mean", "weighted")
TERM_POOLINGS = ("max", "sum")  # of a sparse model's weights
UNPOOLED = ("tokens", "unpublished")  # one vector per token; what an API does not tell
SIMILARITIES = ("cosine", "dot", "euclidean")
KINDS = {
    "dense": POOLINGS + UNPOOLED,
    "sparse": TERM_POOLINGS,
    "multi-vector": POOLINGS + UNPOOLED,
    "several": POOLINGS + UNPOOLED,
}
"""The kinds of embeddings, of which nearfield.similarity has the classes, and their poolings."""


def pools_terms(kind: object) -> bool:
    """Whether embeddings of this kind are weights of terms, which are pooled otherwise."""
    return kind in KINDS and KINDS[str(kind)] == TERM_POOLINGS


# where none is stated; those that BGE-M3 was trained with
FUSION = {"dense": 1.0, "sparse": 0.3, "multi-vector": 1.0}
TASK = "{task}"


@dataclass(frozen=True)
class Terms:
    """What using a model costs and allows; nothing here changes a vector.

    `languages` are ISO 639 codes; "*" among them stands for more that the makers claim and do not
    list.
    """

    languages: tuple[str, ...] = ()
    licence: str | None = None
    price_per_million_tokens: float | None = None  # US dollars


@dataclass(frozen=True)
class Contract:
    """How a model wants to be used.

    `prompts` maps a role to the text put before each item; a role that is not listed has no prompt.
    `include_prompt` says whether the prompt's tokens take part in pooling. `templates` maps a role
    to the prompt of a model that takes its task in words, with `{task}` where they go. `max_tokens`
    counts special and prompt tokens. `layer_norm` asks for a parameter-free layer_norm over the
    whole vector before it is cut to a Matryoshka dim (nomic-embed-text-v1.5 needs it). `kind` is
    that of the embeddings; `dim` is the size of the vocabulary where they are sparse. Of `several`
    kinds in one pass, what is said here holds for the dense embeddings, and `fusion` says what the
    score of each kind counts for in the fused one (empty: as `FUSION`). Of a sparse vector the
    `max_terms` greatest weights are kept, where that is stated.
    """

    name: str
    dim: int
    max_tokens: int
    pooling: str = "mean"
    include_prompt: bool = True
    normalise: bool = True
    similarity: str = "cosine"
    prompts: Mapping[Role, str] = field(default_factory=dict)
    matryoshka_dims: tuple[int, ...] = ()
    layer_norm: bool = False
    kind: str = "dense"
    templates: Mapping[Role, str] = field(default_factory=dict)
    terms: Terms = Terms()
    fusion: Mapping[str, float] = field(default_factory=dict)
    max_terms: int | None = None

    def __post_init__(self) -> None:
        for what, got, known in (
            ("kind", self.kind, KINDS),
            ("pooling", self.pooling, KINDS.get(self.kind, ())),
            ("similarity", self.similarity, SIMILARITIES),
        ):
            if got not in known:
                raise ContractError(
                    f"{self.name}: {what} is {got!r}; wanted one of "
                    f"{', '.join(known)}.{nearest(got, known)}"
                )
        for what, number in (
            ("dim", self.dim),
            ("max_tokens", self.max_tokens),
            ("max_terms", self.max_terms),
        ):
            if number is not None and number < 1:
                raise ContractError(f"{self.name}: {what} is {number}; wanted at least 1")
        wrong = [dim for dim in self.matryoshka_dims if not 0 < dim <= self.dim]
        if wrong:
            raise ContractError(
                f"{self.name}: Matryoshka dims {wrong} do not lie between 1 and "
                f"the model's {self.dim}"
            )
        for role, template in self.templates.items():
            if TASK not in template:
                raise ContractError(
                    f"{self.name}: the template of role {role!r} is {template!r}; "
                    f"wanted {TASK} where the task goes"
                )
        weights = self.fusion.values()
        usable = all(0 <= weight < float("inf") for weight in weights)
        unknown = set(self.fusion) - set(FUSION)
        if self.fusion and (unknown or not usable or not any(weights)):
            wanted = f"weights of 0 or more for some of {', '.join(FUSION)}, one above 0 at least"
            raise ContractError(f"{self.name}: fusion is {dict(self.fusion)}; wanted {wanted}")

    def prompt(self, role: Role) -> str:
        """The text put before each item of `role`.

        Raises ContractError for a role that is neither query nor document and that the contract
        does not list.
        """
        if role in self.prompts:
            return self.prompts[role]
        # every model has these two roles; any other word may be misspelt
        if role in (QUERY, DOCUMENT):
            return ""
        known = sorted({QUERY, DOCUMENT, *self.prompts})
        raise ContractError(
            f"{self.name} has no role {role!r}; it has {', '.join(known)}.{nearest(role, known)}"
        )

    def role_of_alike(self, named: Sequence[Role] = ()) -> Role:
        """The role of texts that are compared with one another, none being searched for: the first
        of `named` that has a prompt, else a query's. Where queries alone have one, it asks for what
        answers them (BGE's), and texts are encoded as documents; not where it is a task in words.
        """
        for role in named:
            if role in self.prompts:
                return role
        searching = self.prompt(QUERY) and not self.prompt(DOCUMENT)
        if searching and QUERY not in self.templates:
            return DOCUMENT
        return QUERY

    def instructed(self, role: Role, task: str) -> Contract:
        """This contract with the prompt of `role` made from its template and `task`, in words.

        Raises ContractError for a role without a template.
        """
        if role not in self.templates:
            having = ", ".join(sorted(self.templates)) or "no role"
            raise ContractError(
                f"{self.name} takes no task in words in role {role!r}; {having} "
                "has a template for one"
            )
        prompt = self.templates[role].replace(TASK, task)
        return replace(self, prompts={**self.prompts, role: prompt})
