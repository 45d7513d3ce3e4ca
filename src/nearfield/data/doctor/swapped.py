"""Queries and documents in each other's place.

Certain where the judgements' ids only fit the other way round. Else told by the texts: points for
what queries are like (short, questions, one sentence, no source code) found in the documents'
column, and against where it is found in the queries' own. No signal is enough alone, questions
weigh most, and where both columns are alike (paraphrases, translations) nothing speaks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nearfield.data.arrow import positions
from nearfield.data.collection import Collection
from nearfield.data.doctor.check import BOTH, Found, check
from nearfield.data.doctor.subject import Subject, sample
from nearfield.data.doctor.words import length_in_words
from nearfield.types.arrays import Positions
from nearfield.types.finding import ERROR

_SAMPLE = 1000  # distinct texts of each column: shares are known to 3 %
_FEWEST = 8  # texts of each column: fewer say nothing about what a column is like
_QUESTION_MARK = re.compile(r"[?？؟\u037e]\W*$|^\W*¿")
_QUESTION_WORD = re.compile(
    r"\W*(?:what|who|whom|whose|when|where|which|why|how|wer|wie|wann|warum|welche[rsmn]?|qué|quién"
    r"|cómo|cuál|cuándo|dónde|quels?|quelles?"
    r"|comment|pourquoi|quand|kto|kak|gdzie|jak|chi|come|perché|hoe|wat|waar"
    r"|как|что|кто|где|почему|сколько)\b",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[.!?؟।۔](?=[\s\"')\]”’]|$)|[。！？]")
_CODE = re.compile(r"[(){}\[\]=<>_;+*/\\|&%$#@~^]")
_CODE_SHARE = 0.05  # of characters: prose has under 2 %, source code about 10 %
# by its median length, a column can be one of queries below the first, cannot above the second
_QUERY_WORDS, _TEXT_WORDS = 40.0, 80.0
_ASKED_WORDS = 20.0  # a longer text that begins with "when" is a statement as often as a question
_LABEL_WORDS, _LABEL_SHARE = 4.0, 0.05  # short, few, one per query: class names
# share of judgements whose ids fit swapped, and at most as they are, for a certain finding
_FITS, _MISFITS = 0.95, 0.5
# Points: columns that are alike (translations, paraphrases) have under 0.8 in either direction, 26
# real sets as they should be -1.6 and less; premise and hypothesis, or a sentence and its
# compression, have 1 to 1.4 by length alone.
_ENOUGH, _ENOUGH_ALONE, _SIGNAL = 1.5, 2.5, 0.4
_SHORTER = -0.3  # points for length below which the queries are plainly shorter than the documents


@dataclass(frozen=True)
class Column:
    """What a column of texts is like: median length in words; shares of questions, of several
    sentences, of source code.
    """

    words: float
    questions: float
    several: float
    code: float


@check(BOTH, fix="exchange the two columns (or corpus.jsonl and queries.jsonl)")
def swapped_columns(subject: Subject) -> Found | None:
    """Queries and documents exchanged, as a whole: by the judgements' ids, or by what the texts are
    like.
    """
    certain = _swapped_ids(subject)
    if certain is not None:
        return certain
    judged = subject.judged
    queries = np.arange(len(subject.queries))
    documents = np.arange(len(subject.documents))
    if judged.pairs:
        queries = judged.answered
        documents = np.unique(judged.positive_document)
    if min(len(queries), len(documents)) < _FEWEST or _labels(subject, documents, queries):
        return None
    queries = queries[sample(len(queries), _SAMPLE)]
    documents = documents[sample(len(documents), _SAMPLE)]
    query = describe([subject.queries[int(row)] for row in queries])
    document = describe([subject.documents[int(row)] for row in documents])
    signals = (*points(query, document), _corpus_points(subject))
    if signals[0] < _SHORTER:  # keywords over a list of frequent questions are in order
        return None
    speaking = [signal for signal in signals if signal >= _SIGNAL]
    enough = _ENOUGH if len(speaking) > 1 else _ENOUGH_ALONE
    if sum(signals) < enough:
        return None
    example = (
        f"queries have {query.words:.0f} words (median), {query.questions:.0%} are questions; "
        f"documents {document.words:.0f} words, "
        f"{document.questions:.0%} questions; {subject.show_query(int(queries[0]))}, "
        f"{subject.show_document(int(documents[0]))}"
    )
    return Found(ERROR, len(subject.queries), len(subject.queries), example)


def describe(texts: Sequence[str]) -> Column:
    """What the texts of a column are like."""
    lengths = []
    questions = several = code = 0
    for text in texts:
        size = length_in_words(text)
        lengths.append(size)
        questions += _is_question(text, size)
        several += len(_SENTENCE_END.findall(text)) > 1
        code += len(_CODE.findall(text)) > _CODE_SHARE * len(text)
    count = len(texts)
    return Column(float(np.median(lengths)), questions / count, several / count, code / count)


def _is_question(text: str, size: float) -> bool:
    if _QUESTION_MARK.search(text.rstrip()):
        return True
    return size <= _ASKED_WORDS and _QUESTION_WORD.match(text) is not None


def points(query: Column, document: Column) -> tuple[float, float, float, float]:
    """How much the columns look exchanged by length, sentences, questions and code: above 0 where
    documents are more like queries.

    Up to 3 for length (one per doubling), 2 for sentences, 4 for questions, 1.5 for prose beside
    source code.
    """
    length = float(np.clip(np.log2((query.words + 1) / (document.words + 1)), -3, 3))
    several = 2 * (query.several - document.several)
    # long questions over short passages are normal: only what is short can be a query by its form
    if length + several > 0:
        # 1 for texts as short as queries, falling to 0 for those too long to be any
        brief = float(np.clip((_TEXT_WORDS - document.words) / (_TEXT_WORDS - _QUERY_WORDS), 0, 1))
        length *= brief
        several *= brief
    questions = 4 * (document.questions - query.questions)
    code = 1.5 * (query.code - document.code)
    return length, several, questions, code


def _corpus_points(subject: Subject) -> float:
    """Up to 1.5 where documents are judged and queries are not: a corpus holds much that no query
    asks for, not the reverse.
    """
    if not isinstance(subject.data, Collection) or not subject.judged.pairs:
        return 0.0
    asked = len(subject.judged.answered) / len(subject.queries)
    found = len(np.unique(subject.judged.positive_document)) / len(subject.documents)
    return 1.5 * (found - asked)


def _labels(subject: Subject, documents: Positions, queries: Positions) -> bool:
    """Whether the documents are class names: short, few, and one for each query."""
    judged = subject.judged
    # a query with several positives, as in search, has no class
    distinct = len(np.unique(subject.document_keys[documents]))
    if distinct > _LABEL_SHARE * len(queries) or judged.positive.sum() > len(queries):
        return False
    rows = documents[sample(len(documents), _SAMPLE)]
    lengths = [length_in_words(subject.documents[int(row)]) for row in rows]
    return float(np.median(lengths)) <= _LABEL_WORDS


def _swapped_ids(subject: Subject) -> Found | None:
    """Judgements whose queries are ids of documents and the other way round."""
    if not isinstance(subject.data, Collection) or not len(subject.data.judgements):
        return None
    data = subject.data
    judged = subject.judged
    table = data.judgements
    queries_fit = positions(table["query"], data.documents["id"]) >= 0
    documents_fit = positions(table["document"], data.queries["id"]) >= 0
    fits = queries_fit & documents_fit
    holds = (judged.query >= 0) & (judged.document >= 0)
    # queries and documents that are numbered alike fit both ways, and say nothing
    if fits.mean() < _FITS or holds.mean() > _MISFITS:
        return None
    row = int(np.flatnonzero(fits)[0])
    example = (
        f"the judgements' query {table['query'][row].as_py()!r} is a document's id, and their "
        f"document {table['document'][row].as_py()!r} a query's"
    )
    fix = "exchange the two columns of the judgements, or corpus.jsonl and queries.jsonl"
    return Found(ERROR, int(fits.sum()), len(fits), example, fix)
