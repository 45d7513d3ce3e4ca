"""Queries without a model: titles, headings, first sentences, key phrases, questions, crops."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Self

from nearfield.data.chunk.headings import HEADINGS
from nearfield.data.chunk.plain import SENTENCES
from nearfield.errors import InputError, nearest
from nearfield.train.synthesis.writer import Document, Keep, Means, Order, Queries, Writer
from nearfield.types.word_rule import words

NAME = "templates"
LONGEST = 32  # words of a query
_HEADING = re.compile(r"^ {0,3}#{1,6}\s.*$", re.MULTILINE)
_COMMON = 0.1  # a word in a larger share of the documents joins no phrase
_PHRASE, _PHRASES = 3, 3  # words of a phrase, and phrases of a query
_QUESTIONS = (
    "what is {0}?",
    "how does {0} work?",
    "why is {0} important?",
    "how are {0} and {1} related?",
    "what is the effect of {0} on {1}?",
    "which {0} is there for {1}?",
)


class Templates(Writer):
    """Takes a query from the document itself, in as many different styles as are asked for, drawn
    for each document. What words are common and what are rare is counted in the texts of `corpus`.

    Key phrases are runs of up to three words between common ones, as in RAKE (Rose et al. 2010),
    by the sum of their words' idf. Questions are English. Raises InputError for an unknown style
    and for languages, as a text is not translated.
    """

    def __init__(self, order: Order, corpus: Sequence[str]) -> None:
        if order.languages:
            raise InputError(
                "templates take a document's own words; leave out the languages, or name a model"
            )
        for style in order.styles:
            if style not in STYLES:
                raise InputError(
                    f"there is no style {style!r}; wanted some of {', '.join(STYLES)}."
                    f"{nearest(style, STYLES)}"
                )
        self.order = order
        self._found_in: Counter[str] = Counter()  # how many of the documents
        for text in corpus:
            self._found_in.update(set(words(text)))
        self._documents = len(corpus)
        super().__init__(NAME)

    @classmethod
    def open(cls, name: str, order: Order, means: Means) -> Self | None:
        if name != NAME:
            return None
        return cls(order, means.corpus)

    def write(self, documents: Sequence[Document], keep: Keep) -> None:
        keep({place: self._queries(document) for place, document in enumerate(documents)})

    def _queries(self, document: Document) -> Queries:
        draw = Random(f"{self.order.seed} {document.key}")
        styles = list(self.order.styles or STYLES)
        draw.shuffle(styles)
        found: Queries = []
        for style in styles:
            text = STYLES[style](self, document, draw)
            if text and len(found) < self.order.per_document:
                found.append((style, text))
        return found

    def _title(self, document: Document, draw: Random) -> str:
        return shortened(document.title)

    def _heading(self, document: Document, draw: Random) -> str:
        sections = HEADINGS.sections(document.text)
        headings = [section.headings[-1] for section in sections if section.headings]
        if not headings:
            return ""
        return shortened(draw.choice(headings))

    def _first_sentence(self, document: Document, draw: Random) -> str:
        prose = _HEADING.sub("", document.text).strip()
        return shortened(SENTENCES.levels[0].split(prose, maxsplit=1)[0])

    def _crop(self, document: Document, draw: Random) -> str:
        """A tenth to a half of the words, as Contriever crops (Izacard et al. 2022)."""
        split = document.text.split()
        count = min(LONGEST, math.ceil(len(split) * draw.uniform(0.1, 0.5)))
        start = draw.randint(0, len(split) - count)
        return " ".join(split[start : start + count])

    def _key_phrases(self, document: Document, draw: Random) -> str:
        return " ".join(self._phrases(document)[:_PHRASES])

    def _question(self, document: Document, draw: Random) -> str:
        phrases = self._phrases(document)[:_PHRASES]
        if not phrases:
            return ""
        draw.shuffle(phrases)
        asked = [each for each in _QUESTIONS if each.count("{") <= len(phrases)]
        return draw.choice(asked).format(*phrases)

    def _phrases(self, document: Document) -> list[str]:
        """Its phrases, the most telling first, none of whose words is in one before."""
        runs: list[list[str]] = [[]]
        # a common word ends a run and is in none
        for word in words(document.whole):
            if self._common(word) or len(runs[-1]) == _PHRASE:
                runs.append([])
            if not self._common(word):
                runs[-1].append(word)
        counted = Counter(tuple(run) for run in runs if run)
        weights = {}
        for run, count in counted.items():
            weights[run] = sum(map(self._rarity, run)) * math.log1p(count)
        taken: set[str] = set()
        found = []
        for run in sorted(weights, key=lambda run: (-weights[run], run)):
            if taken.isdisjoint(run):
                taken.update(run)
                found.append(" ".join(run))
        return found

    def _common(self, word: str) -> bool:
        return len(word) < 3 or self._found_in[word] > max(1, _COMMON * self._documents)

    def _rarity(self, word: str) -> float:
        return math.log((1 + self._documents) / (1 + self._found_in[word]))


STYLES: dict[str, Callable[[Templates, Document, Random], str]] = {
    "title": Templates._title,
    "heading": Templates._heading,
    "first-sentence": Templates._first_sentence,
    "key-phrases": Templates._key_phrases,
    "question": Templates._question,
    "crop": Templates._crop,
}


def shortened(text: str) -> str:
    """The text on one line, at most `LONGEST` words of it."""
    return " ".join(text.split()[:LONGEST])
