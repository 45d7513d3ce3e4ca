"""What a language model is told and shown to write queries."""

from __future__ import annotations

import json

from nearfield.train.synthesis.writer import Document, Order

VERSION = 1  # goes up when the same order is put in other words
WORDS, EXAMPLE_WORDS = 150, 50  # of a document, and of an example's, that a model is shown
_TASK = "You write queries that people might type into a search engine."
Message = dict[str, str]


def shown(text: str, words: int = WORDS) -> str:
    """The beginning of a document, on one line."""
    return " ".join(text.split()[:words])


def style_of(order: Order, number: int) -> str:
    """What the query of this number is called by: its style and language, in words."""
    words = []
    if order.styles:
        words.append(order.styles[number % len(order.styles)])
    if order.languages:
        words.append(f"in {order.languages[number % len(order.languages)]}")
    return ", ".join(words)


def for_one(document: Document, order: Order, number: int) -> list[Message]:
    """The chat that asks for one query, with the order's examples as earlier turns. The task stands
    last: a small model goes on with what it has read last.
    """
    style = style_of(order, number)
    task = "Write one query that this document answers. Reply with the query alone."
    asked = f"{task} Style: {style}." if style else task
    messages = [{"role": "system", "content": _TASK}]
    for query, text in order.examples:
        example = f"{task}\n\nDocument: {shown(text, EXAMPLE_WORDS)}"
        messages.append({"role": "user", "content": example})
        messages.append({"role": "assistant", "content": query})
    last = f"Document: {shown(document.whole)}\n\n{asked}"
    messages.append({"role": "user", "content": last})
    return messages


def as_text(document: Document, order: Order, number: int) -> str:
    """As `for_one`, for a model that only goes on with a text (InPars, Bonifacio et al. 2022)."""
    style = style_of(order, number)
    told = ""
    for query, text in order.examples:
        told += f"Document: {shown(text, EXAMPLE_WORDS)}\nQuery: {query}\n\n"
    last = f"Query ({style}):" if style else "Query:"
    return f"{told}Document: {shown(document.whole)}\n{last}"


def for_all(document: Document, order: Order) -> list[Message]:
    """The chat that asks for all queries of a document at once, as JSON."""
    # the document, which is most of what is read and paid for, is sent once for all of them
    count = order.per_document
    styles = [style_of(order, number) for number in range(count)]
    lines = [
        f"Write {count} different queries that the document below answers, in other words than "
        "it uses where that is natural. Each must be understood without the document.",
        'Reply with JSON alone: {"queries": ["...", ...]}',
    ]
    if any(styles):
        named = "\n".join(f"{at}. {style}" for at, style in enumerate(styles, 1))
        lines.append(f"In this order, they are to be in the style of:\n{named}")
    if order.examples:
        real = json.dumps([query for query, _ in order.examples], ensure_ascii=False)
        lines.append(f"Queries of real users look like these: {real}")
    lines.append(f"Document:\n{shown(document.whole)}")
    return [
        {"role": "system", "content": _TASK},
        {"role": "user", "content": "\n\n".join(lines)},
    ]
