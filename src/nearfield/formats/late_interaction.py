"""How a multi-vector model treats queries and documents."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nearfield.types.role import DOCUMENT, Role

# sentence-transformers' name of MaxSim divided by the number of the query's tokens
MEAN = "meanmaxsim"
SCORES = ("maxsim", MEAN)
INLINE = "linear.weight"


@dataclass(frozen=True)
class Expansion:
    """Queries of fewer than `length` tokens are filled up with `token`, the tokeniser's mask token
    where it is None.

    `fixed`: longer ones are cut to it. The added tokens always count in MaxSim; the others look at
    them only where `attended`.
    """

    length: int
    fixed: bool = True
    attended: bool = False
    token: str | None = None


@dataclass(frozen=True)
class LateInteraction:
    """What of a text gets a vector.

    `query_tokens`, `document_tokens`: the most tokens of either, None where a folder says it of
    neither. `skipped`: tokens without a vector in the roles `skipped_in`, where every role but
    query counts as document. `average`: scores are means over the query's tokens. `markers`:
    prompts that the tokeniser must keep whole. `inline`: the projection is `linear.weight` among
    the backbone's weights.
    """

    expansion: Expansion | None = None
    query_tokens: int | None = None
    document_tokens: int | None = None
    skipped: tuple[str, ...] = ()
    skipped_in: tuple[Role, ...] = (DOCUMENT,)
    average: bool = False
    markers: tuple[str, ...] = ()
    inline: bool = False

    @property
    def longest_query(self) -> int | None:
        """The most tokens of a query, where a folder says it of queries."""
        if self.expansion is None:
            return self.query_tokens
        if self.expansion.fixed:
            return self.expansion.length
        if self.query_tokens is None:
            return None
        # filled up to the one, and cut to the other
        return max(self.query_tokens, self.expansion.length)

    def within(self, places: int) -> LateInteraction:
        """The same with texts of at most `places` tokens."""
        return replace(
            self,
            query_tokens=min(self.query_tokens or places, places),
            document_tokens=min(self.document_tokens or places, places),
        )
